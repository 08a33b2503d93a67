#!/usr/bin/env node
/** The command `emr`: what is done beside the API, by whoever has the store. */
import { KEYS_USAGE, runKeysHere, UsageError } from './keys.js';

const [subject, ...args] = process.argv.slice(2);
try {
  if (subject !== 'keys')
    throw new UsageError(subject === undefined ? 'Say what to do.' : `There is no emr ${subject}.`);
  await runKeysHere(args);
} catch (error) {
  const { message } = error as Error;
  process.stderr.write(error instanceof UsageError ? `${message}\n\n${KEYS_USAGE}\n` : `${message}\n`);
  process.exitCode = 1;
}
