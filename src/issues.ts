/** What zod says of a value that does not fit, as far as it is needed here. */
export interface Issue {
  readonly code: string;
  readonly path: readonly PropertyKey[];
  readonly message: string;
  /** Of `invalid_union`: what each branch says, by paths that begin at the union. Empty if no branch was tried. */
  readonly errors?: readonly (readonly Issue[])[];
  /** Of `unrecognized_keys`. */
  readonly keys?: readonly string[];
}

/** The same with every union's issue replaced by those of the branch that the value was most likely meant for. */
export function explained(issues: readonly Issue[]): Issue[] {
  return issues.flatMap((issue) => {
    if (!issue.errors?.length) return [issue];
    return explained(nearest(issue.errors)).map((inner) => ({ ...inner, path: [...issue.path, ...inner.path] }));
  });
}

/** The branch of the value's own kind that knows most of its keys; then the one that has least to say. */
function nearest(branches: readonly (readonly Issue[])[]): readonly Issue[] {
  const ranked = branches.map((issues) => {
    const whole = issues.filter(({ path }) => path.length === 0);
    return {
      issues,
      otherKind: whole.filter(({ code }) => code === 'invalid_type').length,
      unknownKeys: whole.reduce((sum, { keys = [] }) => sum + keys.length, 0),
    };
  });
  ranked.sort(
    (a, b) => a.otherKind - b.otherKind || a.unknownKeys - b.unknownKeys || a.issues.length - b.issues.length,
  );
  return ranked[0]!.issues;
}
