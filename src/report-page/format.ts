import type { Unit } from './types.js';

/** A thin space, as between a number and its unit. */
const SPACE = '\u2009';
const BYTE_UNITS = ['B', 'kB', 'MB', 'GB', 'TB'];

export const percent = (share: number) => `${(100 * share).toFixed(1)}${SPACE}%`;

/** Four digits that count: 0.01230, 1.234, 123.4; very large and very small numbers with an exponent. */
export function number(value: number, digits = 4): string {
  if (value === 0) return '0';
  const size = Math.abs(value);
  return size >= 1e5 || size < 1e-4 ? value.toExponential(digits - 2) : value.toPrecision(digits);
}

/** Decimal units, as files are measured elsewhere. */
export function bytes(count: number): string {
  const power = Math.min(BYTE_UNITS.length - 1, Math.max(0, Math.floor(Math.log10(Math.max(1, count)) / 3)));
  return `${(count / 1000 ** power).toFixed(power === 0 ? 0 : 2)}${SPACE}${BYTE_UNITS[power]}`;
}

export const count = (value: number) => value.toLocaleString('en');

const WRITERS: Record<Unit, (value: number) => string> = { percent, number: (value) => number(value), bytes };
export const written = (value: number, unit: Unit) => WRITERS[unit](value);

/** Beside a bar there is little room: one digit less. */
export const writtenShort = (value: number, unit: Unit) =>
  unit === 'number' ? number(value, 3) : written(value, unit);

/** The width of text in em. A guess that is rather too wide: the reader's font is not known here. */
export function textWidth(text: string): number {
  return [...text].reduce((sum, character) => sum + (character < '\u0250' ? 0.62 : 1), 0);
}

/** Text of at most `em` width. What is left out is in the middle: names of tensors differ at their ends. */
export function shorten(text: string, em: number): string {
  if (textWidth(text) <= em) return text;
  const characters = [...text];
  let kept = characters.length;
  let short = text;
  while (textWidth(short) > em && kept > 2) {
    kept -= 1;
    const tail = Math.ceil(kept / 2);
    short = `${characters.slice(0, kept - tail).join('')}…${characters.slice(-tail).join('')}`;
  }
  return short;
}
