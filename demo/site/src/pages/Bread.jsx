import { useState } from 'react';
import Amounts from '../components/Amounts.jsx';
import Field from '../components/Field.jsx';
import Steps from '../components/Steps.jsx';
import { minutes } from '../lib/amounts.js';

const STEPS = [
  'Mix flour and water until no dry flour is left, and let the dough rest for half an hour under a cloth.',
  'Add the salt and the starter. Fold the dough from each side to the middle, until it is smooth again.',
  'Fold it three more times, with half an hour between, and then leave it alone in a warm place.',
  'When it has grown by half, shape a loaf, and put it into a floured basket with the seam on top.',
  'Bake it in a covered pot in a hot oven for 25 minutes, then uncovered for 20, until the crust is dark.',
];

export default function Bread() {
  const [loaves, setLoaves] = useState(1);
  const [water, setWater] = useState(72);
  const [warmth, setWarmth] = useState(24);
  const flour = 500 * loaves;
  return (
    <>
      <p>A plain wheat loaf with a sourdough starter.</p>
      <Field
        label={loaves === 1 ? 'one loaf' : `${loaves} loaves`}
        value={loaves}
        onChange={setLoaves}
        min={1}
        max={6}
      />
      <Field label={`${water} % water`} value={water} onChange={setWater} min={60} max={90} />
      <Field label={`a kitchen of ${warmth} °C`} value={warmth} onChange={setWarmth} min={16} max={30} />
      <Amounts
        of={[
          ['Flour', flour],
          ['Water', (flour * water) / 100],
          ['Starter', flour / 5],
          ['Salt', flour / 50],
          ['Time to rise', minutes(270 * 2 ** ((24 - warmth) / 6))],
        ]}
      />
      <h2>How to bake it</h2>
      <Steps of={STEPS} />
      <p className="note">A wetter dough gives larger holes, and is harder to shape. Begin with 70 %.</p>
    </>
  );
}
