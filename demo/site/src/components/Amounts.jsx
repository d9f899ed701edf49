import { grams } from '../lib/amounts.js';

/** A table of ingredients: pairs of a name and grams. */
export default function Amounts({ of }) {
  return (
    <table>
      <tbody>
        {of.map(([name, amount]) => (
          <tr key={name}>
            <th scope="row">{name}</th>
            <td>{typeof amount === 'number' ? grams(amount) : amount}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
