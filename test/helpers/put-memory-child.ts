// Run as a child: streams argv[3] MB into a store at argv[2] and prints how many bytes the peak memory grew meanwhile.
import { openStore, parseStoreUrl } from '../../src/store/open.js';

const [, , url = '', megabytes = '0'] = process.argv;
const store = await openStore(parseStoreUrl(url, { endpoint: process.env.S3_TEST_ENDPOINT }));
/** MB that show what the process holds with any object at all. */
const WARM_UP = 64;
const peak = () => process.resourceUsage().maxRSS * 1024;

/** Fresh buffers, as an HTTP body gives them: whatever keeps them shows. */
async function* generate(size: number): AsyncGenerator<Buffer> {
  for (let left = size * 16; left > 0; left--) yield Buffer.alloc(65_536, left % 251);
}

await store.put('warm-up', generate(WARM_UP));
const before = peak();
await store.put('object', generate(Number(megabytes)));
console.log(peak() - before);
await store.close();
