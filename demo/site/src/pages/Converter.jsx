import { useState } from 'react';
import Amounts from '../components/Amounts.jsx';
import Field from '../components/Field.jsx';

/** Grams of a cup of 240 ml. */
const CUPS = {
  Butter: 227,
  'Cocoa powder': 85,
  Flour: 120,
  'Ground almonds': 96,
  Honey: 336,
  Milk: 240,
  'Oat flakes': 89,
  'Olive oil': 200,
  'Powdered sugar': 113,
  Raisins: 149,
  Rice: 198,
  Sugar: 198,
  Yogurt: 227,
};

/** Gas marks by the degrees of the oven. */
const MARKS = [135, 149, 163, 177, 190, 204, 218, 232, 246];

export default function Converter() {
  const [cups, setCups] = useState(1);
  const [what, setWhat] = useState('Flour');
  const [oven, setOven] = useState(190);
  const weight = CUPS[what] * cups;
  const mark = MARKS.reduce((best, degrees, at) =>
    Math.abs(degrees - oven) < Math.abs(MARKS[MARKS.indexOf(best)] - oven) ? MARKS[at] : best,
  );
  return (
    <>
      <p>What an American or British recipe says, in other words.</p>
      <Field label="Ingredient" value={what} options={Object.keys(CUPS)} onChange={setWhat} />
      <Field label={`${cups} cups`} value={cups} onChange={setCups} min={0.25} max={4} step={0.25} />
      <Amounts
        of={[
          ['Weight', weight],
          ['In ounces', `${(weight / 28.35).toFixed(1)} oz`],
          ['Tablespoons', `${cups * 16}`],
          ['Volume', `${cups * 240} ml`],
        ]}
      />
      <h2>The oven</h2>
      <Field label={`${oven} °C`} value={oven} onChange={setOven} min={130} max={250} step={5} />
      <Amounts
        of={[
          ['Fahrenheit', `${Math.round((oven * 9) / 5 + 32)} °F`],
          ['Gas mark', `${MARKS.indexOf(mark) + 1}`],
          ['With a fan', `${oven - 20} °C`],
        ]}
      />
      <p className="note">A cup holds what was scooped into it. Weigh flour where you can.</p>
    </>
  );
}
