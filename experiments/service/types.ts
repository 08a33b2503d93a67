/** A method as a merge request has it: docs/methods.md. */
export interface MethodRequest {
  readonly type: string;
  readonly [parameter: string]: unknown;
}

/** How a task's model is rendered, of the query of a download. */
export type Rendering = Readonly<Record<string, string>>;

export interface MergeRequest {
  readonly base: string;
  readonly tasks: readonly { readonly name: string; readonly checkpoint: string }[];
  readonly method: MethodRequest;
  readonly dtype?: string;
}

/** The figures of report.json that the experiments use: docs/formats.md. */
export interface MergeReport {
  readonly parameters: number;
  readonly tasks: Readonly<Record<string, TaskReport>>;
}

export interface TaskReport {
  readonly density: number;
  readonly sign_conflicts: number;
  readonly tau_squared_norm: number;
  readonly rescalers: { readonly global: number; readonly tensor_mean: number; readonly l2: number };
  readonly distances: {
    readonly unified: number;
    readonly masked: number;
    readonly rescaled: { readonly global: number; readonly tensor_mean: number; readonly l2: number };
  };
  readonly cosine: { readonly unified: number; readonly masked: number };
}

/** The service does not know what it was asked for: a method or a kind of job that is not built. */
export class NotOffered extends Error {}
