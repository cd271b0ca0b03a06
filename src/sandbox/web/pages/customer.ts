/** For a customer: the instance, recovering it, and a run. The same for his own instance and for one in an organization. */
import { TRPCError } from "@trpc/server";
import { Hono } from "hono";
import { html } from "hono/html";
import type { Services } from "../../rpc/init.ts";
import { instancePage } from "./customer-instance.ts";
import { recoverPage } from "./customer-recover.ts";
import { noRun, runPage } from "./customer-run.ts";
import { addressOf, findRun, runInProgress, type SideEnv, sideOf } from "./customer-side.ts";
import { fields } from "./env.ts";
import { framed } from "./page.ts";
import { cancelProblem, messageOf, startProblem, typedPrompt } from "./runs.ts";

const MET = "A run was in progress already: this one. Nothing more was started.";

export function customer(services: Services): Hono<SideEnv> {
  const app = new Hono<SideEnv>();

  app.use("/organizations/:organizationId/*", async (c, next) => {
    const { api, frame } = c.var;
    const organizationId = c.req.param("organizationId");
    try {
      await api.organizations.kiloclaw.listKiloCliRuns({ organizationId, limit: 1 });
    } catch (error) {
      const title = "Not your organization";
      const isNone = error instanceof TRPCError && error.code === "BAD_REQUEST";
      const body = html`<h1>${title}</h1>
        <p>${isNone ? "This is no organization's ID." : messageOf(error)}</p>`;
      return c.html(framed(frame, { title }, body), 403);
    }
    return next();
  });

  for (const base of ["/claw", "/organizations/:organizationId/claw"]) {
    app.use(`${base}/*`, async (c, next) => {
      c.set("side", await sideOf(c.var, services, c.req.param("organizationId")));
      return next();
    });

    app.get(base, async (c) => c.html(await instancePage(c, services)));

    app.get(`${base}/recover`, async (c) => {
      const current = await runInProgress(c.var.side);
      return current ? c.redirect(addressOf(c, current), 303) : c.html(await recoverPage(c, services));
    });

    app.post(`${base}/recover`, async (c) => {
      const { side } = c.var;
      const typed = typedPrompt((await fields(c, "prompt")).prompt);
      try {
        return c.redirect(addressOf(c, await side.runs.start(typed)), 303);
      } catch (error) {
        const { text: said, status } = startProblem(error);
        const current = status === 409 ? await runInProgress(side) : undefined;
        if (current) return c.redirect(`${addressOf(c, current)}?met`, 303);
        return c.html(await recoverPage(c, services, { said, typed }), status);
      }
    });

    app.get(`${base}/kilo-cli-run/:runId`, async (c) => {
      const run = await findRun(c.var.side, c.req.param("runId"));
      const said = c.req.query("met") === undefined ? undefined : MET;
      return run ? c.html(runPage(c, run, said)) : c.html(noRun(c), 404);
    });

    app.get(`${base}/kilo-cli-run/:runId/output`, async (c) => {
      const run = await findRun(c.var.side, c.req.param("runId"));
      return run ? c.text(run.output ?? "") : c.text("There is no such run.", 404);
    });

    app.post(`${base}/kilo-cli-run/:runId`, async (c) => {
      const { side } = c.var;
      const { cancel: runId } = await fields(c, "cancel");
      if (runId !== c.req.param("runId") || !(await findRun(side, runId))) return c.html(noRun(c), 404);
      let said = "The machine had nothing to cancel. Look again.";
      try {
        if ((await side.runs.cancel(runId)).ok) return c.redirect(addressOf(c, { id: runId }), 303);
      } catch (error) {
        said = cancelProblem(error);
      }
      const run = await findRun(side, runId);
      return run ? c.html(runPage(c, run, said), 502) : c.html(noRun(c), 404);
    });
  }

  return app;
}
