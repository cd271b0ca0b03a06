/** The sandbox's pages: signing in to them, the first one, and where the others hang. They work without JavaScript. */
import { type Context, Hono } from "hono";
import { setCookie } from "hono/cookie";
import { html } from "hono/html";
import type { SandboxStatus } from "../control-api.ts";
import { isFromOwnPage } from "./guards.ts";
import { type Html, page, POLICY, STYLE, STYLE_PATH } from "./page.ts";
import type { Session, Sessions } from "./sessions.ts";

export const TICKET_PATH = "/ticket";
const KEY_PATH = "/key";
/** In front of a session's own place, which is in front of every page's path. */
const SESSION_PREFIX = "/s";

/** What a page finds in its context. */
export interface PageEnv {
  Variables: { session: Session };
}

interface PagesOptions {
  readonly sessions: Sessions;
  readonly status: () => Promise<SandboxStatus>;
  readonly device: Hono<PageEnv>;
}

export function pages({ sessions, status, device }: PagesOptions): Hono<PageEnv> {
  const app = new Hono<PageEnv>();

  app.use(async (c, next) => {
    await next();
    c.header("content-security-policy", POLICY);
    c.header("x-frame-options", "DENY");
    c.header("x-content-type-options", "nosniff");
    // Not `no-referrer`: with it browsers do not say which page a form comes from.
    c.header("referrer-policy", "same-origin");
    c.header("cache-control", "no-store");
  });

  /**
   * Opens the session, and goes on by itself: a redirect of a request that came from elsewhere would be sent without the
   * cookie, which is strict.
   */
  const signedIn = (c: Context, { cookie, place }: Session, next: string) => {
    const root = `${SESSION_PREFIX}/${place}`;
    setCookie(c, sessions.cookieName, cookie, { path: root, httpOnly: true, sameSite: "Strict" });
    const goOn = `${root}${next.startsWith("/") ? next : "/"}`;
    return c.html(page("Signed in", html`<p><a href="${goOn}">Continue</a></p>`, goOn));
  };

  app.get(STYLE_PATH, (c) => c.body(STYLE, 200, { "content-type": "text/css; charset=utf-8" }));

  for (const path of ["/", "/device-auth"]) app.get(path, (c) => c.html(askForKey(pathOf(c)), 401));

  app.post(KEY_PATH, async (c) => {
    if (!isFromOwnPage(c)) return c.html(notFromHere(), 403);
    const { key, next } = await fields(c, "key", "next");
    const session = sessions.withKey(key.trim());
    return session ? signedIn(c, session, next) : c.html(askForKey(next, "This is not the key."), 403);
  });

  // From a file that this sandbox wrote for its owner: a browser says of it that it is of no site.
  app.post(TICKET_PATH, async (c) => {
    if ((c.req.header("origin") ?? "null") !== "null") return c.html(notFromHere(), 403);
    const { ticket, next } = await fields(c, "ticket", "next");
    const session = sessions.withTicket(ticket);
    return session ? signedIn(c, session, next) : c.html(askForKey(next, "The link was used, or is too old."), 403);
  });

  app.use(`${SESSION_PREFIX}/:place/*`, async (c, next) => {
    const session = sessions.find(c.req.param("place"), c.req.header("cookie") ?? "");
    if (!session) return c.html(askForKey(pathOf(c).replace(/^\/s\/[^/]*/, "")), 401);
    if (c.req.method !== "GET" && !isFromOwnPage(c)) return c.html(notFromHere(), 403);
    c.set("session", session);
    return next();
  });
  app.get(`${SESSION_PREFIX}/:place/`, async (c) => c.html(page("This sandbox", overview(await status()))));
  app.route(`${SESSION_PREFIX}/:place/device-auth`, device);

  return app;
}

function pathOf(c: Context): string {
  const { pathname, search } = new URL(c.req.url);
  return `${pathname}${search}`;
}

async function fields<Name extends string>(c: Context, ...names: readonly Name[]): Promise<Record<Name, string>> {
  const form = await c.req.parseBody();
  const entries = names.map((name) => [name, typeof form[name] === "string" ? form[name] : ""]);
  return Object.fromEntries(entries) as Record<Name, string>;
}

function askForKey(next: string, problem?: string): Html {
  const body = html`${problem === undefined ? "" : html`<p role="alert"><strong>${problem}</strong></p>`}
    <p>Only the user who runs this sandbox may see its pages.</p>
    <form method="post" action="${KEY_PATH}">
      <input type="hidden" name="next" value="${next}" />
      <label for="key">Key of this sandbox</label>
      <input id="key" name="key" type="password" required autofocus autocomplete="off" spellcheck="false" />
      <button class="first">Continue</button>
    </form>
    <p>This command shows the key: <code>kiloclaw-admin sandbox open --print</code></p>`;
  return page("Sign in to the sandbox", body);
}

function notFromHere(): Html {
  return page("Not accepted", html`<p>This form was not sent from a page of this sandbox.</p>`);
}

function overview({ url, database, users, instances, runs }: SandboxStatus): Html {
  return html`<dl>
      <dt>Address</dt>
      <dd>${url}</dd>
      <dt>Database</dt>
      <dd>${database}</dd>
      <dt>Holds</dt>
      <dd>${users} users, ${instances} instances, ${runs} runs</dd>
    </dl>
    <p><a href="device-auth">Sign in a device</a></p>`;
}
