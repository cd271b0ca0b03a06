import type { Context } from "hono";
import { html } from "hono/html";
import type { Services } from "../../rpc/init.ts";
import { addressOf, isComing, machineStatus, runsOf, type SideEnv, starterOf, waiting } from "./customer-side.ts";
import { framed, type Html } from "./page.ts";
import { statusBadge } from "./runs.ts";
import { ago } from "./time.ts";
import { oneLine } from "./untrusted.ts";

/** The instance, with its machine, its runs, and the way to recover it. */
export async function instancePage(c: Context<SideEnv>, services: Services): Promise<Html> {
  const { frame, side } = c.var;
  const { instance, title } = side;
  const address = `${frame.root}${side.path}`;
  if (!instance) {
    const body = html`<h1>${title}</h1>
      <p>You have no instance here.</p>`;
    return framed(frame, { title }, body);
  }
  const [machine, runs] = [await machineStatus(services, instance), await runsOf(side)];
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
                    <a class="row" href="${addressOf(c, run)}">
                      <span class="line"
                        >${statusBadge(run)}
                        <span class="dim">${ago(run.startedAt)} · started by ${starterOf(run)}</span></span
                      >
                      <span class="cut">${oneLine(run.prompt)}</span>
                    </a>
                  </li>`,
              )}
            </ul>`
      }
    </section>`;
  return framed(frame, { title, poll: current !== undefined || isComing(machine) }, body);
}
