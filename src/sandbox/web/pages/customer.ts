/** For a customer: the instance, recovering it, and a run. The same for his own instance and for one in an organization. */
import { TRPCError } from "@trpc/server";
import { type Context, Hono } from "hono";
import { html, raw } from "hono/html";
import * as z from "zod";
import type { Instance } from "../../database/schema.ts";
import { findMemberInstance, findPersonalInstance, machineOf } from "../../platform/instances.ts";
import type { Services } from "../../rpc/init.ts";
import { type AccountEnv, fields } from "./env.ts";
import { framed, type Html } from "./page.ts";
import {
  cancelForm,
  cancelProblem,
  ending,
  facts,
  messageOf,
  notice,
  outputOf,
  promptForm,
  quoted,
  type ShownRun,
  shownRun,
  startProblem,
  statusBadge,
  typedPrompt,
} from "./runs.ts";
import { ago } from "./time.ts";
import { oneLine } from "./untrusted.ts";

/** His own instance, or the one in an organization: where its pages are, and the procedures that act on it. */
interface Side {
  readonly path: string;
  readonly title: string;
  readonly instance: Instance | undefined;
  readonly runs: Runs;
}

type Row = Parameters<typeof shownRun>[0] & { readonly instance_id: string | null };
type Answer = Awaited<ReturnType<Parameters<typeof shownRun>[1]>> & {
  readonly hasRun: boolean;
  readonly prompt: string | null;
  readonly startedAt: string | null;
  readonly initiatedBy: "admin" | "user" | null;
};
interface Runs {
  readonly start: (prompt: string) => Promise<{ id: string }>;
  readonly status: (runId: string) => Promise<Answer>;
  readonly cancel: (runId: string) => Promise<{ ok: boolean }>;
  readonly list: () => Promise<{ runs: readonly Row[] }>;
}

export function customer(services: Services): Hono<AccountEnv> {
  const app = new Hono<AccountEnv>();

  app.use("/organizations/:organizationId/*", async (c, next) => {
    const { api, frame } = c.var;
    const organizationId = c.req.param("organizationId");
    try {
      await api.organizations.kiloclaw.listKiloCliRuns({ organizationId, limit: 1 });
    } catch (error) {
      const title = "Not your organization";
      const body = html`<h1>${title}</h1>
        <p>
          ${messageOf(error instanceof TRPCError && error.code === "BAD_REQUEST" ? "This is no organization's ID." : error)}
        </p>`;
      return c.html(framed(frame, { title }, body), 403);
    }
    return next();
  });

  for (const base of ["/claw", "/organizations/:organizationId/claw"] as const) {
    app.get(base, (c) => guarded(c, async (side) => c.html(await instancePage(c, side, services))));

    app.get(`${base}/recover`, (c) =>
      guarded(c, async (side) => {
        const current = await runInProgress(side);
        return current ? c.redirect(addressOf(c, side, current), 303) : c.html(await recoverPage(c, side, services));
      }),
    );

    app.post(`${base}/recover`, (c) =>
      guarded(c, async (side) => {
        const typed = typedPrompt((await fields(c, "prompt")).prompt);
        try {
          return c.redirect(addressOf(c, side, await side.runs.start(typed)), 303);
        } catch (error) {
          const { text: said, status } = startProblem(error);
          const current = status === 409 ? await runInProgress(side) : undefined;
          if (current) return c.redirect(`${addressOf(c, side, current)}?met`, 303);
          return c.html(await recoverPage(c, side, services, { said, typed }), status);
        }
      }),
    );

    app.get(`${base}/kilo-cli-run/:runId`, (c) =>
      guarded(c, async (side) => {
        const run = await findRun(side, c.req.param("runId"));
        const met =
          c.req.query("met") === undefined
            ? undefined
            : "A run was in progress already: this one. Nothing more was started.";
        return run ? c.html(runPage(c, side, run, met)) : c.html(noRun(c, side), 404);
      }),
    );

    app.get(`${base}/kilo-cli-run/:runId/output`, (c) =>
      guarded(c, async (side) => {
        const run = await findRun(side, c.req.param("runId"));
        return run ? c.text(run.output ?? "") : c.text("There is no such run.", 404);
      }),
    );

    app.post(`${base}/kilo-cli-run/:runId`, (c) =>
      guarded(c, async (side) => {
        const { cancel: runId } = await fields(c, "cancel");
        if (runId !== c.req.param("runId") || !(await findRun(side, runId))) return c.html(noRun(c, side), 404);
        let said = "The machine had nothing to cancel. Look again.";
        try {
          if ((await side.runs.cancel(runId)).ok) return c.redirect(addressOf(c, side, { id: runId }), 303);
        } catch (error) {
          said = cancelProblem(error);
        }
        const run = await findRun(side, runId);
        return run ? c.html(runPage(c, side, run, said), 502) : c.html(noRun(c, side), 404);
      }),
    );
  }

  /** A page of the side that the address is about; what the procedures refuse is said instead. */
  const guarded = async (c: Context<AccountEnv>, answer: (side: Side) => Promise<Response>): Promise<Response> => {
    const side = await sideOf(c, services);
    try {
      return await answer(side);
    } catch (error) {
      if (!(error instanceof TRPCError)) throw error;
      const body = html`<h1>${side.title}</h1>
        <p class="notice" role="alert">${messageOf(error)}</p>`;
      return c.html(framed(c.var.frame, { title: side.title }, body), error.code === "FORBIDDEN" ? 403 : 502);
    }
  };

  return app;
}

