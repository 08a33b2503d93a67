import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { bytes, number, percent, shorten, textWidth } from '../../../src/report-page/format.js';
import { CLASSES, heatScale } from '../../../src/report-page/heat-classes.js';
import { html, trusted } from '../../../src/report-page/html.js';
import { cleanSvg } from '../../../src/report-page/svg.js';
import { ticksFor } from '../../../src/report-page/ticks.js';

test('numbers are written with the digits that count', () => {
  assert.deepEqual(
    [0, 1, 0.4, 12.345, 123456, 0.00001].map((x) => number(x)),
    ['0', '1.000', '0.4000', '12.35', '1.23e+5', '1.00e-5'],
  );
  assert.equal(number(-0.5), '-0.5000');
  assert.deepEqual([percent(0.1234), percent(1)], ['12.3\u2009%', '100.0\u2009%']);
  assert.deepEqual([0, 999, 1000, 2_540_000, 3e15].map(bytes), [
    '0\u2009B',
    '999\u2009B',
    '1.00\u2009kB',
    '2.54\u2009MB',
    '3000.00\u2009TB',
  ]);
});

test('a name that is too long loses its middle, never more than it must', () => {
  assert.equal(shorten('short', 10), 'short');
  const name = 'model.layers.11.attention.weight';
  const short = shorten(name, 10);
  assert.match(short, /^model.*….*weight$/);
  assert.ok(textWidth(short) <= 10 && textWidth(short) > 9);
});

test('whatever a name is, it is text', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (name) => {
      const { markup } = html`<p title="${name}">${name}</p>`;
      assert.doesNotMatch(markup.slice('<p title="'.length, -'</p>'.length).replace('">', ''), /[<>"']/);
    }),
  );
  assert.equal(html`${'<a>'}${1}${trusted('<b>')}${[trusted('<i>'), trusted('<u>')]}`.markup, '&lt;a&gt;1<b><i><u>');
  assert.equal(html`${'\u202eevil\u0000'}`.markup, '\ufffdevil\ufffd');
});

test('an axis holds its values, in at most five round steps', () => {
  const value = fc.double({ min: -1e6, max: 1e6, noNaN: true });
  fc.assert(
    fc.property(fc.array(value, { minLength: 1 }), (values) => {
      const { min, max, interval } = ticksFor(values);
      const slack = interval * 1e-6;
      assert.ok(min <= Math.min(0, ...values) + slack && max >= Math.max(0, ...values) - slack);
      assert.ok(interval > 0 && (max - min) / interval <= 5 + 1e-6);
    }),
  );
  assert.deepEqual(ticksFor([0.2, 0.7], 1), { min: 0, max: 1, interval: 0.5 });
  assert.deepEqual(ticksFor([0, 0]), { min: 0, max: 1, interval: 1 });
});

test('every value has a colour, and the ends have the first and the last', () => {
  fc.assert(
    fc.property(fc.array(fc.double({ noNaN: true, min: -1e9, max: 1e9 }), { minLength: 1 }), (values) => {
      const { classOf } = heatScale(values);
      for (const value of values) assert.ok(classOf(value) >= 0 && classOf(value) < CLASSES);
    }),
  );
  const { classOf } = heatScale([1, 2, 8]);
  assert.deepEqual([1, 2, 8].map(classOf), [0, 1, CLASSES - 1]);
});

test('what a policy would refuse is taken out of a drawing, and text stays', () => {
  const drawn =
    '<svg width="10" height="20" xmlns="x" version="1.1" viewBox="0 0 10 20">\n<rect width="10" height="20" x="0" y="0" fill="none"></rect>\n' +
    '<path d="M0 0" fill="red" ecmeta_series_index="0" ecmeta_data_index="3" ecmeta_ssr_type="chart" class="a"></path>\n' +
    '<text style="font-size:1px" fill="blue">a style=&quot;b&quot;</text><style ><![CDATA[ .a{} ]]></style></svg>';
  assert.equal(
    cleanSvg(drawn, 'A "title"', (index) => `tip ${index}`),
    '<svg width="10" height="20" viewBox="0 0 10 20" role="img" aria-label="A &quot;title&quot;">' +
      '<path d="M0 0" fill="red"><title>tip 3</title></path><text fill="blue">a style=&quot;b&quot;</text></svg>',
  );
  assert.throws(() => cleanSvg('nothing', ''), /no SVG/);
});
