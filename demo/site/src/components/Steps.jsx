/** What to do, in order. */
export default function Steps({ of }) {
  return (
    <ol>
      {of.map((step) => (
        <li key={step}>{step}</li>
      ))}
    </ol>
  );
}
