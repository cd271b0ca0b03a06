/** What the report's page looks like: on a screen, in light and dark, and on paper. */
export const STYLE = `
:root {
  color-scheme: light dark;
  --page: #f4f5f7; --card: #fff; --text: #1c2024; --dim: #55606b; --line: #d5dae0; --mark: #e8eef9; --accent: #1d5fd1;
  --good: #157a3c; --bad: #c22a20; --unsure: #8b2fc0; --stopped: #8f5a00; --left: #55606b; --going: #0b6a9c;
  font: 0.9375rem/1.5 system-ui, sans-serif;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #101316; --card: #1a1e23; --text: #eceff2; --dim: #a3adb8; --line: #3a424b; --mark: #24344f; --accent: #8ab4ff;
    --good: #5fce88; --bad: #ff8a80; --unsure: #d9a1ff; --stopped: #f0b95a; --left: #a3adb8; --going: #6cc5f2;
  }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--text); }
main { max-width: 100rem; margin: 0 auto; padding: clamp(0.75rem, 2.5vw, 2rem); }
h1 { margin: 0; font-size: clamp(1.25rem, 4vw, 1.75rem); line-height: 1.25; overflow-wrap: anywhere; }
h2 { margin: 0 0 0.5rem; font-size: 1.0625rem; }
p { margin: 0.25rem 0; overflow-wrap: anywhere; }
a { color: var(--accent); }
section { margin-top: 1rem; padding: 1rem 1.25rem; background: var(--card); border: 1px solid var(--line); border-radius: 0.75rem; }
.dim { color: var(--dim); }
.kicker { display: flex; flex-wrap: wrap; gap: 0.25rem 1rem; justify-content: space-between; color: var(--dim); }
.kicker span { min-width: 0; overflow-wrap: anywhere; }
.verdict { font-size: 1.125rem; font-weight: 600; }
.columns { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr)); gap: 0 1rem; }
@media (min-width: 64rem) { .uneven { grid-template-columns: 5fr 3fr; } }
dl { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: 0.125rem 1rem; margin: 0.5rem 0 0; }
dt { color: var(--dim); }
dd { margin: 0; overflow-wrap: anywhere; unicode-bidi: isolate; }
svg { display: block; width: 100%; font-size: 0.75rem; }
svg text { fill: var(--text); }
svg .dim { fill: var(--dim); }
svg .rule { stroke: var(--line); }
figure { margin: 0.75rem 0 0; }
figcaption { color: var(--dim); }
.key { display: inline-block; width: 0.75em; height: 0.75em; margin-inline-end: 0.25em; border-radius: 0.125em; }
.states { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 17rem), 1fr)); gap: 0.25rem 1.5rem; margin: 0.75rem 0 0; padding: 0; list-style: none; }
.states li { display: grid; grid-template-columns: 4.5rem 1fr; gap: 0 0.5rem; padding: 0.25rem 0; border-top: 1px solid var(--line); }
.states strong { font-size: 1.125rem; font-variant-numeric: tabular-nums; text-align: end; }
.states small { display: block; color: var(--dim); line-height: 1.35; }
.state { font-weight: 600; white-space: nowrap; }
.good { color: var(--good); } .bad { color: var(--bad); } .unsure { color: var(--unsure); }
.stopped { color: var(--stopped); } .left { color: var(--left); } .going { color: var(--going); }
svg .good { fill: var(--good); } svg .bad { fill: var(--bad); } svg .unsure { fill: var(--unsure); }
svg .stopped { fill: var(--stopped); } svg .left { fill: var(--left); } svg .going { fill: var(--going); }
.bars { fill: var(--accent); }
.area { fill: var(--going); fill-opacity: 0.35; stroke: var(--going); stroke-width: 1.5; vector-effect: non-scaling-stroke; }
.box { overflow-x: auto; margin: 0 -1.25rem -1rem; padding: 0 1.25rem 1rem; }
table { width: 100%; border-collapse: collapse; }
.targets { min-width: 78rem; table-layout: fixed; font-size: 0.875rem; }
.targets code { font-size: 0.75rem; }
.groups { min-width: 44rem; table-layout: fixed; }
th, td { padding: 0.3rem 0.75rem 0.3rem 0; border-bottom: 1px solid var(--line); text-align: start; vertical-align: top; overflow-wrap: anywhere; }
th { color: var(--dim); font-weight: 600; }
.number { text-align: end; font-variant-numeric: tabular-nums; white-space: nowrap; }
code { font: 0.8125rem/1.4 ui-monospace, monospace; user-select: all; }
pre { margin: 0.5rem 0 0; font: 0.8125rem/1.45 ui-monospace, monospace; white-space: pre-wrap; overflow-wrap: anywhere; unicode-bidi: isolate; }
h3 { margin: 0.75rem 0 0; font-size: 0.875rem; color: var(--dim); }
td small { display: block; color: var(--dim); }
tr:target { background: var(--mark); }
.hidden { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
footer { margin-top: 1rem; color: var(--dim); font-size: 0.8125rem; }
.when { white-space: nowrap; }
/* A row of many columns is a block of lines: nothing is beyond the edge. */
@media screen and (max-width: 40rem) {
  .targets, .groups { min-width: 0; }
  .box thead { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
  .box table, .box tbody { display: block; }
  .box tr { display: block; padding: 0.4rem 0; border-bottom: 1px solid var(--line); }
  .box td { display: block; padding: 0; border: 0; }
  .box td.number { display: inline; text-align: start; }
  .targets td.number::before { content: "# "; }
  .targets td.state { display: inline; margin-inline-start: 0.5rem; }
  .targets td:nth-child(5):not(:empty)::before { content: "started "; color: var(--dim); }
  .targets td:nth-child(5):not(:empty)::after { content: " UTC"; }
  .targets td:nth-child(6):not(:empty)::before { content: "took "; color: var(--dim); }
  .groups td.number::before { content: "targets: "; color: var(--dim); }
  .groups td.number small { display: inline; margin-inline-start: 0.5rem; }
}
@media (max-width: 40rem) { .wide { display: none; } section { padding: 0.75rem; } .box { margin: 0 -0.75rem -0.75rem; padding: 0 0.75rem 0.75rem; } }
@page { size: landscape; margin: 12mm; @bottom-right { content: counter(page) " / " counter(pages); font: 8pt system-ui, sans-serif; } }
@media print {
  :root {
    color-scheme: light; font-size: 8pt; line-height: 1.35;
    --page: #fff; --card: #fff; --text: #000; --dim: #333; --line: #999; --mark: #fff; --accent: #444;
    --good: #0d5c2b; --bad: #a01008; --unsure: #6a1f96; --stopped: #6b4300; --left: #333; --going: #084f75;
  }
  main { max-width: none; padding: 0; }
  section { margin-top: 0.75rem; padding: 0; border: 0; border-radius: 0; }
  .uneven { grid-template-columns: 5fr 3fr; }
  .states { grid-template-columns: repeat(3, 1fr); }
  .states li { grid-template-columns: 3rem 1fr; }
  .box { overflow: visible; margin: 0; padding: 0; }
  .targets, .groups { min-width: 0; font-size: inherit; }
  thead { display: table-header-group; }
  tr, figure, .states li { break-inside: avoid; }
  h2 { break-after: avoid; }
  th, td { padding-block: 0.2rem; }
  code, .targets code { font-size: 7pt; }
  a { color: inherit; text-decoration: none; }
  .key { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
}
`;
