/** Media types by the extension of a path. */
const MEDIA_TYPES: Record<string, string> = {
  css: 'text/css',
  csv: 'text/csv',
  gif: 'image/gif',
  html: 'text/html',
  jpeg: 'image/jpeg',
  jpg: 'image/jpeg',
  js: 'text/javascript',
  json: 'application/json',
  mjs: 'text/javascript',
  mp4: 'video/mp4',
  pdf: 'application/pdf',
  png: 'image/png',
  svg: 'image/svg+xml',
  txt: 'text/plain',
  wasm: 'application/wasm',
  webp: 'image/webp',
  xml: 'text/xml',
};

/** The media type for a URL's extension, from this table or from `more`. */
export function mediaTypeOf(url: string, more: Record<string, string> = {}): string {
  const ending = /\.(\w+)$/.exec(new URL(url).pathname)?.[1]?.toLowerCase() ?? '';
  return MEDIA_TYPES[ending] ?? more[ending] ?? 'application/octet-stream';
}

/** More media types of what pages load. */
const TYPES: Record<string, string> = {
  avif: 'image/avif',
  cjs: 'text/javascript',
  flac: 'audio/flac',
  geojson: 'application/geo+json',
  glb: 'model/gltf-binary',
  gltf: 'model/gltf+json',
  htm: 'text/html',
  ico: 'image/x-icon',
  jsonld: 'application/ld+json',
  m4a: 'audio/mp4',
  map: 'application/json',
  md: 'text/markdown',
  mov: 'video/quicktime',
  mp3: 'audio/mpeg',
  oga: 'audio/ogg',
  ogg: 'audio/ogg',
  ogv: 'video/ogg',
  opus: 'audio/ogg',
  otf: 'font/otf',
  ttf: 'font/ttf',
  vtt: 'text/vtt',
  wav: 'audio/wav',
  weba: 'audio/webm',
  webm: 'video/webm',
  webmanifest: 'application/manifest+json',
  woff: 'font/woff',
  woff2: 'font/woff2',
  xhtml: 'application/xhtml+xml',
  zip: 'application/zip',
};

/** The type of a URL's extension, with the charset that the server also sends. */
export function typeOf(url: string): string {
  const type = mediaTypeOf(url, TYPES);
  return /^text\/|\/(json|xml)$/.test(type) ? `${type}; charset=utf-8` : type;
}

/** The URL of a file with this path, for its extension alone: the path may contain any letters. */
export function urlOfPath(path: string): string {
  return new URL(encodeURIComponent(path.replace(/^.*\//, '')), 'http://localhost/').href;
}
