/** For admins: all instances, and all runs. */
import { Hono } from "hono";
import { html, raw } from "hono/html";
import * as z from "zod";
import { admin } from "../../../contract/procedures.ts";
import { listedRun } from "../../platform/run-lists.ts";
import type { Services } from "../../rpc/init.ts";
import type { Procedures } from "../../rpc/router.ts";
import type { AccountEnv } from "./env.ts";
import { type Frame, framed, type Html } from "./page.ts";
import { outputOf, quoted, statusBadge } from "./runs.ts";
import { ago, duration } from "./time.ts";
import { oneLine, visible } from "./untrusted.ts";

const PATH = "/admin/kiloclaw";
const PAGE_SIZE = 25;

/** What an address says of a list; anything else in it counts as if it were not there. */
const query = z.object({
  search: z.string().max(200).catch(""),
  page: z.coerce.number().int().min(1).max(100_000).catch(1),
  run: z.uuid().optional().catch(undefined),
});
const runFilters = admin.listAllCliRuns.input.shape;
const runQuery = query.extend({
  status: runFilters.status.catch("all"),
  initiatedBy: runFilters.initiatedBy.catch("all"),
});
const instanceQuery = query.extend({ status: admin.list.input.shape.status.catch("all") });

export function adminLists({ database }: Pick<Services, "database">): Hono<AccountEnv> {
  const app = new Hono<AccountEnv>();
  app.get("/", async (c) => {
    const { frame, api } = c.var;
    if (c.req.query("tab") !== "cli-runs")
      return c.html(await instancesPage(frame, api, instanceQuery.parse(c.req.query())));
    const asked = runQuery.parse(c.req.query());
    const run = asked.run === undefined ? undefined : await listedRun(database, asked.run);
    return c.html(await runsPage(frame, api, asked, run));
  });

  app.get("/cli-run-output/:runId", async (c) => {
    const run = z.uuid().safeParse(c.req.param("runId")).success
      ? await listedRun(database, c.req.param("runId"))
      : undefined;
    if (!run) return c.text("There is no such run.", 404);
    const { output } = await recorded(c.var.api, run);
    return c.text(output ?? "");
  });
  return app;
}

type ListedRun = NonNullable<Awaited<ReturnType<typeof listedRun>>>;
type RunQuery = z.output<typeof runQuery>;

const recorded = (api: Procedures, run: ListedRun) =>
  api.admin.kiloclawInstances.getCliRunOutput({ userId: run.user_id, runId: run.id });

async function runsPage(frame: Frame, api: Procedures, asked: RunQuery, run: ListedRun | undefined): Promise<Html> {
  const { search, status, initiatedBy, page } = asked;
  const { runs, pagination } = await api.admin.kiloclawInstances.listAllCliRuns({
    search,
    status,
    initiatedBy,
    limit: PAGE_SIZE,
    offset: (page - 1) * PAGE_SIZE,
  });
  // One that failed without an exit code may be one that its machine has lost, which only its output says.
  const outputs = new Map(
    await Promise.all(
      runs
        .filter((row) => row.status === "failed" && row.exit_code === null)
        .map(async (row) => [row.id, (await recorded(api, row)).output] as const),
    ),
  );
  const body = html`<h1>Runs</h1>
    ${filterForm(frame, asked, {
      hidden: { tab: "cli-runs" },
      placeholder: "E-mail, prompt or instance ID",
      selects: [
        ["status", "Status", runFilters.status.unwrap().options],
        ["initiatedBy", "Started by", runFilters.initiatedBy.unwrap().options],
      ],
    })}
    <div class="panes">
      <section id="results" data-live aria-labelledby="count">
        <h2 id="count">${pagination.total === 1 ? "1 run" : `${pagination.total.toLocaleString("en")} runs`}</h2>
        <ul class="rows">
          ${runs.map((row) => runRow(frame, asked, row, outputs.get(row.id)))}
        </ul>
        ${pager(frame, asked, pagination)}
      </section>
      <section id="detail" class="${run ? "chosen" : ""}" data-live aria-labelledby="detail-title">
        ${
          run
            ? await runDetail(frame, api, run)
            : html`<h2 id="detail-title">Run</h2>
                <p>${asked.run === undefined ? "Choose a run to see all of it." : "There is no such run."}</p>`
        }
      </section>
    </div>`;
  return framed(frame, { title: "Runs" }, body);
}

