/* What TypeScript is not told otherwise. */

/** In Node the platform's own streams take its place, of which it is a copy. */
declare module 'readable-stream' {
  export { Duplex } from 'node:stream';
}

/** As base64. */
declare module '*.wasm' {
  const base64: string;
  export default base64;
}
