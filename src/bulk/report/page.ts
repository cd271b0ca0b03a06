/** A job's report as a page of its own, for the ticket of an incident: nothing is loaded, nothing runs, everything is in it. */
import { raw } from "hono/html";
import { ITEM_STATES } from "../item-state.ts";
import { histogramFigure, stateList, timelineFigure, totalsBar } from "./charts.ts";
import {
  aroundGap,
  COUNT,
  documentOf,
  GAP,
  markup,
  moment,
  percent,
  type Html,
  type Markup,
  type Words,
} from "./markup.ts";
import type { JobFacts, JoinedShards, Report, ReportedItem } from "./report.ts";
import { doubledWords, slicesWords } from "./shards.ts";

/** Rows are written so many at a time. */
const PIECE = 500;
/** So many of a group are named; all of them are below. */
const MAX_SHOWN = 3;
const MAX_GROUPS = 100;

/**
 * The page, in pieces: joined they are it. Its texts come from elsewhere, and pass `words.clean` and an escape on their way.
 */
export function* reportPage(report: Report, words: Words): Generator<string> {
  const page = markup(words);
  const open = report.items.filter(({ signature }) => signature !== null);
  const others = report.items.filter(({ signature }) => signature === null);
  const [before, after] = aroundGap(frame(page, report.job));
  yield before;
  yield summary(page, report, open.length).toString();
  yield promptSection(page, report).toString();
  yield figures(page, report).toString();
  if (report.groups.length > 0) yield groupSection(page, report).toString();
  if (report.shards && report.shards.doubled.length > 0) yield doubledSection(page, report.shards).toString();
  yield* targetSection(page, "Targets that need attention", open);
  yield* targetSection(page, open.length > 0 ? "All other targets" : "All targets", others);
  yield after;
}

function frame(page: Markup, job: JobFacts): Html {
  const times = [job.createdAt, ...(job.endedAt ? [job.endedAt] : [])].map(moment).join(" – ");
  const title = [`Job ${job.id}`, job.ticket, `${job.profile} (${job.origin})`, `${times} UTC`];
  return documentOf(page, title.filter((part) => part !== null).join(" · "), GAP);
}

function summary(page: Markup, report: Report, open: number): Html {
  const { html, words } = page;
  const { job, totals, items, shards } = report;
  const { createdAt, endedAt, asOf, ticket, reason, invocations } = job;
  const facts: readonly (readonly [label: string, value: string | null])[] = [
    ["ticket", ticket],
    ["reason", reason],
    ["platform", `${job.profile} (${job.origin})`],
    ["started by", job.adminEmail ?? job.adminId],
    ["playbook", job.playbook === null ? null : `${job.playbook} (SHA-256 ${job.playbookSha256})`],
    ["from", `${moment(createdAt)} UTC`],
    ["to", endedAt && `${moment(endedAt)} UTC, after ${words.duration(endedAt.getTime() - createdAt.getTime())}`],
    ["as of", job.state === "done" ? null : `${moment(asOf)} UTC`],
    ["slices", shards && slicesWords(shards)],
    ["state", invocations > 1 ? `${job.state}; ${invocations} commands worked on it` : job.state],
  ];
  const going = totals.waiting + totals.starting + totals.running;
  const verdict = [
    `${COUNT.format(totals.completed)} of ${COUNT.format(items.length)} completed`,
    open > 0 ? `${COUNT.format(open)} ${open === 1 ? "needs" : "need"} attention` : "nothing needs attention",
    going > 0 ? `${COUNT.format(going)} not over` : "",
    shards && shards.missing.length > 0 ? "slices are missing" : "",
  ];
  return html`<div class="kicker"><span>KiloClaw bulk recovery</span><span>${ticket ?? "no ticket"}</span></div>
    <h1>Job ${job.id}</h1>
    <div class="columns uneven">
      <section>
        <h2>Outcome</h2>
        <p class="verdict">${verdict.filter(Boolean).join("; ")}</p>
        ${totalsBar(page, report)} ${stateList(page, report)}
      </section>
      <section>
        <h2>Job</h2>
        <dl>
          ${facts.map(([label, value]) =>
            value === null
              ? ""
              : html`<dt>${label}</dt>
                  <dd>${value}</dd>`,
          )}
        </dl>
      </section>
    </div> `;
}

function promptSection({ html }: Markup, { prompt, example }: Report): Html {
  return html`<section>
    <h2>Prompt</h2>
    ${quoted({ html }, prompt)}
    ${
      example === null
        ? ""
        : html`<h3>As ${example.named} gets it</h3>
            ${quoted({ html }, example.prompt)}`
    }
  </section> `;
}

/** Each line is cleaned by itself: a clean text has no line ends. */
function quoted({ html }: Pick<Markup, "html">, text: string): Html {
  const [first = "", ...rest] = text.split("\n");
  return html`<pre>${first}${rest.map((line) => [LINE_END, line])}</pre>`;
}

const LINE_END: Html = raw("\n");