function runRow(frame: Frame, asked: RunQuery, run: ListedRun, output: string | null | undefined): Html {
  const here = run.id === asked.run;
  const by = adminOf(run);
  return html`<li>
    <a
      class="row"
      href="${frame.root}${address({ ...asked, tab: "cli-runs", run: run.id })}"
      ${here ? raw('aria-current="true"') : ""}
    >
      <span class="line">
        <strong class="email">${visible(run.user_email ?? run.user_id)}</strong>
        ${by === null ? "" : html`<span class="badge" title="${by}">Admin</span>`}
        ${statusBadge({ status: run.status, output: output ?? null })}
      </span>
      <span class="cut">${oneLine(run.prompt)}</span>
      <span class="dim">
        ${ago(run.started_at)} · ${run.status === "running" ? "not ended" : duration(run.started_at, run.completed_at)}
        ${by === null ? "" : ` · by ${by}`}
        ${run.status === "failed" && run.exit_code !== null ? ` · exit ${run.exit_code}` : ""}
        ${run.instance_id === null ? "" : html` · <code title="${run.instance_id}">${run.instance_id.slice(0, 8)}</code>`}
      </span>
    </a>
  </li>`;
}

/** The admin who started the run, if one did. */
function adminOf(run: ListedRun): string | null {
  const name = run.initiated_by_admin_email ?? run.initiated_by_admin_id;
  return name === null ? null : visible(name);
}

async function runDetail(frame: Frame, api: Procedures, run: ListedRun): Promise<Html> {
  const { output } = await recorded(api, run);
  return html`<h2 id="detail-title" class="email">${visible(run.user_email ?? run.user_id)}</h2>
    <dl class="facts">
      <dt>Status</dt>
      <dd>${statusBadge({ status: run.status, output })}</dd>
      <dt>Instance</dt>
      <dd>
        ${
          run.instance_id === null
            ? "–"
            : html`<a href="${frame.root}${PATH}/${run.instance_id}">${run.instance_id}</a>`
        }
      </dd>
      <dt>Run</dt>
      <dd>${run.id}</dd>
      <dt>Started</dt>
      <dd>${ago(run.started_at)}</dd>
      <dt>Duration</dt>
      <dd>${run.status === "running" ? "not ended" : duration(run.started_at, run.completed_at)}</dd>
      <dt>Exit code</dt>
      <dd>${run.exit_code ?? "–"}</dd>
      <dt>Started by</dt>
      <dd>${adminOf(run) ?? "the user"}</dd>
    </dl>
    <h3>Prompt</h3>
    ${quoted(run.prompt)}
    <h3>Output</h3>
    ${
      run.status === "running"
        ? html`<p>The output appears here when the run completes.</p>`
        : outputOf({ status: run.status, output }, `${frame.root}${PATH}/cli-run-output/${run.id}`)
    }`;
}

