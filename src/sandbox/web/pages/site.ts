/** The sandbox's pages: signing in to them, and where each hangs. They work without JavaScript. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { TRPCError } from "@trpc/server";
import { type Context, Hono } from "hono";
import { deleteCookie, setCookie } from "hono/cookie";
import { html } from "hono/html";
import type { SandboxStatus } from "../../control-api.ts";
import type { User } from "../../database/schema.ts";
import { organizationsOf } from "../../platform/organizations.ts";
import { findUser } from "../../platform/users.ts";
import type { Services } from "../../rpc/init.ts";
import { callAs } from "../../rpc/router.ts";
import { isFromOwnPage } from "../guards.ts";
import { same } from "../secrets.ts";
import type { Session, Sessions } from "../sessions.ts";
import { askForAccount, choosableAccounts } from "./accounts.ts";
import { adminInstance } from "./admin-instance.ts";
import { adminLists } from "./admin-lists.ts";
import { customer } from "./customer.ts";
import { type AccountEnv, fields, type PageEnv } from "./env.ts";
import { overview } from "./overview.ts";
import { framed, type Html, page, POLICY, SCRIPT_PATH, STYLE_PATH } from "./page.ts";
import { messageOf } from "./runs.ts";

export const TICKET_PATH = "/ticket";
const KEY_PATH = "/key";
/** In front of a session's own place, which is in front of every page's path. */
const SESSION_PREFIX = "/s";

interface PagesOptions {
  readonly services: Services;
  readonly sessions: Sessions;
  readonly status: () => Promise<SandboxStatus>;
  readonly device: Hono<PageEnv>;
  /** A folder with the style sheet and the script. */
  readonly browserAssets: string;
}

export function pages({ services, sessions, status, device, browserAssets }: PagesOptions): Hono<AccountEnv> {
  const app = new Hono<AccountEnv>();
  const { database } = services;

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
    const goOn = `${root}${ownPath(next)}`;
    return c.html(page("Signed in", html`<p><a href="${goOn}">Continue</a></p>`, goOn));
  };

  for (const [path, type] of [
    [STYLE_PATH, "text/css"],
    [SCRIPT_PATH, "text/javascript"],
  ] as const) {
    app.get(path, async (c) =>
      c.body(await readFile(join(browserAssets, path), "utf8"), 200, { "content-type": `${type}; charset=utf-8` }),
    );
  }

  for (const path of ["/", "/device-auth", "/admin/kiloclaw/*", "/claw/*", "/organizations/*"]) {
    app.get(path, (c) => c.html(askForKey(pathOf(c)), 401));
  }

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
    if (!session) return c.html(askForKey(withoutPlace(c)), 401);
    if (c.req.method !== "GET" && !isFromOwnPage(c)) return c.html(notFromHere(), 403);
    c.set("session", session);
    return next();
  });
  // Its forms carry a token of their own, which is bound to the code.
  app.route(`${SESSION_PREFIX}/:place/device-auth`, device);

  app.use(`${SESSION_PREFIX}/:place/*`, async (c, next) => {
    if (c.req.method === "GET") return next();
    const { token } = await fields(c, "token");
    return same(token, c.get("session").formToken) ? next() : c.html(notFromHere(), 403);
  });

  app.post(`${SESSION_PREFIX}/:place/sign-out`, (c) => {
    const { place } = c.get("session");
    sessions.close(c.get("session"));
    deleteCookie(c, sessions.cookieName, { path: `${SESSION_PREFIX}/${place}` });
    return c.html(page("Signed out", html`<p><a href="/">Sign in again</a></p>`));
  });

  const chooser = async (c: Context<AccountEnv>, next: string) => {
    const { place, formToken: token, userId: chosen } = c.var.session;
    return askForAccount(await choosableAccounts(database), {
      root: `${SESSION_PREFIX}/${place}`,
      token,
      next,
      chosen,
    });
  };
  app.get(`${SESSION_PREFIX}/:place/account`, async (c) => c.html(await chooser(c, "/")));
  app.post(`${SESSION_PREFIX}/:place/account`, async (c) => {
    const { account, next } = await fields(c, "account", "next");
    const user = await activeUser(services, account);
    if (!user) return c.html(await chooser(c, next), 400);
    const session = c.get("session");
    session.userId = user.id;
    return c.redirect(`${SESSION_PREFIX}/${session.place}${ownPath(next)}`, 303);
  });

  const accountPages = new Hono<AccountEnv>();
  accountPages.onError((error, c) => {
    const title = "The platform cannot answer";
    const body = html`<h1>${title}</h1>
      <p class="notice" role="alert">${messageOf(error)}</p>`;
    const forbidden = error instanceof TRPCError && error.code === "FORBIDDEN";
    return c.html(framed(c.get("frame"), { title }, body), forbidden ? 403 : 502);
  });
  accountPages.use(async (c, next) => {
    const session = c.get("session");
    const user = session.userId === undefined ? undefined : await activeUser(services, session.userId);
    if (!user) return c.html(await chooser(c, withoutPlace(c)), c.req.method === "GET" ? 200 : 403);
    const path = withoutPlace(c);
    const root = `${SESSION_PREFIX}/${session.place}`;
    const organizations = user.is_admin ? [] : await organizationsOf(database, user.id);
    c.set("frame", { user, organizations, root, token: session.formToken, path });
    c.set("api", callAs(services, user));
    return next();
  });
  accountPages.use("/admin/*", async (c, next) => {
    if (c.get("frame").user.is_admin) return next();
    const body = html`<h1>For admins</h1>
      <p>
        This account is a customer's. <a href="${c.get("frame").root}/account">Choose an admin's</a> to see this page.
      </p>`;
    return c.html(framed(c.get("frame"), { title: "For admins" }, body), 403);
  });
  accountPages.route("/admin/kiloclaw", adminLists(services));
  accountPages.route("/admin/kiloclaw", adminInstance());
  accountPages.route("/", customer(services));
  app.route(`${SESSION_PREFIX}/:place`, accountPages);
  app.get(`${SESSION_PREFIX}/:place/`, async (c) => c.html(overview(c.get("frame"), await status())));

  return app;
}

async function activeUser({ database }: Services, id: string): Promise<User | undefined> {
  const user = await findUser(database, id);
  return user?.blocked_reason === null ? user : undefined;
}

/** Path and query of a page of this server, whatever was sent in its place. */
function ownPath(next: string): string {
  const here = "http://localhost";
  const { origin, pathname, search } = new URL(URL.canParse(next, here) ? next : "/", here);
  return origin === here ? `${pathname}${search}` : "/";
}

function pathOf(c: Context): string {
  const { pathname, search } = new URL(c.req.url);
  return `${pathname}${search}`;
}

function withoutPlace(c: Context): string {
  return pathOf(c).replace(/^\/s\/[^/]*/, "") || "/";
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
