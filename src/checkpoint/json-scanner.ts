import { MAX_JSON_DEPTH } from './limits.js';

export type JsonProblem = 'syntax' | 'duplicate';

/**
 * Walks over a JSON text (RFC 8259) under the caller's direction: each method takes the value that comes next if it is
 * of its kind, and otherwise takes nothing and says so. What the caller did not ask for is never built, so a hostile
 * text costs no more memory than the caller allows. `JSON.parse` would not do: of two equal keys it keeps the last.
 */
export interface JsonScanner {
  /** Calls `onEntry` before each value, which it must take. False: not an object. Keys are compared unescaped. */
  object(onEntry: (key: string) => void): boolean;
  /** Calls `onItem` before each value, which it must take. False: not a list. */
  array(onItem: () => void): boolean;
  /** Undefined: not a string. Lone surrogates, which UTF-8 cannot hold, are a syntax error. */
  string(): string | undefined;
  /** A number written as a plain non-negative integer up to 2^53 − 1; NaN for any other number. Undefined: no number. */
  count(): number | undefined;
  /** Takes any value, duplicate keys refused in it too. */
  skip(): void;
  /** The text must be at its end; white space may follow, as upstream allows. */
  end(): void;
}

const NUMBER = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;
const PLAIN_INTEGER = /^(?:0|[1-9][0-9]{0,15})$/;
const LITERAL = /true|false|null/y;

/** @param refusal makes the error to throw for a text that is not JSON, or that has one key twice in an object. */
export function jsonScanner(text: string, refusal: (problem: JsonProblem, detail: string) => Error): JsonScanner {
  let at = 0;
  let depth = 0;
  const syntax = (what: string) => refusal('syntax', `${what} at character ${at}`);

  const space = () => {
    for (let unit = text.charCodeAt(at); unit === 0x20 || unit === 0x0a || unit === 0x0d || unit === 0x09; ) {
      unit = text.charCodeAt(++at);
    }
  };
  const take = (character: string): boolean => {
    space();
    if (text[at] !== character) return false;
    at++;
    return true;
  };
  const expect = (character: string) => {
    if (!take(character)) throw syntax(`'${character}' expected`);
  };
  const lexeme = (pattern: RegExp): string | undefined => {
    space();
    pattern.lastIndex = at;
    const found = pattern.exec(text)?.[0];
    at += found?.length ?? 0;
    return found;
  };
  const deeper = () => {
    if (++depth > MAX_JSON_DEPTH) throw syntax(`more than ${MAX_JSON_DEPTH} levels`);
  };

  const scanner: JsonScanner = {
    object(onEntry) {
      if (!take('{')) return false;
      deeper();
      const keys = new Set<string>();
      if (!take('}')) {
        do {
          const key = scanner.string();
          if (key === undefined) throw syntax('a key expected');
          if (keys.has(key)) throw refusal('duplicate', `the key ${JSON.stringify(key.slice(0, 200))} appears twice`);
          keys.add(key);
          expect(':');
          onEntry(key);
        } while (take(','));
        expect('}');
      }
      depth--;
      return true;
    },

    array(onItem) {
      if (!take('[')) return false;
      deeper();
      if (!take(']')) {
        do onItem();
        while (take(','));
        expect(']');
      }
      depth--;
      return true;
    },

    string() {
      if (!take('"')) return undefined;
      const start = at;
      let escaped = false;
      for (let unit = text.charCodeAt(at); unit !== 0x22; unit = text.charCodeAt(++at)) {
        // The comparison is false for NaN too, which is what lies beyond the end of the text.
        if (!(unit >= 0x20)) throw syntax('an unended string or a raw control character');
        if (unit !== 0x5c) continue;
        escaped = true;
        at++;
      }
      const raw = text.slice(start, at++);
      return escaped ? unescapeString(raw) : raw;
    },

    count() {
      const found = lexeme(NUMBER);
      if (found === undefined) return undefined;
      const value = PLAIN_INTEGER.test(found) ? Number(found) : Number.NaN;
      return Number.isSafeInteger(value) ? value : Number.NaN;
    },

    skip() {
      if (scanner.object(() => scanner.skip()) || scanner.array(() => scanner.skip())) return;
      if (scanner.string() !== undefined || scanner.count() !== undefined || lexeme(LITERAL) !== undefined) return;
      throw syntax('a value expected');
    },

    end() {
      space();
      if (at !== text.length) throw syntax('the end expected');
    },
  };

  function unescapeString(raw: string): string {
    let value: string;
    try {
      value = JSON.parse(`"${raw}"`);
    } catch {
      throw syntax('an invalid escape before this');
    }
    if (/\p{Surrogate}/u.test(value)) throw syntax('a lone surrogate before this');
    return value;
  }

  return scanner;
}
