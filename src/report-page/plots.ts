import { BarChart, HeatmapChart } from 'echarts/charts';
import { GridComponent, VisualMapComponent } from 'echarts/components';
import { type EChartsCoreOption, init, use } from 'echarts/core';
import { SVGRenderer } from 'echarts/renderers';
import { shorten, textWidth, written, writtenShort } from './format.js';
import { CLASSES, heatScale } from './heat-classes.js';
import { escapeText } from './html.js';
import { cleanSvg } from './svg.js';
import { ticksFor } from './ticks.js';
import type { BarFigure, HeatFigure } from './types.js';

use([BarChart, HeatmapChart, GridComponent, VisualMapComponent, SVGRenderer]);

/** Pixels of a plot of bars: a phone’s width without margins, so that its text is never scaled down. */
const WIDTH = 340;
const FONT = 11;
const LABEL_EM = 12;
/** In more rows than this bars are thin and have no numbers beside them: the table has these. */
const WIDE_ROWS = 12;
const TEXT = { color: 'var(--ink)', fontSize: FONT };
const MUTED = { color: 'var(--muted)', fontSize: FONT };
const LINE = { lineStyle: { color: 'var(--line)' } };

/** Colours are variables of the page's style, so that one drawing serves light and dark. */
export function drawBars({ title, unit, series, rows, max }: BarFigure): string {
  const wide = rows.length <= WIDE_ROWS;
  const bar = wide ? 13 : 7;
  const labels = rows.map(({ label }) => shorten(label, LABEL_EM));
  const left = Math.ceil(Math.max(...labels.map(textWidth)) * FONT) + 12;
  const numbers = rows.flatMap(({ values }) =>
    values.map((value) => (value === undefined ? '' : written(value, unit))),
  );
  const right = wide ? Math.ceil(Math.max(...numbers.map(textWidth)) * FONT) + 8 : 16;
  const drawn = rows.flatMap(({ values }) => values.filter((value) => value !== undefined));
  const height = rows.length * (series.length * bar + (wide ? 11 : 8)) + 34;
  const svg = draw(WIDTH, height, {
    grid: { left, right, top: 6, bottom: 28 },
    xAxis: {
      type: 'value',
      ...ticksFor(drawn, max),
      axisLabel: { ...MUTED, formatter: (value: number) => axisText(value, unit) },
      splitLine: LINE,
    },
    yAxis: {
      type: 'category',
      inverse: true,
      data: labels,
      axisTick: { show: false },
      axisLine: LINE,
      axisLabel: { ...TEXT, interval: 0 },
    },
    series: series.map((name, s) => ({
      type: 'bar',
      name,
      silent: true,
      barWidth: bar - 1,
      barGap: `${Math.round(100 / (bar - 1))}%`,
      itemStyle: { color: `var(--series-${s + 1})` },
      label: {
        show: wide,
        position: 'right',
        distance: 4,
        ...TEXT,
        formatter: ({ value }: { value: number | '-' }) => (value === '-' ? '' : writtenShort(value, unit)),
      },
      data: rows.map(({ values }) => values[s] ?? '-'),
    })),
  });
  return cleanSvg(svg, title);
}

/** Axes want few digits where labels beside bars want many. */
function axisText(value: number, unit: BarFigure['unit']): string {
  if (unit === 'percent') return `${Number((100 * value).toFixed(1))}\u2009%`;
  if (unit === 'bytes') return written(value, unit).replace(/\.0+(?=\D)/, '');
  return Math.abs(value) >= 1e5 ? value.toExponential() : String(Number(value.toPrecision(4)));
}

const ROW = 17;
const ROW_LABEL_EM = 20;
const COLUMN_LABEL_EM = 12;
/** Pixels over which the columns of a map are spread, between cells that are too thin and too wide. */
const COLUMNS_WIDTH = 230;
const cellWidth = (columns: number) => Math.max(16, Math.min(44, Math.floor(COLUMNS_WIDTH / columns)));

/** One square for each layer and task; every square says its own value where a pointer rests on it. */
export function drawHeat({ title, unit, rows, columns, values }: HeatFigure): string {
  const scale = heatScale(values.flat().filter((value) => value !== undefined));
  const rowLabels = rows.map((label) => shorten(label, ROW_LABEL_EM));
  const columnLabels = columns.map((label) => shorten(label, COLUMN_LABEL_EM));
  const left = Math.ceil(Math.max(...rowLabels.map(textWidth)) * FONT) + 12;
  const top = Math.ceil(Math.max(...columnLabels.map(textWidth)) * FONT) + 14;
  const width = left + columns.length * cellWidth(columns.length) + 10;
  const cells = values.flatMap((row, y) => row.flatMap((value, x) => (value === undefined ? [] : [{ x, y, value }])));
  const axis = { type: 'category', axisTick: { show: false }, axisLine: { show: false } };
  const svg = draw(width, top + rows.length * ROW + 6, {
    grid: { left, right: 10, top, bottom: 6 },
    xAxis: { ...axis, position: 'top', data: columnLabels, axisLabel: { ...TEXT, interval: 0, rotate: 90 } },
    yAxis: { ...axis, inverse: true, data: rowLabels, axisLabel: { ...TEXT, interval: 0 } },
    visualMap: {
      type: 'piecewise',
      show: false,
      dimension: 2,
      pieces: Array.from({ length: CLASSES }, (_, value) => ({ value, color: `var(--heat-${value})` })),
    },
    series: [
      {
        type: 'heatmap',
        silent: true,
        itemStyle: { borderColor: 'var(--surface)', borderWidth: 1 },
        data: cells.map(({ x, y, value }) => [x, y, scale.classOf(value)]),
      },
    ],
  });
  const tip = (index: number) => {
    const { x, y, value } = cells[index]!;
    return escapeText(`${rows[y]}, ${columns[x]}: ${written(value, unit)}`);
  };
  return cleanSvg(svg, title, tip);
}

function draw(width: number, height: number, option: EChartsCoreOption): string {
  const chart = init(null, null, { renderer: 'svg', ssr: true, width, height });
  try {
    chart.setOption({ animation: false, textStyle: { fontFamily: 'sans-serif' }, ...option });
    return chart.renderToSVGString({ useViewBox: true });
  } finally {
    chart.dispose();
  }
}
