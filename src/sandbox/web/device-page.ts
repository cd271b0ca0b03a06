/** The page where a device code is approved. Plain HTML: it works without JavaScript. */
import { createHmac, timingSafeEqual } from "node:crypto";
import { asc, isNull } from "drizzle-orm";
import { Hono } from "hono";
import { html } from "hono/html";
import type { HtmlEscapedString } from "hono/utils/html";
import type { Database } from "../database/database.ts";
import { type DeviceAuthRequest, type User, users } from "../database/schema.ts";
import { type DeviceAuth, DeviceAuthFailure } from "../device-auth.ts";
import { findUser } from "../users.ts";

type Html = HtmlEscapedString | Promise<HtmlEscapedString>;

/** Enough for every seeded account; those added for load are not worth a choice. */
const MAX_ACCOUNTS = 50;

const POLICY =
  "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/** @param secret signs the forms, so that only a page that was served here can be sent. */
export function devicePage({
  database,
  deviceAuth,
  secret,
}: {
  database: Database;
  deviceAuth: DeviceAuth;
  secret: Uint8Array;
}): Hono {
  const app = new Hono();
  const sign = (code: string) => createHmac("sha256", secret).update(`device page ${code}`).digest("base64url");

  app.use(async (c, next) => {
    await next();
    c.header("content-security-policy", POLICY);
    c.header("x-frame-options", "DENY");
    c.header("referrer-policy", "no-referrer");
    c.header("cache-control", "no-store");
  });

  app.get("/", async (c) => {
    const code = c.req.query("code")?.trim().toUpperCase() ?? "";
    if (!code) return c.html(page("Sign in a device", askForCode()));
    const request = await deviceAuth.find(code);
    if (request?.status !== "pending") return c.html(page(...settled(request?.status ?? "expired")), 410);
    const accounts = await database
      .select()
      .from(users)
      .where(isNull(users.blocked_reason))
      .orderBy(asc(users.created_at), asc(users.stripe_customer_id))
      .limit(MAX_ACCOUNTS);
    return c.html(page("Sign in a device", askForDecision(request, accounts, sign(code))));
  });

  app.post("/", async (c) => {
    const form = await c.req.parseBody();
    const field = (name: string) => (typeof form[name] === "string" ? form[name] : "");
    const code = field("code");
    if (!same(field("token"), sign(code))) {
      return c.html(page("Not accepted", html`<p>This form was not made by this page. Open the link again.</p>`), 403);
    }
    const user = await findUser(database, field("account"));
    if (field("decision") === "approve" && (!user || user.blocked_reason !== null)) {
      return c.html(page("No such account", html`<p>Go back and choose an account.</p>`), 400);
    }
    try {
      if (field("decision") === "approve" && user) await deviceAuth.approve(code, user);
      else await deviceAuth.deny(code);
    } catch (error) {
      if (!(error instanceof DeviceAuthFailure)) throw error;
      const request = await deviceAuth.find(code);
      return c.html(page(...settled(request?.status ?? "expired")), 410);
    }
    return c.html(page(...settled(field("decision") === "approve" ? "approved" : "denied")));
  });

  return app;
}

function askForCode(): Html {
  return html`<form method="get" action="/device-auth">
    <p><label for="code">Code that the device shows</label></p>
    <p><input id="code" name="code" required autocomplete="off" spellcheck="false" placeholder="ABCD-EFGH" /></p>
    <p><button>Continue</button></p>
  </form>`;
}

function askForDecision(request: DeviceAuthRequest, accounts: readonly User[], token: string): Html {
  return html`<p>A device asks for a token. Approve only if you see this code on it:</p>
    <p class="code">${request.code}</p>
    <dl>
      <dt>Program</dt>
      <dd>${request.user_agent ?? "unknown"}</dd>
      <dt>Address</dt>
      <dd>${request.ip_address}</dd>
    </dl>
    <form method="post" action="/device-auth">
      <input type="hidden" name="code" value="${request.code}" />
      <input type="hidden" name="token" value="${token}" />
      <p><label for="account">Sign in as</label></p>
      <p>
        <select id="account" name="account">
          ${accounts.map(
            (user) =>
              html`<option value="${user.id}">${user.google_user_email}${user.is_admin ? " (admin)" : ""}</option>`,
          )}
        </select>
      </p>
      <p>
        <button name="decision" value="approve">Approve</button>
        <button name="decision" value="deny" class="quiet">Deny</button>
      </p>
    </form>`;
}

function settled(status: DeviceAuthRequest["status"]): [title: string, body: Html] {
  switch (status) {
    case "approved":
      return ["Approved", html`<p>The device is signed in. You can close this page.</p>`];
    case "denied":
      return ["Denied", html`<p>The device gets no token. You can close this page.</p>`];
    default:
      return [
        "This code cannot be used",
        html`<p>It is unknown, was used already, or its ten minutes are over. Start the login again on the device.</p>`,
      ];
  }
}

function page(title: string, body: Html): Html {
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <title>${title} · KiloClaw sandbox</title>
        <style>
          :root {
            color-scheme: light dark;
            font:
              1rem/1.5 system-ui,
              sans-serif;
          }
          main {
            max-width: 34rem;
            margin: 10vh auto;
            padding: 0 1rem;
          }
          .code {
            font:
              700 2rem/1.2 ui-monospace,
              monospace;
            letter-spacing: 0.1em;
          }
          dt {
            font-weight: 600;
          }
          dd {
            margin: 0 0 0.5rem;
            overflow-wrap: anywhere;
          }
          input,
          select,
          button {
            font: inherit;
            padding: 0.5rem 0.75rem;
            max-width: 100%;
          }
          button {
            font-weight: 600;
            cursor: pointer;
          }
          .quiet {
            font-weight: 400;
          }
        </style>
      </head>
      <body>
        <main>
          <h1>${title}</h1>
          ${body}
        </main>
      </body>
    </html>`;
}

function same(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)];
  return left.length === right.length && timingSafeEqual(left, right);
}
