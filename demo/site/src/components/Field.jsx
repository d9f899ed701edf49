import { useId } from 'react';
import './Field.css';

/** A labelled number, or a choice if there are options. */
export default function Field({ label, value, options, onChange, ...limits }) {
  const id = useId();
  const change = (event) => onChange(options ? event.target.value : event.target.valueAsNumber);
  return (
    <p className="field">
      <label htmlFor={id}>{label}</label>
      {options ? (
        <select id={id} value={value} onChange={change}>
          {options.map((each) => (
            <option key={each}>{each}</option>
          ))}
        </select>
      ) : (
        <input id={id} type="range" value={value} onChange={change} {...limits} />
      )}
    </p>
  );
}
