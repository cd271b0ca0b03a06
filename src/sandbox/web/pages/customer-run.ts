import type { Context } from "hono";
import { html } from "hono/html";
import { addressOf, type SideEnv, starterOf } from "./customer-side.ts";
import { framed, type Html } from "./page.ts";
import { cancelForm, ending, facts, notice, outputOf, quoted, type ShownRun, trouble } from "./runs.ts";

/** A run: its prompt, status and output, and how it ended. @param said what came of a form. */
export function runPage(c: Context<SideEnv>, run: ShownRun, said?: string): Html {
  const { frame, side } = c.var;
  const address = addressOf(c, run);
  const running = run.status === "running";
  const body = html`<h1>Recovery run</h1>
    ${notice(said)} ${quoted(run.prompt)}
    <section id="run" data-live aria-label="Run">
      ${trouble(run)} ${facts(run, starterOf(run))} ${ending(run)}
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

export function noRun({ var: { frame, side } }: Context<SideEnv>): Html {
  const body = html`<h1>No such run</h1>
    <p>There is no such run of this instance. <a href="${frame.root}${side.path}">Back to the instance</a></p>`;
  return framed(frame, { title: "No such run" }, body);
}