async function instancesPage(frame: Frame, api: Procedures, asked: z.output<typeof instanceQuery>): Promise<Html> {
  const { search, status, page } = asked;
  const { instances, pagination } = await api.admin.kiloclawInstances.list({
    search,
    status,
    limit: PAGE_SIZE,
    offset: (page - 1) * PAGE_SIZE,
  });
  const body = html`<h1>Instances</h1>
    ${filterForm(frame, asked, {
      hidden: {},
      placeholder: "E-mail, or ID of user or instance",
      selects: [["status", "State", admin.list.input.shape.status.unwrap().options]],
    })}
    <section id="results" data-live aria-labelledby="count">
      <h2 id="count">
        ${pagination.total === 1 ? "1 instance" : `${pagination.total.toLocaleString("en")} instances`}
      </h2>
      <ul class="rows">
        ${instances.map(
          (instance) =>
            html`<li>
              <a class="row" href="${frame.root}${PATH}/${instance.id}">
                <span class="line">
                  <strong class="email">${visible(instance.user_email ?? instance.user_id)}</strong>
                  <span class="status">${words(instance.lifecycle_state)}</span>
                </span>
                <span class="dim">
                  <code>${instance.id}</code> · created ${ago(instance.created_at)}
                  ${
                    instance.organization_id === null
                      ? ""
                      : html` · organization
                          <code title="${instance.organization_id}">${instance.organization_id.slice(0, 8)}</code>`
                  }
                </span>
              </a>
            </li>`,
        )}
      </ul>
      ${pager(frame, asked, pagination)}
    </section>`;
  return framed(frame, { title: "Instances" }, body);
}

type Asked = Readonly<Record<string, string | number | undefined>>;

/** The address of a list; what is as if it were not there is left out. */
function address(asked: Asked): string {
  const given = Object.entries(asked).filter(
    ([name, value]) => value !== undefined && value !== "" && value !== "all" && !(name === "page" && value === 1),
  );
  // The tab comes first: with nothing else it is the address in the navigation.
  given.sort(([a], [b]) => Number(b === "tab") - Number(a === "tab"));
  const parameters = new URLSearchParams(given.map(([name, value]) => [name, String(value)] as [string, string]));
  return parameters.size === 0 ? PATH : `${PATH}?${parameters.toString()}`;
}

function filterForm(
  { root }: Frame,
  asked: Asked,
  {
    hidden,
    placeholder,
    selects,
  }: {
    hidden: Readonly<Record<string, string>>;
    placeholder: string;
    selects: ReadonlyArray<readonly [name: string, label: string, options: readonly string[]]>;
  },
): Html {
  return html`<form class="filters" method="get" action="${root}${PATH}" role="search" data-filters>
    ${Object.entries(hidden).map(([name, value]) => html`<input type="hidden" name="${name}" value="${value}" />`)}
    <div>
      <label for="search">Search</label>
      <input id="search" name="search" type="search" value="${asked["search"]}" placeholder="${placeholder}" />
    </div>
    ${selects.map(
      ([name, label, options]) =>
        html`<div>
          <label for="${name}">${label}</label>
          <select id="${name}" name="${name}">
            ${options.map(
              (option) =>
                html`<option value="${option}" ${asked[name] === option ? raw("selected") : ""}>
                  ${words(option)}
                </option>`,
            )}
          </select>
        </div>`,
    )}
    <button>Search</button>
    <a class="button" href="${root}${address({ ...hidden, ...asked })}" data-refresh>Refresh</a>
  </form>`;
}

function pager({ root, path }: Frame, asked: Asked, { offset, limit, total, totalPages }: Pagination): Html {
  if (totalPages <= 1 && offset === 0) return html``;
  const now = offset / limit + 1;
  const tab = path.includes("tab=cli-runs") ? { tab: "cli-runs" } : {};
  const link = (page: number, text: string) =>
    page < 1 || page > totalPages
      ? html``
      : html`<a class="button" href="${root}${address({ ...tab, ...asked, page })}">${text}</a>`;
  return html`<nav class="pager" aria-label="Pages">
    ${link(now - 1, "Newer")}
    <span>Page ${now} of ${Math.max(1, totalPages)}, ${total} in all</span>
    ${link(now + 1, "Older")}
  </nav>`;
}

interface Pagination {
  readonly offset: number;
  readonly limit: number;
  readonly total: number;
  readonly totalPages: number;
}

/** `inactive_trial_stopped` in words. */
export function words(name: string): string {
  const text = name.replaceAll("_", " ");
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}`;
}
