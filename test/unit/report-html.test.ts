import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { PromptTemplate } from "../../src/bulk/input/prompt-template.ts";
import { reportPage } from "../../src/bulk/report/page.ts";
import { makeReport } from "../../src/bulk/report/report.ts";
import { sanitizeLine } from "../../src/terminal/sanitize.ts";
import { formatDuration } from "../../src/terminal/time.ts";
import { facts, itemOf, jobOf, TEMPLATE, type MadeUpJob } from "../support/bulk-job.ts";

const pageOf = ({ facts, items }: MadeUpJob, template = TEMPLATE) =>
  [...reportPage(makeReport(facts, items, template), { clean: sanitizeLine, duration: formatDuration })].join("");

/** A template that says this too. */
const template = (text: string) => new PromptTemplate(`mend ${text.replaceAll("{{", "{ {")}: {{fault}}`);

/** Nothing of this may be in the page: controls but LF, C1, bidi, zero-width, tags, lone surrogates. */
const LIVE =
  // oxlint-disable-next-line no-control-regex -- control characters are the subject
  /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]|[\u{e0000}-\u{e007f}]|\p{Surrogate}/u;

/** Text as an attacker would write it: ways out of an element, of an attribute, of a comment, and what drives a terminal. */
const hostile = fc
  .array(
    fc.oneof(
      fc.constantFrom(
        ..."<>\"'&`=/",
        ..."\u001b\u009b\u0007\r\n\t\0\u007f\u202e\u2066\u200b\ud83d\udd25",
        "<script>",
        "</script>",
        "</style>",
        "</title>",
        "</td></tr></table>",
        "<!--",
        "-->",
        "<!-- … -->",
        "]]>",
        "<img src=x onerror=alert(1)>",
        '" onmouseover="alert(1)',
        "' style='position:fixed",
        "&lt;",
        "&#60;",
        "javascript:alert(1)",
        "${x}",
      ),
      fc.string({ unit: "binary", maxLength: 8 }),
    ),
    { maxLength: 12 },
  )
  .map((parts) => parts.join(""));

/** A job every text of which is this one. */
const jobSaying = (text: string): MadeUpJob => ({
  facts: facts({
    id: `job ${text}`,
    profile: text,
    origin: text,
    ticket: text,
    reason: text,
    adminId: text,
    state: text,
  }),
  items: [
    itemOf(1, {
      state: "failed",
      exitCode: 1,
      attached: true,
      problem: `problem ${text}`,
      runId: text,
      target: {
        named: `named ${text}`,
        userEmail: `email ${text}`,
        userId: text,
        instanceId: text,
        fields: { fault: text },
      },
    }),
    itemOf(2, { runId: text, target: { named: `named ${text}`, userEmail: `email ${text}`, instanceId: text } }),
    itemOf(3, {
      state: "unplanned",
      runId: null,
      startedAt: null,
      completedAt: null,
      exitCode: null,
      problem: text,
      target: { planned: "ambiguous", named: `named ${text}`, userEmail: null, instanceId: null, detail: text },
    }),
  ],
});

/** The page's tags as a browser reads them, whole, without the texts between them. */
const tagsOf = (page: string) => {
  const [before = "", style = "", after = ""] = page.split(/<\/?style>/);
  expect(style).toContain("prefers-color-scheme");
  return `${before}${after}`.match(/<[^>]*>?/g);
};

