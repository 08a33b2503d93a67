import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { test } from 'node:test';
import { PARTS, replacePart } from '../../../src/cli/docs.js';
import { blocks, configVariables, documents, ROOT, readRoot } from '../../helpers/documents.js';

for (const [file, render] of Object.entries(PARTS)) {
  test(`${file} is what the code says`, () => {
    const text = readRoot(file);
    assert.equal(text, replacePart(text, render()), 'run node dist/src/cli/docs.js after a build');
  });
}

test('the README lists every variable of the configuration, and no other', () => {
  const [, section] = /^## Configuration$(.*?)^## /ms.exec(readRoot('README.md'))!;
  const listed = [...section!.matchAll(/^\| `([A-Z0-9_]+)` /gm)].map(([, name]) => name);
  assert.deepEqual(listed.toSorted(), configVariables().toSorted());
});

test('docs/formats.md shows the script that rebuilds a task as it is', () => {
  const shown = blocks(readRoot('docs/formats.md'), 'python').at(-1);
  assert.equal(shown, readRoot('docs/snippets/rebuild.py'));
});

test('docs/webhooks.md shows the check of a signature as it is', () => {
  const shown = blocks(readRoot('docs/webhooks.md'), 'js').at(-1);
  assert.equal(shown, readRoot('docs/snippets/verify-webhook.mjs'));
});

test('every script that a document names is one of package.json', () => {
  const { scripts } = JSON.parse(readRoot('package.json')) as { scripts: object };
  const named = documents().flatMap((file) => [...readRoot(file).matchAll(/npm\s+run\s+([a-z][a-z:-]*)/g)]);
  assert.ok(named.length > 10);
  for (const [command, script] of named) assert.ok(script! in scripts, command);
});

/** A heading as GitHub makes an anchor of it. */
const anchor = (heading: string) =>
  heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N} _-]/gu, '')
    .replaceAll(' ', '-');

function anchors(file: string): string[] {
  const text = readRoot(file);
  const headings = [...text.matchAll(/^#+ (.*)$/gm)].map(([, heading]) => anchor(heading!));
  return [...headings, ...[...text.matchAll(/<a id="([^"]+)">/g)].map(([, id]) => id!)];
}

test('every link within the repository leads somewhere', () => {
  let followed = 0;
  for (const file of documents()) {
    for (const [, target] of readRoot(file).matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^[a-z]+:/.test(target!)) continue;
      const [path, hash] = target!.split('#') as [string, string?];
      const found = path === '' ? file : normalize(join(dirname(file), path));
      followed++;
      assert.ok(existsSync(join(ROOT, found)), `${file} links ${target}`);
      if (hash) assert.ok(anchors(found).includes(hash), `${file} links ${target}, which has no such heading`);
    }
  }
  assert.ok(followed > 10);
});

test('every promise of docs/operations.md names the tests that show it', () => {
  const [, section] = /^## Promises$(.*?)^## /ms.exec(readRoot('docs/operations.md'))!;
  const rows = section!.split('\n').filter((line) => line.startsWith('| ') && !line.startsWith('| promise '));
  assert.ok(rows.length > 5);
  for (const row of rows.filter((line) => !/^\| -+/.test(line))) {
    const tests = [...row.matchAll(/`(test\/[^`]+)`/g)].map(([, path]) => path!);
    assert.ok(tests.length > 0, row);
    for (const path of tests) assert.ok(existsSync(join(ROOT, path)), `${path} of: ${row}`);
  }
});
