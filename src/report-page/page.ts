import { written } from './format.js';
import { CLASSES, heatScale } from './heat-classes.js';
import { type Html, html, trusted } from './html.js';
import { pageModel } from './page-model.js';
import { drawBars, drawHeat } from './plots.js';
import { STYLE } from './style.js';
import type { BarFigure, Figure, HeatFigure, PageInput, PageModel, Section, Table } from './types.js';

/** The page of a report: one HTML document without scripts, and without anything that would have to be loaded. */
export function renderPage(input: PageInput): string {
  return layOut(pageModel(input)).markup;
}

function layOut({ title, facts, tiles, warnings, sections }: PageModel): Html {
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<title>${title}: merge report</title>
<link rel="icon" href="data:,">
<style>${trusted(STYLE)}</style>
</head>
<body>
<header>
<h1>${title}</h1>
<dl>${facts.map(([name, value]) => html`<dt>${name}</dt><dd>${value}</dd>`)}</dl>
</header>
<main>
<ul class="tiles">${tiles.map(
    ({ label, value, note }) => html`<li><span>${label}</span><strong>${value}</strong><span>${note}</span></li>`,
  )}</ul>
${warnings.length > 0 ? html`<ul class="warnings">${warnings.map((warning) => html`<li>${warning}</li>`)}</ul>` : ''}
${sections.map(section)}
</main>
</body>
</html>
`;
}

function section({ title, text, figures, tables, notes }: Section): Html {
  return html`<section>
<h2>${title}</h2>
<p class="muted">${text}</p>
${notes.map((note) => html`<p class="note">${note}</p>`)}
${figures.length > 0 ? html`<div class="figures">${figures.map(figure)}</div>` : ''}
${tables.map(table)}
</section>
`;
}

const figure = (one: Figure) => (one.kind === 'bars' ? barFigure(one) : heatFigure(one));

function barFigure(bars: BarFigure): Html {
  const items = bars.series.map((name, s) => html`<li><i class="series-${s + 1}"></i>${name}</li>`);
  return html`<figure><figcaption>${bars.title}</figcaption>
${items.length > 1 ? html`<ul class="legend">${items}</ul>` : ''}
<div class="plot">${trusted(drawBars(bars))}</div></figure>`;
}

function heatFigure(heat: HeatFigure): Html {
  const values = heat.values.flat().filter((value) => value !== undefined);
  const { from, to } = heatScale(values);
  const chips = Array.from({ length: CLASSES }, (_, i) => html`<i class="heat-${i}"></i>`);
  if (values.length === 0) return html`<figure><figcaption>${heat.title}</figcaption><p>No elements.</p></figure>`;
  return html`<figure><figcaption>${heat.title}</figcaption>
<div class="plot" tabindex="0" role="group" aria-label="${heat.title}">${trusted(drawHeat(heat))}</div>
<ul class="legend scale"><li>${written(from, heat.unit)}</li><li>${chips}</li><li>${written(to, heat.unit)}</li></ul></figure>`;
}

/** Closed at first: the plots say the same. Open, it scrolls within itself. */
function table({ caption, columns, rows, note }: Table): Html {
  const head = columns.map((column) => html`<th scope="col">${column}</th>`);
  return html`<details><summary>${caption}</summary>
${note === undefined ? '' : html`<p class="note">${note}</p>`}
<div class="table" tabindex="0" role="group" aria-label="${caption}"><table><thead><tr>${head}</tr></thead><tbody>${rows.map(row)}</tbody></table></div>
</details>`;
}

/** Numbers stand right, words left. */
const NUMERIC = /^[-–]?\d|^–$/;

const row = ([heading = '', ...cells]: readonly string[]): Html =>
  html`<tr><th scope="row">${heading}</th>${cells.map((cell) =>
    NUMERIC.test(cell) ? html`<td>${cell}</td>` : html`<td class="text">${cell}</td>`,
  )}</tr>
`;
