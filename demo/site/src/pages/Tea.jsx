import { useState } from 'react';
import Amounts from '../components/Amounts.jsx';
import Field from '../components/Field.jsx';

/** Degrees, minutes of the first infusion, grams for a cup, and how many infusions the leaves are good for. */
const TEAS = {
  Assam: [95, 3.5, 2.5, 1],
  Chamomile: [100, 7, 2, 1],
  Darjeeling: [90, 3, 2.5, 2],
  'Earl Grey': [95, 3, 2.5, 1],
  Gyokuro: [60, 2, 4, 3],
  Mint: [100, 8, 3, 1],
  Oolong: [88, 2.5, 3, 5],
  Rooibos: [100, 6, 2.5, 1],
  Sencha: [75, 1.5, 3, 3],
  'White tea': [80, 4, 3, 3],
};

export default function Tea() {
  const [what, setWhat] = useState('Sencha');
  const [cups, setCups] = useState(2);
  const [degrees, minutes, weight, infusions] = TEAS[what];
  return (
    <>
      <p>How hot, how long, and how often.</p>
      <Field label="Tea" value={what} options={Object.keys(TEAS)} onChange={setWhat} />
      <Field label={`${cups} cups`} value={cups} onChange={setCups} min={1} max={8} />
      <Amounts
        of={[
          ['Leaves', weight * cups],
          ['Water', `${degrees} °C`],
          ['First infusion', `${minutes} min`],
          ['Infusions', `${infusions}`],
        ]}
      />
      <p className="note">
        {degrees < 100
          ? `Boiling water is at ${degrees} °C after some ${Math.round((100 - degrees) / 4)} minutes in an open pot.`
          : 'Pour it on while it boils.'}
      </p>
    </>
  );
}
