/** The open points as a page of its own: nothing is loaded, nothing runs. */
import { documentOf, markup, moment, type Html, type Markup, type Words } from "../bulk/report/markup.ts";
import { began, byKind, countOf, subjectOf, type OpenPoint } from "./open-points.ts";

/**
 * The page. Its texts come from elsewhere, and pass `words.clean` and an escape on their way.
 *
 * @param typed a point's command as it has to be typed.
 */
export function handoffPage(
  title: string,
  points: readonly OpenPoint[],
  words: Words,
  typed: (point: OpenPoint) => string,
): string {
  const page = markup(words);
  const { html } = page;
  const sections = byKind(points).map(([kind, of]) => section(page, countOf(kind, of.length), of, typed));
  const body = html`<div class="kicker"><span>KiloClaw recovery</span><span>handoff</span></div>
    <h1>${title}</h1>
    ${sections.length === 0 ? html`<section><p class="verdict">Nothing is open.</p></section>` : sections}`;
  return documentOf(page, title, body).toString();
}

function section(
  { html }: Markup,
  heading: string,
  points: readonly OpenPoint[],
  typed: (point: OpenPoint) => string,
): Html {
  return html`<section>
    <h2>${heading}</h2>
    ${points.map(
      (point) =>
        html`<h3>${subjectOf(point)}</h3>
          <p class="dim">${began(point, `${moment(point.at)} UTC`)}</p>
          <p>${point.detail}</p>
          <p><code>${typed(point)}</code></p>`,
    )}
  </section>`;
}
