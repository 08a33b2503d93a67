/** Entry of the API process: `npm start`. */
import closeWithGrace from 'close-with-grace';
import { readConfig } from './config.js';
import { startServer } from './server.js';

/** Downloads and uploads in flight may take this long to end after SIGTERM. */
const GRACE_MS = 30_000;

const config = readConfig(process.env);
const server = await startServer(config);
process.stdout.write(`emr-merge listens on ${server.url}\nAPI docs: ${server.url}/docs\n`);
closeWithGrace({ delay: GRACE_MS }, async ({ err }) => {
  if (err) process.stderr.write(`${err.stack}\n`);
  await server.close();
});
