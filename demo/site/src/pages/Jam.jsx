import { useState } from 'react';
import Amounts from '../components/Amounts.jsx';
import Field from '../components/Field.jsx';
import Steps from '../components/Steps.jsx';

/** Juice of a lemon for a kilogram of fruit, and minutes at a rolling boil. */
const FRUIT = {
  Apricots: { lemon: 0.5, boil: 12 },
  Blackberries: { lemon: 0.5, boil: 10 },
  Cherries: { lemon: 1.5, boil: 18 },
  Currants: { lemon: 0, boil: 8 },
  Gooseberries: { lemon: 0, boil: 9 },
  Plums: { lemon: 0.25, boil: 14 },
  Quinces: { lemon: 0.5, boil: 25 },
  Raspberries: { lemon: 0.5, boil: 8 },
  Strawberries: { lemon: 1, boil: 15 },
};
const STEPS = [
  'Stir fruit, sugar and lemon juice together in a wide pot, and leave it for some hours, or over night.',
  'Bring it to a boil slowly, and stir until you feel no sugar on the bottom of the pot.',
  'Boil it hard. Skim the foam off at the end only.',
  'Put a drop on a cold plate. The jam is done when the drop wrinkles as you push it.',
  'Fill hot jars to the brim, and close them at once.',
];

export default function Jam() {
  const [what, setWhat] = useState('Plums');
  const [fruit, setFruit] = useState(1000);
  const [sugar, setSugar] = useState(60);
  const { lemon, boil } = FRUIT[what];
  const weight = fruit * (1 + sugar / 100) * 0.86;
  return (
    <>
      <p>Jam without bought pectin. The fruit decides how much lemon it needs.</p>
      <Field label="Fruit" value={what} options={Object.keys(FRUIT)} onChange={setWhat} />
      <Field label={`${fruit} g, stoned`} value={fruit} onChange={setFruit} min={250} max={4000} step={250} />
      <Field label={`${sugar} % sugar`} value={sugar} onChange={setSugar} min={40} max={100} step={5} />
      <Amounts
        of={[
          ['Sugar', (fruit * sugar) / 100],
          ['Lemons', ((fruit / 1000) * lemon).toLocaleString('en')],
          ['Rolling boil', `${boil} min`],
          ['Jars of 250 ml', `${Math.ceil(weight / 330)}`],
        ]}
      />
      <h2>How to cook it</h2>
      <Steps of={STEPS} />
      <p className="note">{sugar < 55 ? 'Keep it in the fridge.' : 'It keeps for a year in a cool cellar.'}</p>
    </>
  );
}
