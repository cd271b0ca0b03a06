/** The page where a device code is approved. Plain HTML: it works without JavaScript. */
import { createHmac } from "node:crypto";
import { Hono } from "hono";
import { html } from "hono/html";
import type { Database } from "../../database/database.ts";
import type { DeviceAuthRequest, User } from "../../database/schema.ts";
import { type DeviceAuth, DeviceAuthFailure } from "../../platform/device-auth.ts";
import { findUser } from "../../platform/users.ts";
import { same } from "../secrets.ts";
import type { Session } from "../sessions.ts";
import { accountField, choosableAccounts } from "./accounts.ts";
import type { PageEnv } from "./env.ts";
import { type Html, page } from "./page.ts";
import { visible } from "./untrusted.ts";

/** What a program says about itself is shown up to here: it must not push the decision off the screen. */
const MAX_CLAIM_LENGTH = 160;

/** @param secret signs the forms, so that only a page that was served to this session can be sent. */
export function devicePage({
  database,
  deviceAuth,
  secret,
}: {
  database: Database;
  deviceAuth: DeviceAuth;
  secret: Uint8Array;
}): Hono<PageEnv> {
  const app = new Hono<PageEnv>();
  const sign = ({ cookie }: Session, code: string) =>
    createHmac("sha256", secret).update(`device page ${cookie} ${code}`).digest("base64url");

  app.get("/", async (c) => {
    const code = asShown(c.req.query("code") ?? "");
    if (!code) return c.html(page("Sign in a device", askForCode()));
    const request = await deviceAuth.find(code);
    if (request?.status !== "pending") return c.html(page(...unusable(request)), 410);
    const accounts = await choosableAccounts(database);
    return c.html(page("Sign in a device", askForDecision(request, accounts, sign(c.get("session"), code))));
  });

  app.post("/", async (c) => {
    const form = await c.req.parseBody();
    const field = (name: string) => (typeof form[name] === "string" ? form[name] : "");
    const code = field("code");
    if (!same(field("token"), sign(c.get("session"), code))) {
      return c.html(page("Not accepted", html`<p>This form was not made by this page. Open the link again.</p>`), 403);
    }
    const user = await findUser(database, field("account"));
    if (field("decision") === "approve" && (!user || user.blocked_reason !== null)) {
      const again = html`<p><a href="device-auth?code=${encodeURIComponent(code)}">Choose an account</a></p>`;
      return c.html(page("No such account", again), 400);
    }
    try {
      if (field("decision") !== "approve" || !user) {
        await deviceAuth.deny(code);
        return c.html(page("Denied", html`<p>The device gets no token. You can close this page.</p>`));
      }
      await deviceAuth.approve(code, user);
      return c.html(page("Approved", welcome(user)));
    } catch (error) {
      if (!(error instanceof DeviceAuthFailure)) throw error;
      return c.html(page(...unusable(await deviceAuth.find(code))), 410);
    }
  });

  return app;
}

/** The code as the device shows it, however it was typed. */
function asShown(typed: string): string {
  const letters = typed.toUpperCase().replaceAll(/[^A-Z0-9]/g, "");
  return letters.length > 4 ? `${letters.slice(0, 4)}-${letters.slice(4)}` : letters;
}

function askForCode(): Html {
  return html`<form method="get" action="device-auth">
    <label for="code">Code that the device shows</label>
    <input
      id="code"
      name="code"
      required
      autofocus
      autocomplete="off"
      autocapitalize="characters"
      spellcheck="false"
      placeholder="ABCD-EFGH"
    />
    <button class="first">Continue</button>
  </form>`;
}

function askForDecision(request: DeviceAuthRequest, accounts: readonly User[], token: string): Html {
  const claim = visible(request.user_agent ?? "unknown");
  return html`<p id="ask">A device asks for a token. Approve only if you see this code on it:</p>
    <p class="code">${request.code}</p>
    <dl>
      <dt>Program</dt>
      <dd>${claim.length > MAX_CLAIM_LENGTH ? `${claim.slice(0, MAX_CLAIM_LENGTH)}…` : claim}</dd>
      <dt>Address</dt>
      <dd>${visible(request.ip_address.slice(0, MAX_CLAIM_LENGTH))}</dd>
      <dt>Asked</dt>
      <dd>${clock(request.created_at)}, good until ${clock(request.expires_at)}</dd>
    </dl>
    <form method="post" action="device-auth" aria-describedby="ask">
      <input type="hidden" name="code" value="${request.code}" />
      <input type="hidden" name="token" value="${token}" />
      ${accountField(accounts, "No admins: kiloclaw-admin refuses them")}
      <div class="decision">
        <button name="decision" value="approve" class="first">Approve</button>
        <button name="decision" value="deny">Deny</button>
      </div>
    </form>`;
}

function welcome(user: User): Html {
  return html`<p>The device is signed in as <strong>${user.google_user_email}</strong>. You can close this page.</p>
    ${user.is_admin ? "" : html`<p>This account is not an admin: kiloclaw-admin will refuse it.</p>`}`;
}

function unusable(request: DeviceAuthRequest | undefined): [title: string, body: Html] {
  const title = "This code cannot be used";
  if (!request)
    return [
      title,
      html`<p>No device shows it. Compare it with the device and try again:</p>
        ${askForCode()}`,
    ];
  if (request.status === "denied") return [title, html`<p>It was denied. Start the login again on the device.</p>`];
  const why = "It was used already, or its ten minutes are over. Start the login again on the device.";
  return [title, html`<p>${why}</p>`];
}

function clock(instant: string): string {
  return `${new Date(instant).toISOString().slice(11, 16)} UTC`;
}
