import { useState } from 'react';
import Field from '../components/Field.jsx';
import './Seasons.css';

const MONTHS = 'January February March April May June July August September October November December'.split(' ');

/** The first and the last month of each harvest in central Europe, from a field without a roof. */
const HARVESTS = {
  Asparagus: [4, 6],
  Beetroot: [7, 11],
  'Broad beans': [6, 8],
  Broccoli: [6, 11],
  'Brussels sprouts': [10, 2],
  Carrots: [6, 11],
  Cauliflower: [6, 10],
  Celeriac: [8, 11],
  Courgettes: [6, 10],
  Cucumbers: [7, 9],
  Fennel: [6, 10],
  Kale: [11, 2],
  Kohlrabi: [5, 10],
  Leeks: [7, 4],
  Lettuce: [5, 10],
  Onions: [7, 10],
  Parsnips: [9, 3],
  Peas: [6, 8],
  Potatoes: [6, 10],
  Pumpkins: [8, 11],
  Radishes: [4, 10],
  Rhubarb: [4, 6],
  Spinach: [4, 11],
  Sweetcorn: [7, 10],
  Tomatoes: [7, 10],
  'White cabbage': [6, 11],
};

function isHarvested([first, last], month) {
  return first <= last ? first <= month && month <= last : first <= month || month <= last;
}

export default function Seasons() {
  const [month, setMonth] = useState(MONTHS[5]);
  const number = MONTHS.indexOf(month) + 1;
  const harvest = Object.entries(HARVESTS).filter(([, months]) => isHarvested(months, number));
  return (
    <>
      <p>What is harvested in central Europe, without a greenhouse.</p>
      <Field label="Month" value={month} options={MONTHS} onChange={setMonth} />
      <ul className="season">
        {harvest.map(([name]) => (
          <li key={name}>{name}</li>
        ))}
      </ul>
      <p className="note">{harvest.length} kinds. Roots and cabbages from the autumn keep until spring in a cellar.</p>
    </>
  );
}
