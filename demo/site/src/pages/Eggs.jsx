import { useState } from 'react';
import Amounts from '../components/Amounts.jsx';
import Field from '../components/Field.jsx';
import Steps from '../components/Steps.jsx';
import { minutes } from '../lib/amounts.js';

/** The temperature in the middle of the yolk, by the result. */
const RESULTS = { 'runny yolk': 62, 'soft yolk': 66, 'firm yolk': 72, 'hard yolk': 78 };
const STEPS = [
  'Bring water to a boil in a pot in which the eggs can lie side by side.',
  'Lower the eggs into the water with a spoon, and start the clock.',
  'Put them into cold water at once when the time is over, or they go on cooking.',
];

/** Minutes until the yolk of an egg has a temperature, after Charles Williams. */
function time({ weight, start, yolk }) {
  return 0.451 * weight ** (2 / 3) * Math.log((0.76 * (start - 100)) / (yolk - 100));
}

export default function Eggs() {
  const [weight, setWeight] = useState(58);
  const [start, setStart] = useState(7);
  return (
    <>
      <p>Minutes in boiling water, by the weight of the egg and where it was kept.</p>
      <Field label={`${weight} g`} value={weight} onChange={setWeight} min={45} max={80} />
      <Field label={`kept at ${start} °C`} value={start} onChange={setStart} min={4} max={24} />
      <Amounts of={Object.entries(RESULTS).map(([name, yolk]) => [name, minutes(time({ weight, start, yolk }))])} />
      <h2>How to boil them</h2>
      <Steps of={STEPS} />
      <p className="note">Above 1,500 m of altitude water boils at 95 °C; add a minute.</p>
    </>
  );
}