async function sideOf(c: Context<AccountEnv>, { database }: Services): Promise<Side> {
  const { api, frame } = c.var;
  const { id: userId } = frame.user;
  const organizationId = c.req.param("organizationId");
  if (organizationId === undefined) {
    const own = api.kiloclaw;
    return {
      path: "/claw",
      title: "My instance",
      instance: await findPersonalInstance(database, userId),
      runs: {
        start: (prompt) => own.startKiloCliRun({ prompt }),
        status: (runId) => own.getKiloCliRunStatus({ runId }),
        cancel: (runId) => own.cancelKiloCliRun({ runId }),
        list: () => own.listKiloCliRuns({}),
      },
    };
  }
  const { kiloclaw } = api.organizations;
  return {
    path: `/organizations/${organizationId}/claw`,
    title: "My instance in the organization",
    instance: await findMemberInstance(database, { userId, organizationId }),
    runs: {
      start: (prompt) => kiloclaw.startKiloCliRun({ organizationId, prompt }),
      status: (runId) => kiloclaw.getKiloCliRunStatus({ organizationId, runId }),
      cancel: (runId) => kiloclaw.cancelKiloCliRun({ organizationId, runId }),
      list: () => kiloclaw.listKiloCliRuns({ organizationId }),
    },
  };
}

function addressOf({ var: { frame } }: Context<AccountEnv>, { path }: Side, { id }: { id: string }): string {
  return `${frame.root}${path}/kilo-cli-run/${id}`;
}

/** The newest runs of this side's instance, newest first; one in progress is asked about, as it may have ended. */
async function runsOf({ runs, instance }: Side): Promise<ShownRun[]> {
  if (!instance) return [];
  const rows = (await runs.list()).runs.filter((row) => row.instance_id === instance.id);
  return Promise.all(rows.map((row) => shownRun(row, () => runs.status(row.id))));
}

async function runInProgress(side: Side): Promise<ShownRun | undefined> {
  return (await runsOf(side)).find(({ status }) => status === "running");
}

async function findRun({ runs }: Side, id: string): Promise<ShownRun | undefined> {
  if (!z.uuid().safeParse(id).success) return undefined;
  const { hasRun, status, prompt, initiatedBy, ...rest } = await runs.status(id);
  if (!hasRun || status === null || prompt === null) return undefined;
  return { ...rest, id, status, prompt, initiatedBy: initiatedBy ?? "user" };
}

/** Machines that come up by themselves. */
const COMING: readonly string[] = ["starting", "restarting", "recovering"];

async function machineOfSide({ worker }: Services, instance: Instance): Promise<string> {
  const call = { procedure: "kiloclaw.getStatus", userId: instance.user_id, instanceId: instance.id };
  const { workerStatus } = await machineOf(worker, instance, call);
  if (workerStatus === null) return "unknown";
  return z.object({ status: z.string() }).safeParse(workerStatus).data?.status ?? "gone";
}

