import type { EvaluationFact } from '../catalog/evaluations.js';
import type { Report } from '../merge/report.js';
import type { TaskFigures } from './steps.js';

/** report.json; of its figures, what all methods have and what only those with masks have are told apart. */
export type ReportData = Omit<Report, 'tasks'> & { readonly tasks: Readonly<Record<string, TaskFigures>> };

export interface MergeFacts {
  readonly id: string;
  readonly name?: string | undefined;
  readonly finished_at: string;
  readonly seconds: number;
}

/** All that a page is drawn from. */
export interface PageInput {
  readonly merge: MergeFacts;
  readonly report: ReportData;
  readonly evaluations: readonly EvaluationFact[];
}

/** How a number is written beside its bar and on its axis. */
export type Unit = 'percent' | 'number' | 'bytes';

export interface BarFigure {
  readonly kind: 'bars';
  readonly title: string;
  readonly unit: Unit;
  /** One bar for each in every row, in this order. */
  readonly series: readonly string[];
  readonly rows: readonly { readonly label: string; readonly values: readonly (number | undefined)[] }[];
  /** The end of the axis, where the figure has a natural one. */
  readonly max?: number;
}

export interface HeatFigure {
  readonly kind: 'heat';
  readonly title: string;
  readonly unit: Unit;
  readonly rows: readonly string[];
  readonly columns: readonly string[];
  /** By row, then by column; undefined where there is nothing to show. */
  readonly values: readonly (readonly (number | undefined)[])[];
}

export type Figure = BarFigure | HeatFigure;

export interface Table {
  readonly caption: string;
  readonly columns: readonly string[];
  /** The first cell of a row is its heading. */
  readonly rows: readonly (readonly string[])[];
  /** What was left out, and where it is. */
  readonly note?: string;
}

export interface Section {
  readonly title: string;
  readonly text: string;
  readonly figures: readonly Figure[];
  readonly tables: readonly Table[];
  /** What of the figures was left out or put together. */
  readonly notes: readonly string[];
}

export interface Tile {
  readonly label: string;
  readonly value: string;
  readonly note: string;
}

/** The page before it has a look: every text is plain and not yet escaped, every number in a table is formatted. */
export interface PageModel {
  readonly title: string;
  readonly facts: readonly (readonly [string, string])[];
  readonly tiles: readonly Tile[];
  readonly warnings: readonly string[];
  readonly sections: readonly Section[];
}
