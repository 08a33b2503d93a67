import type { Task } from '../../examples/digits/tasks.js';

/** Places of images in a source's training images: `first` … `end` − 1. */
export interface Span {
  readonly first: number;
  readonly end: number;
}

export interface SuiteTask extends Pick<Task, 'name' | 'source' | 'transform'> {
  readonly training: Span;
  /** Never trained on by any task or base; absent where the source has no image left. */
  readonly validation?: Span;
}

/** Tasks that are merged together, and how long each is trained. */
export interface Suite {
  readonly name: string;
  /** Changes when what its models are trained on changes: part of the key of every one of them. */
  readonly version: number;
  readonly tasks: readonly SuiteTask[];
  /** Steps of 64 images. */
  readonly steps: number;
}
