/** One task's accuracies, 0 … 1. */
export interface Row {
  readonly task: string;
  readonly images: number;
  readonly individual: number;
  readonly average: number;
  readonly emr: number;
}

/** Bytes that have to be kept for all tasks together. */
export interface Stored {
  readonly individual: number;
  readonly average: number;
  readonly emr: number;
  /** The base, which EMR's bundle needs beside it. */
  readonly base: number;
}

const METHODS = ['individual', 'average', 'emr'] as const;

const line = (label: string, images: string, values: readonly string[]) =>
  `${label.padEnd(22)}${images.padStart(7)}${values.map((value) => value.padStart(14)).join('')}`;
const percent = (share: number) => (100 * share).toFixed(1);
const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(2)} MB`;
const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;

/** Accuracy per task and on average in percent, with what each way stores. */
export function formatTable(rows: readonly Row[], stored: Stored): string {
  const header = line('accuracy in %', 'images', ['individual', 'averaging', 'EMR']);
  const rule = '-'.repeat(header.length);
  return [
    header,
    rule,
    ...rows.map((row) =>
      line(
        row.task,
        String(row.images),
        METHODS.map((method) => percent(row[method])),
      ),
    ),
    rule,
    line(
      'average of the tasks',
      '',
      METHODS.map((method) => percent(mean(rows.map((row) => row[method])))),
    ),
    line(
      'stored for all tasks',
      '',
      METHODS.map((method) => megabytes(stored[method])),
    ),
    line('  and the base', '', ['-', '-', megabytes(stored.base)]),
  ].join('\n');
}

/** What has to be said beside the table, whatever its figures are; README.md says more. */
export const CAVEATS = `How to read this: each task keeps its own head in all columns.
- Averaging is so far behind because heads and bodies were trained together. With heads fitted to a frozen body
  (linear probes), an earlier run of this suite had 86.2 for averaging and 89.6 for EMR.
- Five of the eight tasks are transforms of two data sets. Standard error: 0.4 to 1.1 points, UCI digits 1 to 2.
- What EMR loses against the individual models grows with the number of tasks: 1.0 points at 2, 3.1 at 8, 6.0 at 24.
- ?rescaler=l2 is nearer to the fine-tunes in weights and usually, not always, less accurate.`;
