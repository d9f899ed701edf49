// The files that the page live.html follows, and what its buttons make of them: colours, numbers and a curve.

const HUES = [
  ['Lake', 222],
  ['Forest', 150],
  ['Ember', 45],
  ['Plum', 325],
];

/** The colours are made of one hue, so that a new hue is a small change. */
function theme(step) {
  const [name, hue] = HUES[step % HUES.length];
  const colour = (light, dark) => {
    const [one, other] = [light, dark].map(([lightness, chroma]) => `oklch(${lightness}% ${chroma} var(--hue))`);
    return `light-dark(${one}, ${other})`;
  };
  return `/* The colours of live.html, in light and dark. Change the hue, save, and look at the page. */
:root {
  --name: '${name}';
  --hue: ${hue};
  --ground: ${colour([98.7, 0.006], [19, 0.012])};
  --text: ${colour([24, 0.02], [93, 0.008])};
  --quiet: ${colour([49, 0.03], [71, 0.025])};
  --line: ${colour([91, 0.012], [31, 0.02])};
  --held: ${colour([92.5, 0.015], [29, 0.02])};
  --plain: ${colour([76, 0.03], [48, 0.03])};
  --accent: ${colour([49, 0.125], [78, 0.115])};
  --on-accent: ${colour([99, 0.005], [20, 0.03])};
}
`;
}

const MONTHS = Array.from({ length: 12 }, (_, month) =>
  new Date(Date.UTC(2025, month)).toLocaleString('en', { month: 'long', timeZone: 'UTC' }),
);
/** The month that the first change is about. */
const FIRST_MONTH = 6;

/** The temperatures of a year. Each step measures one month again: it was warmer, and the next year it was not. */
function numbers(step) {
  const days = {};
  for (let day = 0; day < 365; day += 1) {
    const date = new Date(Date.UTC(2025, 0, 1 + day));
    const revision = Math.floor((step + 11 - ((date.getUTCMonth() - FIRST_MONTH + 12) % 12)) / 12);
    const season = 9.5 - 10.5 * Math.cos((2 * Math.PI * (day - 20)) / 365);
    const value = season + 7 * (revision % 2) + weather(day, revision);
    days[date.toISOString().slice(0, 10)] = Number(value.toFixed(1));
  }
  const month = MONTHS[(FIRST_MONTH + step - 1) % 12];
  const says = step === 0 ? 'A year' : `A new ${month}`;
  return `${JSON.stringify({ says, unit: '°C', days }, undefined, 2)}\n`;
}

/** Warm and cold weeks, which are always the same. */
function weather(day, revision) {
  const wave = (length, shift) => Math.sin((2 * Math.PI * day) / length + shift + 2 * revision);
  return 2.2 * wave(17.3, 0) + 1.4 * wave(7.1, 1) + 0.8 * wave(2.7, 2);
}

// WebAssembly's instructions, without their operands.
const get = (local) => [0x20, local];
const set = (local) => [0x21, local];
const number = (value) => [0x44, ...new Uint8Array(new Float64Array([value]).buffer)];
const [abs, floor, nearest, sqrt] = [[0x99], [0x9c], [0x9e], [0x9f]];
const [add, sub, mul] = [[0xa0], [0xa1], [0xa2]];
const [x, t] = [0, 1];

/** Sets `t` to the distance of `count` times `x` from the nearest whole number. */
const turns = (count) => [get(x), number(count), mul, set(t), get(t), get(t), nearest, sub, set(t)];
/** 8t(1 - 2|t|), which is nearly a sine. */
const sine = [number(8), get(t), mul, number(1), get(t), abs, number(2), mul, sub, mul];

/** What each curve is called, and the instructions that compute it for an `x` from -1 to 1. */
const CURVES = [
  ['A wave', [turns(1.5), sine]],
  ['A beat', [turns(6), sine, number(1), get(x), get(x), mul, sub, mul]],
  ['A zigzag', [turns(2), get(t), abs, number(4), mul, number(1), sub]],
  ['Arches', [turns(1.5), number(2), number(1), get(t), get(t), number(4), mul, mul, sub, sqrt, mul, number(1), sub]],
  ['Stairs', [get(x), number(4), mul, floor, number(0.5), add, number(4 / 16), mul]],
];

/** A module that exports `f`, a function of a number, and has the curve's name in a section of its own. */
function curve(step) {
  const [name, instructions] = CURVES[step % CURVES.length];
  const bytes = (...parts) => parts.flat(Infinity);
  const sized = (...parts) => [length(bytes(...parts).length), ...bytes(...parts)];
  const text = (said) => sized([...Buffer.from(said)]);
  const section = (id, ...parts) => [id, sized(...parts)];
  const f64 = 0x7c;
  return Buffer.from(
    bytes(
      [...Buffer.from('\0asm'), 1, 0, 0, 0],
      section(0, text('curve'), [...Buffer.from(name)]),
      section(1, 1, 0x60, [1, f64], [1, f64]),
      section(3, 1, 0),
      section(7, 1, text('f'), 0, 0),
      section(10, 1, sized([1, 1, f64], instructions, 0x0b)),
    ),
  );
}

/** A length in LEB128. */
function length(count) {
  return count < 0x80 ? [count] : [(count & 0x7f) | 0x80, ...length(count >> 7)];
}

/** Each file by its name: makes its content after a number of changes. */
export const LIVE_FILES = { 'theme.css': theme, 'numbers.json': numbers, 'curve.wasm': curve };