async function instancePage(c: Context<AccountEnv>, side: Side, services: Services): Promise<Html> {
  const { frame } = c.var;
  const { instance, title } = side;
  const address = `${frame.root}${side.path}`;
  if (!instance) {
    const body = html`<h1>${title}</h1>
      <p>You have no instance here.</p>`;
    return framed(frame, { title }, body);
  }
  const [machine, runs] = [await machineOfSide(services, instance), await runsOf(side)];
  const current = runs.find(({ status }) => status === "running");
  const body = html`<h1>${title}</h1>
    <section id="instance" data-live aria-labelledby="instance-title">
      <h2 id="instance-title">${instance.sandbox_id.slice(0, 24)}</h2>
      <dl class="facts">
        <dt>Machine</dt>
        <dd data-announce>${machine}</dd>
        <dt>Instance</dt>
        <dd>${instance.id}</dd>
        ${
          instance.organization_id === null
            ? ""
            : html`<dt>Organization</dt>
                <dd>${instance.organization_id}</dd>`
        }
      </dl>
      ${current ? html`<p>${statusBadge(current)} A recovery run is in progress.</p>` : ""}
      <p class="actions">
        ${
          machine === "running"
            ? html`<a class="button first" href="${address}/recover"
                >${current ? "Go to the run" : "Recover with Kilo"}</a
              >`
            : html`<span class="button off" role="link" aria-disabled="true">Recover with Kilo</span>
                <span>${waiting(machine)}</span>`
        }
        <a class="button" href="${address}" data-refresh>Refresh</a>
      </p>
      <h2>Recovery runs</h2>
      ${
        runs.length === 0
          ? html`<p>None yet.</p>`
          : html`<ul class="rows">
              ${runs.map(
                (run) =>
                  html`<li>
                    <a class="row" href="${addressOf(c, side, run)}">
                      <span class="line"
                        >${statusBadge(run)} <span class="dim">${ago(run.startedAt)} · ${by(run)}</span></span
                      >
                      <span class="cut">${oneLine(run.prompt)}</span>
                    </a>
                  </li>`,
              )}
            </ul>`
      }
    </section>`;
  return framed(frame, { title, poll: current !== undefined || COMING.includes(machine) }, body);
}

function waiting(machine: string): string {
  return COMING.includes(machine)
    ? "The machine is restarting. Wait until it runs."
    : "The machine does not run. A recovery needs it to run.";
}

async function recoverPage(
  c: Context<AccountEnv>,
  side: Side,
  services: Services,
  { said, typed }: { said?: string; typed?: string } = {},
): Promise<Html> {
  const { frame } = c.var;
  const { instance, path } = side;
  const title = "Recover with Kilo";
  const address = `${frame.root}${path}/recover`;
  const machine = instance ? await machineOfSide(services, instance) : "gone";
  const off = machine !== "running";
  const body = html`<section class="card" aria-labelledby="title">
    <h1 id="title">${title}</h1>
    ${notice(said)}
    <p>
      Kilo works on your instance by itself: it looks for what is wrong, changes configuration and files, and restarts
      what it has to. You can watch it and cancel it. Say what does not work.
    </p>
    <div id="machine" data-live>${off ? html`<p class="notice" data-announce>${waiting(machine)}</p>` : ""}</div>
    ${promptForm(frame, { action: address, label: "The problem", disabled: off, ...(typed !== undefined && { typed }) })}
    <div id="actions" class="actions" data-live>
      <button id="go" class="first" form="start" ${off ? raw("disabled") : ""}>Start</button>
      <a class="button" href="${frame.root}${path}">Back</a>
      ${off ? html`<a class="button" href="${address}" data-refresh>Refresh</a>` : ""}
    </div>
  </section>`;
  return framed(frame, { title, poll: COMING.includes(machine) }, body);
}

const by = ({ initiatedBy }: ShownRun) => (initiatedBy === "admin" ? "started by an admin" : "started by you");

function runPage(c: Context<AccountEnv>, side: Side, run: ShownRun, said?: string): Html {
  const { frame } = c.var;
  const address = addressOf(c, side, run);
  const running = run.status === "running";
  const body = html`<h1>Recovery run</h1>
    ${notice(said)} ${quoted(run.prompt)}
    <section id="run" data-live aria-label="Run">
      ${facts(run, run.initiatedBy === "admin" ? "an admin" : "you")} ${ending(run)}
      <h2>Output</h2>
      ${outputOf(run, `${address}/output`)}
      <div class="actions">
        ${running ? cancelForm(frame, address, run) : ""}
        ${running ? html`<a class="button" href="${address}" data-refresh>Refresh</a>` : ""}
        <a class="button" href="${frame.root}${side.path}">Back to the instance</a>
      </div>
    </section>`;
  return framed(frame, { title: "Recovery run", poll: running }, body);
}

function noRun({ var: { frame } }: Context<AccountEnv>, { path }: Side): Html {
  const body = html`<h1>No such run</h1>
    <p>There is no such run of this instance. <a href="${frame.root}${path}">Back to the instance</a></p>`;
  return framed(frame, { title: "No such run" }, body);
}
