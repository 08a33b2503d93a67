/** The page of a report in a real browser, and what the route says of it. */
import assert from 'node:assert/strict';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type Browser, chromium, type LoadedPage } from '../helpers/chromium.js';
import { ROOT } from '../helpers/documents.js';
import { randomTensor, singleFile } from '../helpers/model-files.js';
import { testServer } from '../helpers/server.js';

/** Markup, quotes and a turn of the writing direction where a name may have them: in names of tensors. */
const HOSTILE = '<img src=x onerror=alert(1)>"\'&\u202e</svg></title><script>alert(2)</script>';

const server = await testServer();
const browser = await chromium();
before(async () => {
  await upload('base', 0);
  for (let t = 1; t <= 8; t++) await upload(`ft-${t}`, t);
  for (const type of ['emr', 'task_arithmetic']) assert.equal((await server.merge(request(type))).state, 'succeeded');
});
after(async () => {
  if (!('skip' in browser)) await browser.close();
  await server.close();
});

function upload(name: string, seed: number): Promise<Response> {
  const layers = Array.from({ length: 12 }, (_, layer) => `model.layers.${layer}.attention.query.weight`);
  const tensors = [...layers, HOSTILE].map((tensor, k) => randomTensor(tensor, [31, 7], seed * 100 + k));
  return server.upload(name, singleFile(tensors));
}

function request(type: string) {
  const tasks = Array.from({ length: 8 }, (_, t) => ({
    name: `${'long-'.repeat(t)}task-${t}`,
    checkpoint: `ft-${t + 1}`,
  }));
  return { name: `merge-${type}`, base: 'base', tasks, method: { type } };
}

const path = (type: string) => `/v1/merges/merge-${type}/report?format=html`;

test('the page is HTML that may load and run nothing, with a tag that holds', async () => {
  const response = await server.call('GET', path('emr'));
  assert.equal(response.status, 200);
  assert.equal(response.headers.get('content-type'), 'text/html; charset=utf-8');
  const policy = response.headers.get('content-security-policy')!;
  assert.match(policy, /default-src 'none'/);
  assert.doesNotMatch(policy, /unsafe|script|https?:/);
  const page = await response.text();
  assert.ok(!page.includes('<script') && !page.includes('<img'), 'a name became markup');
  assert.ok(!page.includes('\u202e'), 'a name turns the writing direction');
  assert.doesNotMatch(page, /(?:src|href)="(?!data:,")/);
  const etag = response.headers.get('etag')!;
  const again = await server.call('GET', path('emr'), { headers: { 'if-none-match': etag } });
  assert.equal(again.status, 304);
});

test('an unknown format, and a report of a merge that is not there, are refused', async () => {
  await server.refuse('invalid_request', 400, 'GET', '/v1/merges/merge-emr/report?format=pdf');
  await server.refuse('unknown_merge', 404, 'GET', '/v1/merges/nobody/report?format=html');
});

for (const type of ['emr', 'task_arithmetic']) {
  for (const scheme of ['light', 'dark'] as const) {
    for (const width of [1280, 400]) {
      test(`${type}, ${scheme}, ${width} px`, async (t) => {
        if ('skip' in browser) return t.skip(browser.skip);
        const page = await (browser as Browser).load(server.url + path(type), { width, scheme });
        try {
          await checkPage(page, width);
        } finally {
          await page.close();
        }
      });
    }
  }
}

async function checkPage(page: LoadedPage, width: number): Promise<void> {
  assert.deepEqual(page.complaints, []);
  assert.deepEqual(
    page.requests.filter((url) => !url.startsWith('data:')).map((url) => new URL(url).pathname.split('/').at(-1)),
    ['report'],
    'it asks for nothing but itself',
  );
  const seen = await page.evaluate<Seen>(`(${look})()`);
  assert.ok(seen.plots.length >= 5);
  for (const plot of seen.plots) {
    assert.ok(plot.width > 200 && plot.height > 50 && plot.shapes > 3, JSON.stringify(plot));
    assert.notEqual(plot.label, '');
  }
  assert.ok(seen.pageWidth <= width, `the page is ${seen.pageWidth} px wide`);
  assert.deepEqual(seen.spilled, []);
  assert.deepEqual(seen.faint, []);
}

interface Seen {
  readonly plots: { width: number; height: number; shapes: number; label: string }[];
  readonly pageWidth: number;
  /** Text that leaves its plot or its box. */
  readonly spilled: string[];
  /** Text of a contrast below 4.5 to what it stands on, and bars below 3. */
  readonly faint: string[];
}

/** Runs in the page: as text, since the types of a browser are not known here. */
const look = `() => {
  for (const one of document.querySelectorAll('details')) one.open = true;
  const rgb = (color) => color.match(/[\\d.]+/g).map(Number);
  const light = (color) => {
    const [r, g, b] = rgb(color).map((c) => c / 255).map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const contrast = (a, b) => {
    const [dark, bright] = [light(a), light(b)].sort((x, y) => x - y);
    return (bright + 0.05) / (dark + 0.05);
  };
  const ground = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const color = getComputedStyle(at).backgroundColor;
      if ((rgb(color)[3] ?? 1) > 0) return color;
    }
    return 'rgb(255, 255, 255)';
  };
  const ownText = (element) => [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim() !== '');
  const spilled = [];
  const faint = [];
  for (const element of document.querySelectorAll('body *')) {
    if (!ownText(element) || element.closest('title')) continue;
    const isSvg = element.namespaceURI.endsWith('svg');
    const style = getComputedStyle(element);
    const rate = contrast(isSvg ? style.fill : style.color, ground(element));
    if (!(rate >= 4.5)) faint.push(element.textContent + ' ' + rate);
    const box = element.getBoundingClientRect();
    const home = isSvg ? element.ownerSVGElement.getBoundingClientRect() : undefined;
    const inside = home
      ? box.left >= home.left - 1 && box.right <= home.right + 1 && box.top >= home.top - 1 && box.bottom <= home.bottom + 1
      : element.closest('.table') !== null || (box.left >= 0 && box.right <= innerWidth + 1 && element.scrollWidth <= element.clientWidth + (style.display === 'inline' ? Infinity : 1));
    if (!inside) spilled.push(element.textContent);
  }
  for (const bar of document.querySelectorAll('svg path[fill^="var(--series"]')) {
    const rate = contrast(getComputedStyle(bar).fill, ground(bar));
    if (!(rate >= 3)) faint.push(bar.getAttribute('fill') + ' ' + rate);
  }
  const plots = [...document.querySelectorAll('svg')].map((svg) => {
    const { width, height } = svg.getBoundingClientRect();
    return { width, height, shapes: svg.querySelectorAll('path').length, label: svg.getAttribute('aria-label') ?? '' };
  });
  return { plots, pageWidth: document.documentElement.scrollWidth, spilled, faint };
}`;

test('docs/report.png is a picture that is small enough to keep', async () => {
  const file = join(ROOT, 'docs/report.png');
  assert.ok((await stat(file)).size < 200_000);
  assert.equal((await readFile(file)).toString('latin1', 1, 4), 'PNG');
});
