/** The frame of the sandbox's pages. What is put into `html` templates is escaped there. */
import { html, raw } from "hono/html";
import type { HtmlEscapedString } from "hono/utils/html";
import type { User } from "../../database/schema.ts";

export type Html = HtmlEscapedString | Promise<HtmlEscapedString>;

export const STYLE_PATH = "/sandbox.css";
export const SCRIPT_PATH = "/sandbox.js";

/** Only what this server itself has is loaded, nothing frames the page, and its forms go nowhere else. */
export const POLICY = [
  "default-src 'none'",
  "style-src 'self'",
  "script-src 'self'",
  "connect-src 'self'",
  "img-src 'self'",
  "form-action 'self'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
].join("; ");

/** Where a page stands, and who looks at it. */
export interface Frame {
  readonly user: User;
  /** The organizations in which the user has or had an instance. */
  readonly organizations: readonly string[];
  /** Comes first in every address: the session's own place. */
  readonly root: string;
  /** What every form of this session carries. */
  readonly token: string;
  /** Path and query of the page, without `root`. */
  readonly path: string;
}

/** A page by itself, before anybody has chosen an account. @param goOn a path to go on to at once. */
export function page(title: string, body: Html, goOn?: string): Html {
  return shell(
    title,
    html`<main class="card">
      <p class="top"><span>KiloClaw</span> <span class="badge">sandbox</span></p>
      <h1>${title}</h1>
      ${body} ${FOOT}
    </main>`,
    goOn === undefined ? html`` : html`<meta http-equiv="refresh" content="0; url=${goOn}" />`,
  );
}

/** A page with the navigation. @param poll whether it is to be looked at again by itself, as something in it goes on. */
export function framed(frame: Frame, { title, poll = false }: { title: string; poll?: boolean }, body: Html): Html {
  return shell(
    title,
    html`${bar(frame)}
      <main class="wide" id="main" ${poll ? raw("data-poll") : ""}>
        <p id="stale" class="notice" role="alert" hidden></p>
        <p id="announced" class="unseen" role="status"></p>
        ${body} ${FOOT}
      </main>`,
    html`<script type="module" src="${SCRIPT_PATH}"></script>`,
  );
}

const FOOT = html`<footer>
  This is a rehearsal on this machine: its accounts and tokens are of no use anywhere else.
</footer>`;

/** The first field of every form. */
export function tokenField({ token }: Pick<Frame, "token">): Html {
  return html`<input type="hidden" name="token" value="${token}" />`;
}

function shell(title: string, body: Html, head: Html): Html {
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <title>${title} · KiloClaw sandbox</title>
        <link rel="stylesheet" href="${STYLE_PATH}" />
        ${head}
      </head>
      <body>
        ${body}
      </body>
    </html>`;
}

function bar(frame: Frame): Html {
  const { user, root, path, organizations } = frame;
  const link = (to: string, text: string) =>
    html`<li><a href="${root}${to}" ${listOf(path) === listOf(to) ? raw('aria-current="page"') : ""}>${text}</a></li>`;
  return html`<a class="skip" href="#main">Skip to the content</a>
    <header class="bar">
      <nav aria-label="Main">
        <ul>
          <li class="brand"><a href="${root}/">KiloClaw</a> <span class="badge">sandbox</span></li>
          ${
            user.is_admin
              ? [link("/admin/kiloclaw", "Instances"), link("/admin/kiloclaw?tab=cli-runs", "Runs")]
              : [
                  link("/claw", "My instance"),
                  ...organizations.map((id) => link(`/organizations/${id}/claw`, `Organization ${id.slice(0, 8)}`)),
                ]
          }
        </ul>
      </nav>
      <div class="who">
        <span class="email">${user.google_user_email}</span>
        <span class="badge">${user.is_admin ? "Admin" : "Customer"}</span>
        <a href="${root}/account">Change account</a>
        <form method="post" action="${root}/sign-out">
          ${tokenField(frame)}
          <button class="plain">Sign out</button>
        </form>
      </div>
    </header>`;
}

/** What of an address makes it another page: filters, a page's number and a selected run do not. */
function listOf(path: string): string {
  const { pathname, searchParams } = new URL(path, "http://localhost");
  return `${pathname} ${searchParams.get("tab") ?? ""}`;
}