describe("the report's page", () => {
  it("is the same markup whatever its texts say, with nothing live in them", () => {
    const harmless = tagsOf(pageOf(jobSaying("text"), template("text")));
    expect(harmless?.length).toBeGreaterThan(100);
    fc.assert(
      fc.property(hostile, (text) => {
        const page = pageOf(jobSaying(text), template(text));
        expect(page).not.toMatch(LIVE);
        expect(tagsOf(page)).toEqual(harmless);
      }),
    );
  });

  it("shows what it takes out, and every text whole", () => {
    const page = pageOf(jobSaying(`<b>"quoted"</b> & 'so' \u001b[31m\u202e`));
    const shown = "&lt;b&gt;&quot;quoted&quot;&lt;/b&gt; &amp; &#39;so&#39; \\x1b[31m\\u{202e}";
    expect(page).toContain(`problem ${shown}</td>`);
    expect(page).toContain(`<h1>Job job ${shown}</h1>`);
    expect(page).toContain(`<dd>${shown}</dd>`);
    expect(page).toContain(`<code>${shown}</code>`);
  });

  it("shows the prompt as it was written, line by line, and as one customer got it", () => {
    const items = [
      itemOf(1, { state: "unplanned", target: { planned: "unknown", fields: { fault: "no one" } } }),
      itemOf(2, { target: { fields: { fault: "a <bad> port\nand more" } } }),
    ];
    const page = pageOf({ facts: facts(), items }, new PromptTemplate("1. look at {{fault}}\n2. mend it"));
    expect(page).toContain("<pre>1. look at {{fault}}\n2. mend it</pre>");
    expect(page).toContain("<h3>As customer2@example.com gets it</h3>");
    expect(page).toContain("<pre>1. look at a &lt;bad&gt; port\nand more\n2. mend it</pre>");
    const plain = pageOf({ facts: facts(), items });
    expect(plain).toContain("<pre>repair what is broken</pre>");
    expect(plain).not.toContain("gets it");
  });

  it("says in its first lines that it may load and run nothing, and does not try to", () => {
    const page = pageOf(jobOf(300));
    const policy = `<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'" />`;
    expect(page.indexOf(policy)).toBeGreaterThan(0);
    expect(page.indexOf(policy)).toBeLessThan(page.indexOf("<style>"));
    expect(page).not.toMatch(
      /<(?:script|link|img|iframe|object|form|base)\b|\ssrc=|\son\w+=|@import|url\(|href="(?!#t)/i,
    );
  });

  it("has the job, its ticket, its platform and its times in the title, in UTC", () => {
    expect(pageOf(jobOf(1, { endedAt: new Date("2026-11-26T01:02:03Z") }))).toContain(
      "<title>Job 7c1e9a52-4d0b-4f7e-9a55-0c2f8d1b6e90 · INC-4711 · production (https://app.kilo.ai) · " +
        "2026-11-25 03:12:40 – 2026-11-26 01:02:03 UTC</title>",
    );
  });

  it("has every target once, and every run's whole ID", () => {
    const job = jobOf(1_234);
    const page = pageOf(job);
    const rows = [...page.matchAll(/<tr id="t(\d+)">([^]*?)<\/tr>/g)];
    expect(rows.map(([, index]) => Number(index)).toSorted((a, b) => a - b)).toEqual(
      Array.from({ length: 1_234 }, (_, place) => place + 1),
    );
    const texts = new Map(rows.map(([, index, text]) => [Number(index), text]));
    for (const { target, runId, state } of job.items) {
      expect(texts.get(target.index)).toContain(target.named);
      expect(texts.get(target.index)).toContain(`>${state}</td>`);
      expect(texts.get(target.index)).toContain(runId === null ? target.named : `<code>${runId}</code>`);
    }
  });

  it("tells lengths of time apart that differ by less than a second, and says which zone its times are of", () => {
    const items = Array.from({ length: 12 }, (_, index) => {
      const startedAt = new Date(Date.parse("2026-11-25T03:12:40Z") + index * 50);
      return itemOf(index + 1, { startedAt, completedAt: new Date(startedAt.getTime() + 2_110 + index * 60) });
    });
    const page = pageOf({ facts: facts(), items });
    const labels = [...page.matchAll(/text-anchor="end"\s*>([^<]+ – [^<]+)<\/text\s*>/g)].map(([, label]) =>
      label?.trim(),
    );
    expect(labels.slice(0, 2)).toEqual(["2.1s – 2.2s", "2.2s – 2.3s"]);
    expect(new Set(labels).size).toBe(labels.length);
    expect(page).toContain("Median <b>2.4s</b>, p90 <b>2.7s</b>, max\n<b>2.7s</b>");
    expect(page).toContain("<dd>2026-11-25 03:12:40 UTC</dd>");
    expect(page).toContain('<th scope="col">started (UTC)</th>');
    for (const [, time] of page.matchAll(/<text[^>]*>\s*(\d\d:\d\d:\d\d[^<]*)</g)) expect(time).toContain("UTC");
  });

  it("names no more kinds of failure than somebody would read", () => {
    const items = Array.from({ length: 150 }, (_, place) =>
      itemOf(place + 1, { state: "failed", problem: `odd ${String.fromCodePoint(0x4e00 + place)}` }),
    );
    const page = pageOf({ facts: facts(), items });
    expect(page).toContain("And 50 more kinds");
    expect(page.match(/<tr id="t/g)).toHaveLength(150);
  });

  it.each([
    ["nothing has begun", [itemOf(1, { state: "waiting", runId: null, startedAt: null, completedAt: null })]],
    ["there are no targets", []],
  ])("says so where %s", (_what, items) => {
    const page = pageOf({ facts: facts({ endedAt: null }), items });
    expect(page).toContain("No run has ended.");
    expect(page).toContain("No run was started.");
    expect(page).not.toMatch(/NaN|Infinity|undefined|null|Invalid/);
  });

  it("comes in pieces, none of which is large", () => {
    const { facts, items } = jobOf(5_000);
    const pieces = [
      ...reportPage(makeReport(facts, items, TEMPLATE), { clean: sanitizeLine, duration: formatDuration }),
    ];
    expect(pieces.length).toBeGreaterThan(10);
    expect(Math.max(...pieces.map((piece) => piece.length))).toBeLessThan(400_000);
  });
});
