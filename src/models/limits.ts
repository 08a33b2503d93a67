/** What a job may ask of the thread that runs its model; each is checked from headers, before anything is read. */

/** model.json: topologies of a few thousand layers are below. */
export const MAX_TOPOLOGY_BYTES = 4 * 2 ** 20;
/** Weights as F32: WebAssembly has 4 GiB, in which weights, their gradients and a batch's activations lie. */
export const MAX_MODEL_BYTES = 2 ** 30;
/** `x` and `y` of one data set: they are held whole. */
export const MAX_DATASET_BYTES = 2 ** 30;
/** All data sets of one job, and all its models as F32: they are held together. */
export const MAX_TOTAL_BYTES = 2 * 2 ** 30;
/** Elements that one layer may put out for a batch: 1 GiB of F32. */
export const MAX_ACTIVATION_ELEMENTS = 2 ** 28;
/** All Gram matrices of a model as F32; they are summed in f64. */
export const MAX_GRAM_BYTES = 2 ** 29;
export const MAX_BATCH = 4_096;
/** Labels of one classifier: the largest in use are some tens of thousands (ImageNet-21k). */
export const MAX_CLASSES = 100_000;
