import { useState } from 'react';
import Amounts from '../components/Amounts.jsx';
import Field from '../components/Field.jsx';
import Steps from '../components/Steps.jsx';

/** Grams of water for a gram of rice, and minutes on the lowest heat. */
const KINDS = {
  Basmati: { water: 1.5, time: 11 },
  Brown: { water: 2.1, time: 38 },
  Jasmine: { water: 1.3, time: 12 },
  Red: { water: 2.2, time: 35 },
  Sushi: { water: 1.2, time: 13 },
  Wild: { water: 3, time: 48 },
};
const STEPS = [
  'Wash the rice in a bowl until the water stays clear, and drain it.',
  'Bring it to a boil with the water and a little salt, and stir once.',
  'Cover it, turn the heat down as far as it goes, and do not lift the lid.',
  'Take it from the heat, still covered, and wait ten minutes. Then loosen it with a fork.',
];

export default function Rice() {
  const [kind, setKind] = useState('Basmati');
  const [people, setPeople] = useState(2);
  const { water, time } = KINDS[kind];
  return (
    <>
      <p>Rice that takes up all of its water.</p>
      <Field label="Rice" value={kind} options={Object.keys(KINDS)} onChange={setKind} />
      <Field label={`${people} people`} value={people} onChange={setPeople} min={1} max={10} />
      <Amounts
        of={[
          ['Rice', 75 * people],
          ['Water', 75 * people * water],
          ['On the lowest heat', `${time} min`],
        ]}
      />
      <h2>How to cook it</h2>
      <Steps of={STEPS} />
    </>
  );
}
