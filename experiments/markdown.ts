import { deviation, mean } from './maths/statistics.js';

/** A table; columns of figures are aligned to the right. */
export function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const escaped = (row: readonly string[]) => row.map((cell) => cell.replaceAll('|', '\\|'));
  header = escaped(header);
  rows = rows.map(escaped);
  const columns = header.map((title, column) => {
    const cells = rows.map((row) => row[column]!);
    const width = Math.max(3, title.length, ...cells.map((cell) => cell.length));
    return { width, figures: cells.every((cell) => /^[-–]?([\d.]|$)/.test(cell)) };
  });
  const line = (cells: readonly string[]) => {
    const padded = columns.map(({ width, figures }, column) =>
      figures ? cells[column]!.padStart(width) : cells[column]!.padEnd(width),
    );
    return `| ${padded.join(' | ')} |`;
  };
  const rule = columns.map(({ width, figures }) => (figures ? `${'-'.repeat(width - 1)}:` : '-'.repeat(width)));
  return [line(header), line(rule), ...rows.map(line)].join('\n');
}

/** Rounded, and without a sign where it rounds to zero. */
export const fixed = (value: number, digits: number) => value.toFixed(digits).replace(/^-(0\.?0*)$/, '$1');

/** Mean and, over several seeds, standard deviation. */
export function spread(values: readonly number[], digits: number): string {
  if (values.length === 0) return '–';
  const wide = deviation(values);
  const centre = fixed(mean(values), digits);
  return wide === undefined ? centre : `${centre} ± ${wide.toFixed(digits)}`;
}

/** Shares of 1 in percent. */
export const percent = (shares: readonly number[]) =>
  spread(
    shares.map((share) => 100 * share),
    1,
  );

export const plural = (count: number, noun: string) => `${count} ${noun}${count === 1 ? '' : 's'}`;
