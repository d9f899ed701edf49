/** A weight as a cook reads it. */
export function grams(count) {
  if (1000 <= count) return `${(count / 1000).toLocaleString('en', { maximumFractionDigits: 2 })} kg`;
  return `${Math.round(count)} g`;
}

/** Minutes as a cook reads them. */
export function minutes(count) {
  const hours = Math.floor(count / 60);
  const rest = Math.round(count % 60);
  if (hours === 0) return `${rest} min`;
  return rest === 0 ? `${hours} h` : `${hours} h ${rest} min`;
}
