/** Colours of a heat map, from few to many: as many as can be told apart beside each other. */
export const CLASSES = 7;

export interface HeatScale {
  readonly from: number;
  readonly to: number;
  /** The colour of a value: 0 … CLASSES − 1. */
  classOf(value: number): number;
  /** The bounds between classes, both ends with them. */
  readonly bounds: readonly number[];
}

/** Even classes from the least to the largest value; if all are equal, all are in the first. */
export function heatScale(values: readonly number[]): HeatScale {
  const from = values.reduce((least, value) => Math.min(least, value), Number.POSITIVE_INFINITY);
  const to = values.reduce((most, value) => Math.max(most, value), Number.NEGATIVE_INFINITY);
  const width = (to - from) / CLASSES;
  return {
    from,
    to,
    classOf: (value) => (width > 0 ? Math.min(CLASSES - 1, Math.floor((value - from) / width)) : 0),
    bounds: Array.from({ length: CLASSES + 1 }, (_, i) => (i === CLASSES ? to : from + i * width)),
  };
}
