/**
 * A key of the API is `emr_<id>_<secret>`: the id finds its record, the secret proves it. The secret is 256 random bits,
 * which nobody can guess, so that one salted HMAC-SHA-256 protects it: a slow hash is for what people think up.
 */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';

const ID_BYTES = 8;
const SECRET_BYTES = 32;
const SALT_BYTES = 16;

/** 43 characters of base64url are 32 bytes. */
const KEY_PATTERN = /^emr_([0-9a-f]{16})_([A-Za-z0-9_-]{43})$/;
export const API_KEY_ID_PATTERN = /^[0-9a-f]{16}$/;

/** What is stored of a secret; both as hexadecimal digits. */
export interface SecretHash {
  readonly salt: string;
  readonly hash: string;
}

export interface NewKey {
  readonly id: string;
  /** The whole key, which is stored nowhere. */
  readonly key: string;
  readonly secret: SecretHash;
}

export function newKey(): NewKey {
  const id = randomBytes(ID_BYTES).toString('hex');
  const secret = randomBytes(SECRET_BYTES).toString('base64url');
  const salt = randomBytes(SALT_BYTES).toString('hex');
  return { id, key: `emr_${id}_${secret}`, secret: { salt, hash: hashOf(secret, salt).toString('hex') } };
}

/** The two parts of a key, `undefined` if it is not of the form. */
export function parseKey(key: string): { id: string; secret: string } | undefined {
  const [, id, secret] = KEY_PATTERN.exec(key) ?? [];
  return id !== undefined && secret !== undefined ? { id, secret } : undefined;
}

/** Whether the secret is the one that was hashed, in a time that does not depend on how much of it is right. */
export function matchesSecret(secret: string, { salt, hash }: SecretHash): boolean {
  const known = Buffer.from(hash, 'hex');
  const given = hashOf(secret, salt);
  return known.byteLength === given.byteLength && timingSafeEqual(known, given);
}

const hashOf = (secret: string, salt: string) => createHmac('sha256', Buffer.from(salt, 'hex')).update(secret).digest();
