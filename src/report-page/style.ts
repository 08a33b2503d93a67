/**
 * The page's only style. Text has a contrast of 4.5 or more to what it stands on, bars 3 or more, in light and in dark;
 * a test in a browser measures it.
 */
export const STYLE = `
:root {
  color-scheme: light dark;
  --page: #f4f5f7; --surface: #ffffff; --ink: #1b2430; --muted: #566170; --line: #d5dae1; --warn: #7a4a00; --warn-surface: #fff4dd;
  --series-1: #2f6db5; --series-2: #c2591a; --series-3: #1f8474; --series-4: #8155b8;
  --heat-0: #e6f0fa; --heat-1: #c3dbf1; --heat-2: #98c0e5; --heat-3: #6aa1d6; --heat-4: #4280c0; --heat-5: #255f9f; --heat-6: #123f73;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #11151b; --surface: #1a2029; --ink: #e6eaf0; --muted: #a3adba; --line: #36404d; --warn: #ffd891; --warn-surface: #3a2c10;
    --series-1: #6ba6ea; --series-2: #f0995a; --series-3: #4dbfa9; --series-4: #b995ea;
    --heat-0: #233245; --heat-1: #2b4a6e; --heat-2: #346497; --heat-3: #4881bd; --heat-4: #6ba1d8; --heat-5: #9cc3ea; --heat-6: #d5e7f9;
  }
}
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 24px 32px 48px; max-width: 1280px; background: var(--page); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
h1 { margin: 0 0 12px; font-size: 26px; line-height: 1.25; overflow-wrap: anywhere; }
h2 { margin: 0 0 4px; font-size: 19px; }
p { margin: 4px 0 12px; max-width: 75ch; }
.muted, .note, figcaption small { color: var(--muted); }
.note { font-size: 13px; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 2px 16px; margin: 0; }
dt { color: var(--muted); }
dd { margin: 0; overflow-wrap: anywhere; }
section, header { margin-top: 20px; padding: 18px 20px; background: var(--surface); border: 1px solid var(--line); border-radius: 10px; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(190px, 1fr)); gap: 12px; margin: 20px 0 0; padding: 0; list-style: none; }
.tiles li { padding: 14px 16px; background: var(--surface); border: 1px solid var(--line); border-radius: 10px; }
.tiles strong { display: block; font-size: 26px; line-height: 1.3; font-weight: 600; font-variant-numeric: tabular-nums; }
.tiles span { display: block; color: var(--muted); font-size: 13px; }
.warnings { margin: 20px 0 0; padding: 12px 20px 12px 36px; color: var(--warn); background: var(--warn-surface); border-radius: 10px; overflow-wrap: anywhere; }
.figures { display: flex; flex-wrap: wrap; align-items: flex-start; gap: 24px 40px; margin-top: 12px; }
figure { margin: 0; min-width: 0; max-width: 100%; }
figcaption { margin-bottom: 6px; font-weight: 600; }
svg { display: block; }
.plot { overflow-x: auto; }
.plot:focus-visible, .table:focus-visible, summary:focus-visible { outline: 2px solid var(--series-1); outline-offset: 2px; }
svg text { font: 11px system-ui, sans-serif; font-variant-numeric: tabular-nums; }
.legend { display: flex; flex-wrap: wrap; gap: 2px 14px; margin: 0 0 4px; padding: 0; list-style: none; font-size: 13px; color: var(--muted); }
.legend i { display: inline-block; width: 11px; height: 11px; margin-right: 6px; border-radius: 2px; vertical-align: -1px; }
.scale { gap: 0; align-items: center; margin-top: 6px; font-variant-numeric: tabular-nums; }
.scale i { width: 22px; margin: 0; border-radius: 0; vertical-align: -1px; }
.scale li:first-child { margin-right: 8px; }
.scale li:last-child { margin-left: 8px; }
.series-1 { background: var(--series-1); } .series-2 { background: var(--series-2); } .series-3 { background: var(--series-3); } .series-4 { background: var(--series-4); }
.heat-0 { background: var(--heat-0); } .heat-1 { background: var(--heat-1); } .heat-2 { background: var(--heat-2); } .heat-3 { background: var(--heat-3); } .heat-4 { background: var(--heat-4); } .heat-5 { background: var(--heat-5); } .heat-6 { background: var(--heat-6); }
details { margin-top: 10px; border-top: 1px solid var(--line); padding-top: 8px; }
summary { cursor: pointer; font-size: 14px; overflow-wrap: anywhere; }
.table { overflow-x: auto; margin-top: 8px; }
table { border-collapse: collapse; font-size: 13px; font-variant-numeric: tabular-nums; }
th, td { padding: 4px 12px 4px 0; text-align: right; white-space: nowrap; border-bottom: 1px solid var(--line); }
th:first-child, td.text { text-align: left; }
thead th { color: var(--muted); font-weight: 600; vertical-align: bottom; }
tbody th { font-weight: 400; }
@media (max-width: 640px) {
  body { padding: 12px 12px 32px; }
  section, header { padding: 14px 12px; }
  h1 { font-size: 22px; }
  dl { grid-template-columns: 1fr; gap: 0; }
  dd { margin-bottom: 6px; }
}
@media print { body { background: none; } section, header, .tiles li { break-inside: avoid; } }
`;
