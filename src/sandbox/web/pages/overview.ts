import { html } from "hono/html";
import type { SandboxStatus } from "../../control-api.ts";
import { type Frame, framed, type Html } from "./page.ts";

/** The first page. */
export function overview(frame: Frame, { url, database, users, instances, runs }: SandboxStatus): Html {
  const { root, user, organizations } = frame;
  const links: ReadonlyArray<readonly [string, string]> = user.is_admin
    ? [
        ["/admin/kiloclaw", "Instances"],
        ["/admin/kiloclaw?tab=cli-runs", "All runs"],
      ]
    : [
        ["/claw", "My instance"],
        ...organizations.map((id) => [`/organizations/${id}/claw`, `My instance in organization ${id}`] as const),
      ];
  const body = html`<h1>This sandbox</h1>
    <dl>
      <dt>Address</dt>
      <dd>${url}</dd>
      <dt>Database</dt>
      <dd>${database}</dd>
      <dt>Holds</dt>
      <dd>${users} users, ${instances} instances, ${runs} runs</dd>
    </dl>
    <ul>
      ${links.map(([path, text]) => html`<li><a href="${root}${path}">${text}</a></li>`)}
      <li><a href="${root}/device-auth">Sign in a device</a></li>
    </ul>`;
  return framed(frame, { title: "This sandbox" }, body);
}
