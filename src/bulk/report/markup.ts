/** Writing HTML with texts that come from elsewhere. */
import { html as escaping, raw } from "hono/html";
import type { HtmlEscapedString } from "hono/utils/html";
import { STYLE } from "./style.ts";

export type Html = HtmlEscapedString;

/** How texts and lengths of time are shown: the same as on a terminal, where that is known. */
export interface Words {
  /** A text in one line, everything that could drive what shows it (controls, bidirectional marks) made visible. */
  readonly clean: (text: string) => string;
  /** A length of time from milliseconds; those that differ by `apart` look different. */
  readonly duration: (ms: number, apart?: number) => string;
}

export interface Markup {
  /**
   * A template whose every value is cleaned and escaped, except what another such template made. Its indentation is for those
   * who read the program: a hundred thousand rows do without.
   */
  readonly html: (strings: TemplateStringsArray, ...values: readonly unknown[]) => Html;
  readonly words: Words;
}

/** The one way of a text into the page: nothing can be put there that is not cleaned and escaped. */
export function markup(words: Words): Markup {
  const cleaned = (value: unknown): unknown => {
    if (typeof value === "string") return words.clean(value);
    return Array.isArray(value) ? value.map(cleaned) : value;
  };
  const dense = new WeakMap<TemplateStringsArray, TemplateStringsArray>();
  const withoutIndent = (strings: TemplateStringsArray) => {
    const known =
      dense.get(strings) ??
      Object.assign(
        strings.map((part) => part.replaceAll(/\n\s+/g, "\n")),
        { raw: [] },
      );
    dense.set(strings, known);
    return known;
  };
  return {
    // A promise comes only of values that are promises, of which there are none.
    html: (strings, ...values) => escaping(withoutIndent(strings), ...values.map(cleaned)) as Html,
    words,
  };
}

const POLICY = "default-src 'none'; style-src 'unsafe-inline'";

/** A whole page around what is in its body: one file that loads and runs nothing. */
export function documentOf({ html }: Markup, title: string, body: Html): Html {
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta http-equiv="Content-Security-Policy" content="${raw(POLICY)}" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="referrer" content="no-referrer" />
        <title>${title}</title>
        ${raw(`<style>${STYLE}</style>`)}
      </head>
      <body>
        <main>
          ${body}
          <footer>All times are UTC. A click on an ID selects the whole of it.</footer>
        </main>
      </body>
    </html>`;
}

/** Stands in a template for what is written piece by piece. No text can hold it: it would come escaped. */
export const GAP: Html = raw("<!-- … -->");

/** What comes before the gap, and what after it. */
export function aroundGap(template: Html): [before: string, after: string] {
  const [before = "", after = ""] = template.toString().split(GAP.toString());
  return [before, after];
}

export const COUNT = new Intl.NumberFormat("en");

/** A part of a whole, as in `12 %`; not 0 and not 100 where it is only nearly. */
export function percent(part: number, whole: number): string {
  if (whole === 0) return "";
  const rounded = Math.round((part / whole) * 100);
  if (rounded === 0 && part > 0) return "< 1 %";
  return rounded === 100 && part < whole ? "> 99 %" : `${rounded} %`;
}

/** A moment for people, to the second, in UTC. */
export function moment(instant: Date): string {
  return instant.toISOString().slice(0, 19).replace("T", " ");
}

/** Its day. */
export function day(instant: Date): string {
  return instant.toISOString().slice(0, 10);
}

/** Its time of day. */
export function clock(instant: Date): string {
  return instant.toISOString().slice(11, 19);
}

/** Day and time to the minute, for what goes on for days. */
export function dayAndClock(instant: Date): string {
  return instant.toISOString().slice(5, 16).replace("T", " ");
}
