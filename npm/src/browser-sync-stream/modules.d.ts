/* Types of modules that have none. */

/** A copy of Node's streams. In Node, Node's own streams replace it. */
declare module 'readable-stream' {
  export { Duplex } from 'node:stream';
}

/** The file's bytes as base64. */
declare module '*.wasm' {
  const base64: string;
  export default base64;
}
