/** What a page shows of merges that are too large to show whole. Everything is in the JSON report. */

/** Tasks in one plot: forty bars, or columns, are as many as can be told apart. */
export const MAX_TASKS_DRAWN = 40;
/** Rows of a heat map. */
export const MAX_LAYERS_DRAWN = 40;
/** Rows of the tensor tables of all tasks together: some hundred kB of markup. */
export const MAX_TENSOR_ROWS = 1_500;
/** Of one task, however many tasks there are. */
export const MIN_TENSOR_ROWS = 10;
/** Rows of the table of evaluations: the newest. */
export const MAX_EVALUATIONS = 500;
/** Bars of one task in the plot of accuracies. */
export const MAX_VARIANTS = 4;
