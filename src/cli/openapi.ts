/** Writes openapi.yaml from the routes' schemas; `--check` only says whether the file is up to date. */
import { readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { buildApp } from '../api/app.js';
import { readConfig } from '../config.js';
import { packageVersion } from '../server.js';
import { createServices } from '../services.js';

export async function renderOpenApi(): Promise<string> {
  const logger = pino({ level: 'silent' });
  // Nothing is read or written: a file store makes its folder when it is first written to.
  const services = await createServices(readConfig({ EMR_DATA_DIR: join(tmpdir(), 'emr-openapi') }), logger);
  const app = await buildApp({ services, logger, version: packageVersion() });
  await app.ready();
  const yaml = app.swagger({ yaml: true });
  await app.close();
  await services.close();
  return yaml;
}

if (process.argv[1]?.endsWith('openapi.js')) {
  const yaml = await renderOpenApi();
  if (!process.argv.includes('--check')) writeFileSync('openapi.yaml', yaml);
  else if (readFileSync('openapi.yaml', 'utf8') !== yaml) {
    process.stderr.write('openapi.yaml is not what the routes say: run npm run openapi.\n');
    process.exitCode = 1;
  }
}
