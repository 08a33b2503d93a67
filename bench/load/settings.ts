/** How much of what runs at once: the figures of `npm run load`, unless flags say otherwise. */
import { parseArgs } from 'node:util';

export interface LoadSettings {
  readonly url: string;
  readonly seconds: number;
  readonly pollers: number;
  /** Between one question of a client for a status and its next. */
  readonly pollMs: number;
  readonly uploaders: number;
  readonly downloaders: number;
  /** Of each uploader and each downloader; what a good line has. */
  readonly bytesPerSecond: number;
  readonly merges: number;
  /** Of one checkpoint, F32. */
  readonly modelBytes: number;
}

const DEFAULTS = {
  seconds: '60',
  pollers: '200',
  'poll-ms': '1000',
  uploaders: '20',
  downloaders: '10',
  'mib-per-second': '2',
  merges: '4',
  'model-mib': '64',
};

export function readSettings(args: readonly string[]): Omit<LoadSettings, 'url'> {
  const options = Object.fromEntries(
    Object.entries(DEFAULTS).map(([name, value]) => [name, { type: 'string' as const, default: value }]),
  );
  const { values } = parseArgs({ args: [...args], options });
  const number = (name: keyof typeof DEFAULTS) => {
    const value = Number(values[name]);
    if (!(value >= 0)) throw new Error(`--${name} is a number`);
    return value;
  };
  return {
    seconds: number('seconds'),
    pollers: number('pollers'),
    pollMs: number('poll-ms'),
    uploaders: number('uploaders'),
    downloaders: number('downloaders'),
    bytesPerSecond: number('mib-per-second') * 2 ** 20,
    merges: number('merges'),
    modelBytes: number('model-mib') * 2 ** 20,
  };
}
