/** The report's figures, drawn and in words. Widths are parts of the page's, so that letters keep their size on any screen. */
import { ITEM_STATES, STATES_IN_ORDER, type Tone } from "../item-state.ts";
import type { HistogramBucket } from "./durations.ts";
import { clock, COUNT, day, dayAndClock, percent, type Html, type Markup, type Words } from "./markup.ts";
import type { Report } from "./report.ts";
import type { TimelineBucket } from "./timeline.ts";

/** How much of a drawing a letter of a label takes on the narrowest screen, in percent. */
const LETTER = 2.4;
const ROW = 20;

/** All targets as one bar, by how they are doing. */
export function totalsBar({ html }: Markup, { totals, items }: Report): Html {
  const sizes = new Map<Tone, number>();
  for (const state of STATES_IN_ORDER) {
    const { tone } = ITEM_STATES[state];
    sizes.set(tone, (sizes.get(tone) ?? 0) + totals[state]);
  }
  let x = 0;
  const parts = [...sizes].map(([tone, size]) => {
    const width = (size / Math.max(1, items.length)) * 100;
    const part = html`<rect class="${tone}" x="${x.toFixed(3)}%" width="${width.toFixed(3)}%" height="14" />`;
    x += width;
    return size > 0 ? part : "";
  });
  // The list below says the same.
  return html`<svg height="14" aria-hidden="true">${parts}</svg>`;
}

/** How long runs took: a bar for each length, which its label and its number stand beside. */
export function histogramFigure({ html, words }: Markup, buckets: readonly HistogramBucket[]): Html {
  const most = Math.max(...buckets.map(({ count }) => count));
  const ranges = buckets.map((_, index) => rangeWords(buckets, index, words));
  // Where labels end and bars begin, in percent: the longest label has room everywhere.
  const labels = 3 + LETTER * Math.max(...ranges.map(({ length }) => length));
  const rows = buckets.map(({ count }, index) => {
    const y = index * ROW;
    const width = (count / most) * (100 - labels - 14);
    return html`<text class="dim" x="${(labels - 2).toFixed(1)}%" y="${y + 14}" text-anchor="end"
        >${ranges[index]}</text
      >
      <rect
        class="bars"
        x="${labels.toFixed(1)}%"
        y="${y + 3}"
        width="${width.toFixed(3)}%"
        height="${ROW - 6}"
        rx="2"
      />
      <text x="${(labels + width + 1.5).toFixed(3)}%" y="${y + 14}">${COUNT.format(count)}</text>`;
  });
  return html`<figure>
    <svg height="${buckets.length * ROW}" role="img" aria-labelledby="histogram-title histogram-desc">
      <title id="histogram-title">How long the runs took</title>
      <desc id="histogram-desc">
        A bar for each length of time, as long as there are runs that took it. The table after it says the same.
      </desc>
      ${rows}
    </svg>
    <div class="hidden">
      <table>
        <caption>
          How long the runs took
        </caption>
        <thead>
          <tr>
            <th scope="col">length</th>
            <th scope="col">runs</th>
          </tr>
        </thead>
        <tbody>
          ${buckets.map(
            ({ count }, index) =>
              html`<tr>
                <td>${ranges[index]}</td>
                <td>${count}</td>
              </tr>`,
          )}
        </tbody>
      </table>
    </div>
  </figure>`;
}

/** How long a bar's runs took, in words: never the same as those of the bar beside it. */
function rangeWords(buckets: readonly HistogramBucket[], index: number, { duration }: Words): string {
  const { fromMs, toMs } = buckets[index] ?? { fromMs: 0, toMs: null };
  const step = (buckets[0]?.toMs ?? Infinity) - (buckets[0]?.fromMs ?? 0);
  return `${fromMs === 0 ? "0" : duration(fromMs, step)} – ${toMs === null ? "longer" : duration(toMs, step)}`;
}

const AREA = 120;
const LANE = 28;

