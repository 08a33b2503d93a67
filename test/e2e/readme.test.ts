/** Every command that the documents show is run here, or (npm, node, docker) checked to exist. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { decodeWeights } from '../../examples/digits/tensor-files.js';
import { readConfig } from '../../src/config.js';
import { startServer } from '../../src/server.js';
import { blocks, configVariables, documents, ROOT, readRoot } from '../helpers/documents.js';

const execute = promisify(execFile);

/** The address that the documents show; the test's server is elsewhere. */
const SHOWN = 'http://127.0.0.1:8080';
/** Variables before a command, and the command. */
const PROGRAM = /^((?:[A-Z_0-9]+=\S* +)*)(npm|node|docker)\b(.*)$/;
/** `curl -w '%header{…}'` is of 7.84, `--json` of 7.82. */
const CURL = 'apt-get update && apt-get install -y curl (7.84 or later)';

const all = documents().flatMap((file) => blocks(readRoot(file), 'sh').map((text) => ({ file, text })));
const lines = (text: string) =>
  text
    .split(/\n| && /)
    .map((line) => line.trim())
    .filter(Boolean);
const ofPrograms = all.filter(({ text }) => lines(text).some((line) => PROGRAM.test(line)));
const ofShell = all.filter((block) => !ofPrograms.includes(block));

test('npm scripts, entries and files of Docker that the documents name are there', async (t) => {
  assert.ok(ofPrograms.length > 5);
  const scripts = Object.keys((JSON.parse(readRoot('package.json')) as { scripts: object }).scripts);
  for (const { file, text } of ofPrograms) {
    for (const line of lines(text)) {
      await t.test(`${file}: ${line}`, () => checkProgram(line, scripts));
    }
  }
});

function checkProgram(line: string, scripts: readonly string[]): void {
  const [, variables, program, rest] = PROGRAM.exec(line) ?? assert.fail('not a command of npm, node or docker');
  const named = [...variables!.matchAll(/([A-Z_0-9]+)=/g), ...rest!.matchAll(/ -e ([A-Z_0-9]+)=/g)];
  for (const [, name] of named) assert.ok(configVariables().includes(name!), `${name} is no variable of src/config.ts`);
  const [command, argument = ''] = rest!.trim().split(/\s+/);
  if (program === 'node') {
    const entry = command === '--test' ? argument : command!;
    assert.ok(existsSync(join(ROOT, entry)), `${entry} is not there after a build`);
  } else if (program === 'docker') {
    assert.ok(['build', 'run', 'compose'].includes(command!), command);
    assert.ok(existsSync(join(ROOT, command === 'compose' ? 'docker-compose.yml' : 'Dockerfile')));
  } else if (command === 'run') assert.ok(scripts.includes(argument), `npm run ${argument} is no script`);
  else assert.ok(command === 'ci' || scripts.includes(command!), `npm ${command} is no script`);
}

test('the walk-through of the documents runs as it is written', async (t) => {
  const missing = await curlMissing();
  if (missing !== undefined) {
    assert.notEqual(process.env.CI, 'true', missing);
    return t.skip(missing);
  }
  const folder = await mkdtemp(join(tmpdir(), 'emr-readme-'));
  const config = readConfig({
    PORT: '0',
    EMR_DATA_DIR: join(folder, 'data'),
    EMR_FILE_ROOTS: join(ROOT, 'examples'),
    LOG_LEVEL: 'silent',
  });
  const server = await startServer(config);
  try {
    const work = join(folder, 'work');
    await mkdir(work);
    await symlink(join(ROOT, 'examples'), join(work, 'examples'));
    // A block of programs, which only has to exist elsewhere, makes what the blocks after it read.
    await execute(process.execPath, [join(ROOT, 'dist/examples/digits/data-sets.js'), join(work, 'data-sets')]);
    const script = ofShell.map(({ text }) => text).join('\n');
    assert.ok(script.includes(SHOWN));
    // -x: when a command fails, the error says which.
    const shell = ['-euxo', 'pipefail', '-c', script.replaceAll(SHOWN, server.url)];
    const { stdout } = await execute('bash', shell, { cwd: work, maxBuffer: 64 * 2 ** 20 });
    assert.match(stdout, /^event: succeeded$/m);
    assert.equal(stdout.match(/^[0-9a-f]{32},/gm)?.length, 25, 'the sweep has a row for each merge');

    const read = async (path: string) => readFile(join(work, path));
    const model = await read('mnist.safetensors');
    const fineTune = await read('examples/digits/checkpoints/mnist/model.safetensors');
    assert.equal(model.byteLength, fineTune.byteLength);
    assert.notDeepEqual(model, fineTune);
    const shapes = (file: Buffer) => [...decodeWeights(file)].map(([name, { shape }]) => [name, [...shape]]);
    assert.deepEqual(shapes(model), shapes(fineTune));
    const half = (await read('mnist-bf16.safetensors')).byteLength / model.byteLength;
    assert.ok(half > 0.49 && half < 0.52, `BF16 has ${half} of the bytes of F32`);
  } finally {
    await server.close();
    await rm(folder, { recursive: true, force: true });
  }
});

async function curlMissing(): Promise<string | undefined> {
  const version = await execute('curl', ['--version']).then(
    ({ stdout }) => /^curl (\d+)\.(\d+)/.exec(stdout),
    () => null,
  );
  const [major, minor] = [Number(version?.[1] ?? 0), Number(version?.[2] ?? 0)];
  return major > 7 || (major === 7 && minor >= 84) ? undefined : `no curl here that knows --json; to bring it: ${CURL}`;
}