/** How long a run took: a short one to the tenth of a second. */
function length({ duration }: Words, ms: number): string {
  return duration(ms, ms < 10_000 ? 100 : undefined);
}

function figures(page: Markup, { durations, histogram, timeline }: Report): Html {
  const { html, words } = page;
  const { count, p50Ms, p90Ms, maxMs } = durations;
  const took =
    p50Ms === null || p90Ms === null || maxMs === null
      ? html`<p class="dim">No run has ended.</p>`
      : html`<p>
            Median <b>${length(words, p50Ms)}</b>, p90 <b>${length(words, p90Ms)}</b>, max
            <b>${length(words, maxMs)}</b> (${COUNT.format(count)} ended).
          </p>
          ${histogramFigure(page, histogram)}`;
  return html`<div class="columns">
    <section>
      <h2>How long the runs took</h2>
      ${took}
    </section>
    <section>
      <h2>Runs over time</h2>
      ${timeline.length > 0 ? timelineFigure(page, timeline) : html`<p class="dim">No run was started.</p>`}
    </section>
  </div> `;
}

function groupSection({ html }: Markup, { groups }: Report): Html {
  const all = groups.reduce((sum, { count }) => sum + count, 0);
  const more = groups.length - MAX_GROUPS;
  return html`<section>
    <h2>What went wrong, by what it has in common</h2>
    <div class="box">
      <table class="groups">
        <colgroup>
          <col style="width: 5rem" />
          <col />
          <col style="width: 22rem" />
        </colgroup>
        <thead>
          <tr>
            <th scope="col" class="number">targets</th>
            <th scope="col">what they have in common</th>
            <th scope="col">such as</th>
          </tr>
        </thead>
        <tbody>
          ${groups.slice(0, MAX_GROUPS).map(
            ({ signature, state, count, samples }) =>
              html`<tr>
                <td class="number"><b>${COUNT.format(count)}</b><small>${percent(count, all)}</small></td>
                <td><span class="state ${ITEM_STATES[state].tone}">${state}</span>${signature.slice(state.length)}</td>
                <td>
                  ${samples.slice(0, MAX_SHOWN).map(({ index, named, runId }) => html`<a href="#t${index}">${named}</a><small>${runId === null ? "" : html`<code>${runId}</code>`}</small>`)}
                </td>
              </tr> `,
          )}
        </tbody>
      </table>
    </div>
    ${more > 0 ? html`<p class="dim">And ${COUNT.format(more)} more kinds, each less frequent.</p>` : ""}
  </section> `;
}

function doubledSection({ html }: Markup, { doubled }: JoinedShards): Html {
  return html`<section>
    <h2>Instances that several targets led to (${COUNT.format(doubled.length)})</h2>
    <ul>
      ${doubled.map((one) => html`<li>${doubledWords(one)}</li> `)}
    </ul>
  </section> `;
}

function* targetSection({ html, words }: Markup, title: string, items: readonly ReportedItem[]): Generator<string> {
  if (items.length === 0) return;
  const [before, after] = aroundGap(
    html`<section>
      <h2>${title} (${COUNT.format(items.length)})</h2>
      <div class="box">
        <table class="targets">
          <colgroup>
            ${[4, 10, 23.5, 23.5, 12.5, 6, 20.5].map((width) => html`<col style="width: ${width}%" />`)}
          </colgroup>
          <thead>
            <tr>
              <th scope="col" class="number">#</th>
              <th scope="col">state</th>
              <th scope="col">customer and instance</th>
              <th scope="col">run</th>
              <th scope="col">started (UTC)</th>
              <th scope="col">took</th>
              <th scope="col">why</th>
            </tr>
          </thead>
          <tbody>
            ${GAP}
          </tbody>
        </table>
      </div>
    </section>`,
  );
  yield before;
  for (let at = 0; at < items.length; at += PIECE) {
    yield items
      .slice(at, at + PIECE)
      .map((item) => targetRow({ html, words }, item))
      .join("");
  }
  yield after;
}

function targetRow({ html, words }: Markup, item: ReportedItem): Html {
  const { index, state, named, userEmail, instanceId, runId, startedAt, durationMs, exitCode, attached, problem } =
    item;
  const customer = userEmail ?? named;
  const notes = [
    ...(exitCode === null || exitCode === 0 ? [] : [`exit code ${exitCode}`]),
    ...(attached ? ["not started by this job"] : []),
  ];
  return html`<tr id="t${index}">
    <td class="number">${index}</td>
    <td class="state ${ITEM_STATES[state].tone}">${state}</td>
    <td>
      ${customer}${customer === named || named === instanceId ? "" : html`<small>${named}</small>`}${instanceId === null ? "" : html`<small><code>${instanceId}</code></small>`}
    </td>
    <td>
      ${runId === null ? "" : html`<code>${runId}</code>`}${notes.length === 0 ? "" : html`<small>${notes.join("; ")}</small>`}
    </td>
    <td class="when">${startedAt === null ? "" : moment(startedAt)}</td>
    <td>${durationMs === null ? "" : length(words, durationMs)}</td>
    <td>${problem ?? ""}</td>
  </tr> `;
}
