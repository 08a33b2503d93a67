/** One server-sent event: its type and its data as text. */
export interface ServerEvent {
  readonly type: string;
  readonly data: string;
}

/**
 * The server-sent events of a response body.
 * @see https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation
 */
export async function* readEvents(body: AsyncIterable<Uint8Array>): AsyncGenerator<ServerEvent> {
  const decoder = new TextDecoder();
  let pending = '';
  for await (const chunk of body) {
    pending += decoder.decode(chunk, { stream: true });
    const blocks = pending.split(/\r?\n\r?\n/);
    pending = blocks.pop()!;
    for (const block of blocks) {
      const lines = block.split(/\r?\n/);
      const values = (field: string) =>
        lines.filter((line) => line.startsWith(`${field}:`)).map((line) => line.slice(field.length + 1).trimStart());
      const data = values('data');
      // A block without data is a comment that keeps the connection open.
      if (data.length > 0) yield { type: values('event').at(-1) ?? 'message', data: data.join('\n') };
    }
  }
}
