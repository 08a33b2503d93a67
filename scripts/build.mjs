// Builds everything into dist/: TypeScript with tsc, the WebAssembly kernels with asc. Type errors fail the build.
import { spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';

const run = (tool, ...args) => {
  const { status } = spawnSync(process.execPath, [tool, ...args], { stdio: 'inherit' });
  if (status !== 0) process.exit(status ?? 1);
};

mkdirSync('dist/src/kernels', { recursive: true });
run(
  'node_modules/assemblyscript/bin/asc.js',
  'src/kernels/assembly/index.ts',
  '--config',
  'src/kernels/assembly/asconfig.json',
);
run('node_modules/typescript/bin/tsc');
