import type { Context } from "hono";
import { html, raw } from "hono/html";
import type { Services } from "../../rpc/init.ts";
import { isComing, machineStatus, type SideEnv, waiting } from "./customer-side.ts";
import { framed, type Html } from "./page.ts";
import { notice, promptForm } from "./runs.ts";

/** What a recovery is, and the field for the problem. */
export async function recoverPage(
  { var: { frame, side } }: Context<SideEnv>,
  services: Services,
  { said, typed }: { said?: string; typed?: string } = {},
): Promise<Html> {
  const { instance, path } = side;
  const title = "Recover with Kilo";
  const address = `${frame.root}${path}/recover`;
  const machine = instance ? await machineStatus(services, instance) : "gone";
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
  return framed(frame, { title, poll: isComing(machine) }, body);
}
