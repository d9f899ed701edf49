/** The URL of a sync resource, which is below the asset's own path. */
export function resource(url: string, name: string): URL {
  const below = new URL(url);
  below.pathname += `.driblet/${name}`;
  return below;
}

/** The media type of an answer, without its parameters. */
export function mediaType(response: Response): string {
  return (response.headers.get('content-type') ?? '').split(';', 1)[0]!.trim().toLowerCase();
}
