/** For admins: one instance, its newest run, and starting or cancelling one. */
import { TRPCError } from "@trpc/server";
import { type Context, Hono } from "hono";
import { html } from "hono/html";
import * as z from "zod";
import type { Procedures } from "../../rpc/router.ts";
import { words } from "./admin-lists.ts";
import { type AccountEnv, fields } from "./env.ts";
import { type Frame, framed, type Html } from "./page.ts";
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
  trouble,
  typedPrompt,
} from "./runs.ts";
import { clock } from "./time.ts";
import { visible } from "./untrusted.ts";

type Instance = Awaited<ReturnType<Procedures["admin"]["kiloclawInstances"]["get"]>>;

export function adminInstance(): Hono<AccountEnv> {
  const app = new Hono<AccountEnv>();

  app.get("/:instanceId", async (c) => {
    const instance = await find(c.var.api, c.req.param("instanceId"));
    return instance ? c.html(await instancePage(c, instance)) : c.html(noInstance(c.var.frame), 404);
  });

  app.get("/:instanceId/output/:runId", async (c) => {
    const instance = await find(c.var.api, c.req.param("instanceId"));
    const run = instance && (await newestRun(c.var.api, instance));
    return run?.id === c.req.param("runId") ? c.text(run.output ?? "") : c.text("This is not the newest run.", 404);
  });

  app.post("/:instanceId", async (c) => {
    const { api, frame } = c.var;
    const { admin } = api;
    const instance = await find(api, c.req.param("instanceId"));
    if (!instance) return c.html(noInstance(frame), 404);
    const { id: instanceId, user_id: userId } = instance;
    const { prompt, cancel: runId } = await fields(c, "prompt", "cancel");
    if (runId !== "") {
      try {
        const { ok } = await admin.kiloclawInstances.cancelKiloCliRun({ userId, instanceId, runId });
        if (ok) return c.redirect(addressOf(frame, instance), 303);
        return c.html(await instancePage(c, instance, { said: "The machine had nothing to cancel. Look again." }), 409);
      } catch (error) {
        return c.html(await instancePage(c, instance, { said: cancelProblem(error) }), 502);
      }
    }
    const typed = typedPrompt(prompt);
    try {
      await admin.kiloclawInstances.startKiloCliRun({ userId, instanceId, prompt: typed });
    } catch (error) {
      const { text: said, status } = startProblem(error);
      return c.html(await instancePage(c, instance, { said, typed }), status);
    }
    return c.redirect(addressOf(frame, instance), 303);
  });

  return app;
}

const addressOf = ({ root }: Frame, { id }: Pick<Instance, "id">) => `${root}/admin/kiloclaw/${id}`;

async function find(api: Procedures, id: string): Promise<Instance | undefined> {
  if (!z.uuid().safeParse(id).success) return undefined;
  return api.admin.kiloclawInstances.get({ id }).catch((error: unknown) => {
    if (error instanceof TRPCError && error.code === "NOT_FOUND") return undefined;
    throw error;
  });
}

async function newestRun(
  api: Procedures,
  { id: instanceId, user_id: userId }: Instance,
): Promise<ShownRun | undefined> {
  const { runs } = await api.admin.kiloclawInstances.listKiloCliRuns({ userId, instanceId, limit: 1 });
  const [row] = runs;
  return (
    row && shownRun(row, () => api.admin.kiloclawInstances.getKiloCliRunStatus({ userId, instanceId, runId: row.id }))
  );
}

async function instancePage(
  { var: { api, frame } }: Context<AccountEnv>,
  instance: Instance,
  { said, typed }: { said?: string; typed?: string } = {},
): Promise<Html> {
  const run = await newestRun(api, instance);
  const running = run?.status === "running";
  const destroyed = instance.destroyed_at !== null;
  const address = addressOf(frame, instance);
  const audit = await api.admin.kiloclawInstances.adminAuditLogs({ userId: instance.user_id });
  const body = html`<h1 class="email">${visible(instance.user_email ?? instance.user_id)}</h1>
    ${notice(said)} ${about(instance)}
    ${
      destroyed
        ? html`<p>
            This instance is destroyed.
            <a href="${frame.root}/admin/kiloclaw?tab=cli-runs&search=${instance.id}">Its runs</a>
          </p>`
        : html`<section class="card" aria-labelledby="card-title">
            <h2 id="card-title">Kilo CLI Run</h2>
            ${promptForm(frame, { action: address, label: "What is to be repaired", ...(typed !== undefined && { typed }) })}
            <div id="actions" class="actions" data-live>
              ${running ? cancelForm(frame, address, run) : html`<button id="go" class="first" form="start">Start run</button>`}
              <a class="button" href="${address}" data-refresh>Refresh</a>
            </div>
            <div id="run" data-live>${run ? newest(run, `${address}/output/${run.id}`) : html`<p>No run yet.</p>`}</div>
            <p>
              <a href="${frame.root}/admin/kiloclaw?tab=cli-runs&search=${instance.id}">All runs of this instance</a>
            </p>
          </section>`
    }
    <section id="audit" data-live aria-labelledby="audit-title">
      <h2 id="audit-title">What admins did for this customer</h2>
      ${
        audit.length === 0
          ? html`<p>Nothing is recorded.</p>`
          : html`<ul class="rows">
              ${audit.map(
                (row) =>
                  html`<li class="row">
                    <span>${visible(row.message)}</span>
                    <span class="dim"
                      >${clock(row.created_at)} · ${visible(row.actor_email ?? row.actor_id ?? "unknown")}</span
                    >
                  </li>`,
              )}
            </ul>`
      }
    </section>`;
  return framed(frame, { title: instance.user_email ?? instance.user_id, poll: running }, body);
}

function newest(run: ShownRun, all: string): Html {
  return html`<h3>Latest run</h3>
    ${trouble(run)} ${facts(run, run.initiatedBy === "admin" ? "an admin" : "the user")} ${ending(run)}
    <h4>Prompt</h4>
    ${quoted(run.prompt)}
    <details id="output-of-${run.id}" ${run.status === "running" ? "open" : ""}>
      <summary>Output</summary>
      ${outputOf(run, all)}
    </details>`;
}

function about(instance: Instance): Html {
  const machine = z.object({ status: z.string().nullable() }).safeParse(instance.workerStatus).data?.status;
  const state =
    instance.workerStatus === null ? `unknown (${messageOf(instance.workerStatusError)})` : (machine ?? "gone");
  return html`<dl class="facts">
    <dt>Instance</dt>
    <dd>${instance.id}</dd>
    <dt>User</dt>
    <dd>${visible(instance.user_id)}</dd>
    <dt>Organization</dt>
    <dd>${instance.organization_id ?? "–"}</dd>
    <dt>State</dt>
    <dd>${words(instance.lifecycle_state)}</dd>
    <dt>Machine</dt>
    <dd>${state}</dd>
    <dt>Created</dt>
    <dd>${clock(instance.created_at)}</dd>
  </dl>`;
}

function noInstance(frame: Frame): Html {
  const body = html`<h1>No such instance</h1>
    <p><a href="${frame.root}/admin/kiloclaw">All instances</a></p>`;
  return framed(frame, { title: "No such instance" }, body);
}