/** How many runs went on over time, and below when they began and ended. */
export function timelineFigure({ html, words }: Markup, buckets: readonly TimelineBucket[]): Html {
  const [first, last] = [buckets[0], buckets.at(-1)];
  if (!first || !last) return html``;
  const peak = Math.max(1, ...buckets.map(({ running }) => running));
  const busiest = Math.max(1, ...buckets.map(({ started, ended }) => Math.max(started, ended)));
  const at = day(first.from) === day(last.to) ? clock : dayAndClock;
  const step = words.duration(first.to.getTime() - first.from.getTime());
  const line = buckets.map(({ running }, index) => {
    const y = (AREA * (1 - running / peak)).toFixed(1);
    return `L${index} ${y}H${index + 1}`;
  });
  const lane = (tone: Tone, count: (bucket: TimelineBucket) => number, down: boolean) =>
    buckets.map((bucket, index) => {
      const height = (LANE * count(bucket)) / busiest;
      return height === 0
        ? ""
        : html`<rect
            class="${tone}"
            x="${index + 0.1}"
            y="${(down ? LANE + 1 : LANE - height).toFixed(2)}"
            width="0.8"
            height="${height.toFixed(2)}"
          />`;
    });
  // Read by pointing at it; the table has the same.
  const tips = buckets.map(
    (bucket, index) =>
      html`<rect x="${index}" y="0" width="1" height="${AREA + 2 * LANE}" fill-opacity="0"
        ><title>
          ${at(bucket.from)} UTC: ${COUNT.format(bucket.running)} at a time, ${COUNT.format(bucket.started)} started,
          ${COUNT.format(bucket.ended)} ended
        </title></rect
      >`,
  );
  const top = 18;
  const lanes = top + AREA + 6;
  const bottom = lanes + 2 * LANE + 16;
  const middle = buckets[Math.floor(buckets.length / 2)] ?? first;
  const middleAt = ((Math.floor(buckets.length / 2) / buckets.length) * 100).toFixed(2);
  const spread = (y: number, height: number, content: unknown) =>
    html`<svg
      y="${y}"
      width="100%"
      height="${height}"
      viewBox="0 0 ${buckets.length} ${height}"
      preserveAspectRatio="none"
    >
      ${content}
    </svg>`;
  return html`<figure>
    <svg height="${bottom + 4}" role="img" aria-labelledby="timeline-title timeline-desc">
      <title id="timeline-title">Runs in progress over time</title>
      <desc id="timeline-desc">
        From ${at(first.from)} to ${at(last.to)} UTC in parts of ${step}, with at most ${COUNT.format(peak)} runs at a
        time. The table after it says the same.
      </desc>
      <line class="rule" x1="0" x2="100%" y1="${top + 0.5}" y2="${top + 0.5}" />
      <text class="dim" x="0" y="${top - 5}">${COUNT.format(peak)} at a time</text>
      ${spread(top, AREA, html`<path class="area" d="M0 ${AREA}${line.join("")}V${AREA}Z" />`)}
      ${spread(lanes, 2 * LANE + 1, [lane("going", ({ started }) => started, false), lane("good", ({ ended }) => ended, true)])}
      <line class="rule" x1="0" x2="100%" y1="${lanes + LANE + 0.5}" y2="${lanes + LANE + 0.5}" />
      ${spread(top, AREA + 2 * LANE, tips)}
      <text class="dim" x="0" y="${bottom}">${at(first.from)} UTC</text>
      <text class="dim wide" x="${middleAt}%" y="${bottom}">${at(middle.from)} UTC</text>
      <text class="dim" x="100%" y="${bottom}" text-anchor="end">${at(last.to)} UTC</text>
    </svg>
    <figcaption>
      Runs at a time. Below: how many <span class="going">▲ started</span> and <span class="good">▼ ended</span> in each
      ${step}, at most ${COUNT.format(busiest)}.
    </figcaption>
    <div class="hidden">
      <table>
        <caption>
          Runs in progress over time (UTC)
        </caption>
        <thead>
          <tr>
            <th scope="col">from</th>
            <th scope="col">at a time</th>
            <th scope="col">started</th>
            <th scope="col">ended</th>
          </tr>
        </thead>
        <tbody>
          ${buckets.map(
            ({ from, running, started, ended }) =>
              html`<tr>
                <td>${from.toISOString()}</td>
                <td>${running}</td>
                <td>${started}</td>
                <td>${ended}</td>
              </tr>`,
          )}
        </tbody>
      </table>
    </div>
  </figure>`;
}

/** The list of states that there are targets in. */
export function stateList({ html }: Markup, { totals, items }: Report): Html {
  const states = STATES_IN_ORDER.filter((state) => totals[state] > 0);
  return html`<ul class="states">
    ${states.map((state) => {
      const { tone, meaning } = ITEM_STATES[state];
      return html`<li>
        <strong>${COUNT.format(totals[state])}</strong
        ><span
          ><span class="state ${tone}">${state}</span> ${percent(totals[state], items.length)}<small
            >${meaning}</small
          ></span
        >
      </li>`;
    })}
  </ul>`;
}
