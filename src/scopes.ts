import { EmrError } from './errors.js';

/** What a key may do; each includes those before it. The routes say which of them they need (docs/operations.md, "Keys"). */
export const KEY_SCOPES = ['read', 'write', 'admin'] as const;
export type KeyScope = (typeof KEY_SCOPES)[number];

/** Who asks, as far as the server knows: which key, whose objects it sees, and what it may do with them. */
export interface Access {
  /** The key's id, for logs; never the key. */
  readonly key: string;
  readonly namespace: string;
  readonly scope: KeyScope;
}

/** `forbidden` unless the key has this scope or a wider one. */
export function requireScope({ scope: held }: Access, scope: KeyScope): void {
  if (KEY_SCOPES.indexOf(held) >= KEY_SCOPES.indexOf(scope)) return;
  throw new EmrError('forbidden', `This takes a key of the scope ${scope}; yours has ${held}.`, { scope });
}
