/** Entry of the API process: `npm start`. */
import closeWithGrace from 'close-with-grace';
import { readConfig } from './config.js';
import { startServer } from './server.js';

const config = readConfig(process.env);
const server = await startServer(config);
process.stdout.write(`emr-merge listens on ${server.url}\nAPI docs: ${server.url}/docs\n`);
closeWithGrace({ delay: config.graceMs }, async ({ err }) => {
  if (err) process.stderr.write(`${err.stack}\n`);
  await server.close();
});
