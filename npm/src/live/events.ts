/*
 * Parses Server-Sent Events, as the HTML standard says. `EventSource` cannot be used: it sends no headers, and does not
 * tell with which status it failed.
 */

/** The most bytes that an event may have. */
const MAX_EVENT = 128 << 10;

/** An event of a stream. */
export interface StreamEvent {
  readonly event: string;
  /** The last id that was sent; empty if there was none. */
  readonly id: string;
  readonly data: string;
}

/** The events of a stream, whose text arrives in pieces. */
export interface EventParser {
  /** The milliseconds of the last `retry`. */
  readonly retry: number | undefined;
  /** Returns the events that the text ends. Throws if an event is too long. */
  feed(text: string): StreamEvent[];
}

export function eventParser(): EventParser {
  let retry: number | undefined;
  let rest = '';
  let isFirst = true;
  let endsWithCr = false;
  let id = '';
  let event = '';
  let data: string[] = [];
  let length = 0;

  function handleField(line: string): void {
    const colon = line.indexOf(':');
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
    if (name === 'event') event = value;
    if (name === 'data') data.push(value);
    if (name === 'id' && !value.includes('\0')) id = value;
    if (name === 'retry' && /^\d+$/.test(value)) retry = Number(value);
  }

  function ended(): StreamEvent | undefined {
    const found = data.length === 0 ? undefined : { event: event || 'message', id, data: data.join('\n') };
    [event, data, length] = ['', [], 0];
    return found;
  }

  return {
    get retry() {
      return retry;
    },
    feed(piece) {
      let text = rest + piece;
      if (isFirst && text !== '') {
        isFirst = false;
        text = text.replace(/^\ufeff/, '');
      }
      if (endsWithCr && text !== '') text = text.replace(/^\n/, '');
      endsWithCr = text === '' ? endsWithCr : text.endsWith('\r');
      const lines = text.split(/\r\n|\n|\r/);
      rest = lines.pop() ?? '';
      const events: StreamEvent[] = [];
      for (const line of lines) {
        const found = line === '' ? ended() : undefined;
        if (found) events.push(found);
        if (line === '') continue;
        length += line.length;
        if (MAX_EVENT < length) throw new Error('an event is too long');
        handleField(line);
      }
      if (MAX_EVENT < length + rest.length) throw new Error('an event is too long');
      return events;
    },
  };
}
