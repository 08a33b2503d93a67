import { deviation, mean } from './maths/statistics.js';

/** A table whose first column is text and whose others are figures. */
export function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = header.map((cell, column) => Math.max(3, cell.length, ...rows.map((row) => row[column]!.length)));
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column]!)).join(' | ')} |`;
  const rule = widths.map((width, column) => (column === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`));
  return [line(header), line(rule), ...rows.map(line)].join('\n');
}

/** Mean and, over several seeds, standard deviation. */
export function spread(values: readonly number[], digits: number): string {
  if (values.length === 0) return '–';
  const wide = deviation(values);
  const centre = mean(values).toFixed(digits);
  return wide === undefined ? centre : `${centre} ± ${wide.toFixed(digits)}`;
}

/** Shares of 1 in percent. */
export const percent = (shares: readonly number[]) =>
  spread(
    shares.map((share) => 100 * share),
    1,
  );

export const plural = (count: number, noun: string) => `${count} ${noun}${count === 1 ? '' : 's'}`;
