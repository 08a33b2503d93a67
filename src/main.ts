/** Entry of the API process: `npm start`. */
import closeWithGrace from 'close-with-grace';
import { readConfig } from './config.js';
import { createLogger } from './logger.js';
import { startServer } from './server.js';

async function start() {
  const config = readConfig(process.env);
  const logger = createLogger(config);
  return { config, logger, server: await startServer(config, logger) };
}

/** What is wrong, for whoever typed the command; where in the code it was found is of no use to them. */
function refuse(error: Error): never {
  process.stderr.write(`${error.message}\n`);
  process.exit(1);
}

const { config, logger, server } = await start().catch(refuse);
process.stdout.write(`emr-merge listens on ${server.url}\nAPI docs: ${server.url}/docs\n`);
closeWithGrace({ delay: config.graceMs }, async ({ err }) => {
  if (err) logger.fatal({ err }, 'the server fails');
  await server.close();
});
