/** Requests that fetch does not make: bodies sent piece by piece, sockets that break off or are read slowly. */
import { once } from 'node:events';
import { type ClientRequest, type IncomingMessage, request } from 'node:http';

export interface RawOptions {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string | number>>;
}

/** A request whose body the caller writes. Errors of its socket are the caller's own doing and are dropped. */
export function openRequest(url: string, { method = 'GET', headers = {} }: RawOptions = {}): ClientRequest {
  const opened = request(url, { method, headers, agent: false });
  opened.on('error', () => {});
  return opened;
}

export async function answer(opened: ClientRequest): Promise<IncomingMessage> {
  const [response] = (await once(opened, 'response')) as [IncomingMessage];
  return response;
}

export async function write(opened: ClientRequest, bytes: string | Uint8Array): Promise<void> {
  if (!opened.write(bytes)) await once(opened, 'drain');
}

export async function bodyOf(response: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of response) parts.push(part as Buffer);
  return Buffer.concat(parts);
}

export const BOUNDARY = 'part-of-a-test';
export const FORM = { 'content-type': `multipart/form-data; boundary=${BOUNDARY}` };

/** The head of one part of a form; its content follows. */
export function partHead(name: string, file?: string): string {
  const fileName = file === undefined ? '' : `; filename="${file}"`;
  return `\r\n--${BOUNDARY}\r\nContent-Disposition: form-data; name="${name}"${fileName}\r\n\r\n`;
}

/** The head of a part without a file name, which a form takes for a file all the same. */
export const UNNAMED_FILE = partHead('file').replace('\r\n\r\n', '\r\nContent-Type: application/octet-stream\r\n\r\n');

export const FORM_END = `\r\n--${BOUNDARY}--\r\n`;

/** The first part of every upload, and the head of its first file. */
export function formStart(checkpoint: string, file = 'model.safetensors'): string {
  return partHead('name') + checkpoint + partHead('file', file);
}
