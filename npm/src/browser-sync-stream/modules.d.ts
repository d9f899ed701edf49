/* Types of modules that have none. */

/** Like Node's own streams, of which it is a copy. In Node those take its place. */
declare module 'readable-stream' {
  export { Duplex } from 'node:stream';
}

/** The file's bytes as base64. */
declare module '*.wasm' {
  const base64: string;
  export default base64;
}
