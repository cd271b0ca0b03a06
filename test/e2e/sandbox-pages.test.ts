/** Who may see the sandbox's pages, and what a request must pass before anything is done with it. */
import { readdir, readFile, stat } from "node:fs/promises";
import { request } from "node:http";
import { dirname } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { eventually } from "../support/eventually.ts";
import { lacks } from "../support/lacks.ts";
import { fromOwnPage, hiddenFields, sessionOf, Visitor } from "../support/sandbox-pages.ts";
import { openSandbox, type TestSandbox } from "../support/sandbox.ts";

const ADA = "a0000000-0000-4000-8000-000000000001";
const MIB = 1024 * 1024;

let sandbox: TestSandbox;
let address = 0;
beforeAll(async () => {
  sandbox = await openSandbox();
});
afterEach(() => vi.useRealTimers());
afterAll(() => sandbox.stop());

const get = (path: string, cookie = "") => fetch(`${sandbox.url}${path}`, { headers: { cookie } });
const sendKey = (key: string, headers: Record<string, string>) =>
  fetch(`${sandbox.url}/key`, { method: "POST", headers, body: new URLSearchParams({ key, next: "/" }) });
const sendTicket = (ticket: string, headers: Record<string, string> = { origin: "null" }) =>
  fetch(`${sandbox.url}/ticket`, {
    method: "POST",
    headers,
    body: new URLSearchParams({ ticket, next: "/device-auth?code=ABCD-EFGH" }),
  });
const newCode = async () => {
  address += 1;
  const headers = { "x-forwarded-for": `10.1.0.${address}` };
  const response = await fetch(`${sandbox.url}/api/device-auth/codes`, { method: "POST", headers });
  return (await response.json()) as { code: string; verificationUrl: string };
};

const ticketIn = async (file: string) => /name="ticket" value="([\w-]+)"/.exec(await readFile(file, "utf8"))?.[1] ?? "";
const openingFiles = async () => (await readdir(sandbox.dataDir)).filter((name) => name.startsWith("open-"));
/** Sends up to this many bytes, and stops when it is answered. */
const flood = (path: string, { headers = {}, mib = 300, announced = false, method = "POST" } = {}) =>
  new Promise<{ status: number | undefined; sent: number }>((resolve, reject) => {
    const part = Buffer.alloc(MIB, 0x20);
    let sent = 0;
    const length = announced ? { "content-length": String(mib * MIB) } : {};
    const outgoing = request(
      `${sandbox.url}${path}`,
      { method, headers: { "content-type": "application/json", ...length, ...headers } },
      (response) => {
        response.resume();
        resolve({ status: response.statusCode, sent });
        outgoing.destroy();
      },
    );
    outgoing.on("error", reject);
    const more = () => {
      if (outgoing.destroyed) return;
      if (sent >= mib * MIB) return void outgoing.end();
      sent += MIB;
      outgoing.write(part, more);
    };
    more();
  });

describe("without a session", () => {
  test.each(["/", "/device-auth", "/s/guess/", "/s/guess/device-auth"])("%s asks for the key only", async (path) => {
    const response = await get(path);
    expect(response.status).toBe(401);
    const page = await response.text();
    expect(page).toContain('<label for="key">');
    expect(page).toContain("kiloclaw-admin sandbox open --print");
    expect(page).not.toContain("kilocode.ai");
    expect(response.headers.get("content-security-policy")).toBe(
      "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    );
  });

  test("the form goes on to the address that was asked for", async () => {
    const { code, verificationUrl } = await newCode();
    const form = hiddenFields(await (await fetch(verificationUrl)).text());
    const response = await fetch(`${sandbox.url}/key`, {
      method: "POST",
      headers: fromOwnPage(sandbox),
      body: new URLSearchParams({ ...form, key: sandbox.remote.key }),
    });
    const { page, cookie } = await sessionOf(response);
    expect(await (await get(page, cookie)).text()).toContain(code);
  });

  test("nobody approves a code: four requests are not enough for a token", async () => {
    const { code } = await newCode();
    const fields = new URLSearchParams({ code, token: "x", account: ADA, decision: "approve" });
    for (const path of ["/device-auth", "/s/guess/device-auth"]) {
      const response = await fetch(`${sandbox.url}${path}`, {
        method: "POST",
        headers: fromOwnPage(sandbox),
        body: fields,
      });
      expect(response.status).toBeGreaterThanOrEqual(400);
    }
    expect((await fetch(`${sandbox.url}/api/device-auth/codes/${code}`)).status).toBe(202);
  });
});

describe("a session", () => {
  test("takes the cookie and the place together: another port may be sent the one, and never knows the other", async () => {
    const [visitor, other] = [await Visitor.of(sandbox), await Visitor.of(sandbox)];
    expect((await visitor.get("/")).status).toBe(200);
    for (const [place, cookie] of [
      [visitor.place, ""],
      [visitor.place, other.cookie],
      ["", visitor.cookie],
      [other.place, visitor.cookie],
    ] as const) {
      expect((await get(`${place}/`, cookie)).status).toBe(401);
    }
  });

  test("has a strict cookie for this host and place, named after the sandbox, that no script reads", async () => {
    const { id } = await sandbox.remote.status();
    const { cookie, place } = await sessionOf(await sendKey(sandbox.remote.key, fromOwnPage(sandbox)));
    expect(cookie).toMatch(new RegExp(`^kiloclaw-sandbox-${id}=[\\w-]{43}; Path=${place}; HttpOnly; SameSite=Strict$`));
  });

  test("is not opened by a wrong key", async () => {
    const response = await sendKey(`${sandbox.remote.key}x`, fromOwnPage(sandbox));
    expect([response.status, response.headers.getSetCookie()]).toEqual([403, []]);
    expect(await response.text()).toContain("This is not the key.");
  });

  test.each([
    ["no origin", {}],
    ["another site", { origin: "https://evil.example", "sec-fetch-site": "cross-site" }],
    ["another port", { origin: "http://127.0.0.1:9", "sec-fetch-site": "same-site" }],
    ["a file or a sandboxed frame", { origin: "null", "sec-fetch-site": "cross-site" }],
  ])("is neither opened nor used by a form from %s", async (_, headers) => {
    expect((await sendKey(sandbox.remote.key, headers)).status).toBe(403);
    const visitor = await Visitor.of(sandbox);
    const { code, verificationUrl } = await newCode();
    const fields = hiddenFields(await (await visitor.get(verificationUrl)).text());
    const form = { ...fields, account: ADA, decision: "approve" };
    const response = await fetch(`${sandbox.url}${visitor.place}/device-auth`, {
      method: "POST",
      headers: { cookie: visitor.cookie, ...headers },
      body: new URLSearchParams(form),
    });
    expect(response.status).toBe(403);
    expect((await fetch(`${sandbox.url}/api/device-auth/codes/${code}`)).status).toBe(202);
  });

  test("ends with the sandbox, whose ID stays", async () => {
    const first = await openSandbox();
    const visitor = await Visitor.of(first);
    const { id } = await first.remote.status();
    await first.sandbox.stop();
    const second = await openSandbox({ dataDir: first.dataDir });
    try {
      expect((await second.remote.status()).id).toBe(id);
      expect(second.remote.key).not.toBe(first.remote.key);
      const old = await fetch(`${second.url}${visitor.place}/`, { headers: { cookie: visitor.cookie } });
      expect(old.status).toBe(401);
    } finally {
      await second.stop();
      await first.stop();
    }
  });
});

describe("a file that opens a page", () => {
  test.skipIf(lacks("permissions"))(
    "is its owner's alone, signs in once, goes on to the page, and is gone then",
    async () => {
      const file = await sandbox.remote.openingFile("/device-auth?code=ABCD-EFGH");
      expect(dirname(file)).toBe(sandbox.dataDir);
      expect((await stat(file)).mode & 0o777).toBe(0o600);
      const ticket = await ticketIn(file);
      const { page, cookie } = await sessionOf(await sendTicket(ticket));
      expect(page).toMatch(/\/device-auth\?code=ABCD-EFGH$/);
      // A code that nobody shows, to somebody who is signed in.
      expect((await get(page, cookie)).status).toBe(410);
      expect((await sendTicket(ticket)).status).toBe(403);
      await eventually(async () => expect(await openingFiles()).toEqual([]));
    },
  );

  test("is good for a minute", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    const file = await sandbox.remote.openingFile("/");
    const ticket = await ticketIn(file);
    vi.advanceTimersByTime(60_001);
    vi.useRealTimers();
    expect((await sendTicket(ticket)).status).toBe(403);
    await eventually(async () => expect(await openingFiles()).toEqual([]));
  });

  test("is not left behind by a sandbox that stops", async () => {
    const other = await openSandbox();
    const file = await other.remote.openingFile("/");
    await other.sandbox.stop();
    await expect(stat(file)).rejects.toThrow("ENOENT");
    await other.stop();
  });

  test("is of no use to a page that got hold of its ticket", async () => {
    const ticket = await ticketIn(await sandbox.remote.openingFile("/"));
    expect((await sendTicket(ticket, { origin: "https://evil.example" })).status).toBe(403);
    expect((await sendTicket(ticket)).status).toBe(200);
  });

  test("is written for the owner of the control token only", async () => {
    const body = JSON.stringify({ next: "/" });
    const headers = { "content-type": "application/json", authorization: `Bearer ${sandbox.adminToken}` };
    expect((await fetch(`${sandbox.url}/_sandbox/opening-file`, { method: "POST", headers, body })).status).toBe(401);
  });
});

describe("a body", () => {
  const START = "/api/trpc/admin.kiloclawInstances.startKiloCliRun";
  test.each([
    ["device login", "/api/device-auth/codes"],
    ["device approval", "/api/device-auth/tokens"],
    ["procedure", START],
    ["key form", "/key"],
    ["ticket", "/ticket"],
    ["control call", "/_sandbox/faults"],
    ["path that does not exist", "/nowhere"],
  ])("of nobody is refused before it is read: %s", async (_, path) => {
    for (const announced of [true, false]) {
      const { status, sent } = await flood(path, { announced });
      expect(status).toBe(413);
      expect(sent).toBeLessThan(64 * MIB);
    }
  });

  test("of a caller with a token is read up to 16 MiB", async () => {
    const headers = { authorization: `Bearer ${sandbox.adminToken}` };
    for (const announced of [true, false]) {
      expect(await flood(START, { headers, announced, mib: 15 })).toMatchObject({ status: 400, sent: 15 * MIB });
      expect((await flood(START, { headers, announced })).status).toBe(413);
      const stranger = { authorization: `Bearer ${sandbox.adminToken}x` };
      expect((await flood(START, { headers: stranger, announced, mib: 15 })).status).toBe(413);
    }
  });
});

test("a call from another site's page is refused, whatever it is", async () => {
  const headers = { origin: "https://evil.example", authorization: `Bearer ${sandbox.adminToken}` };
  for (const [method, path] of [
    ["POST", "/api/trpc/admin.kiloclawInstances.startKiloCliRun"],
    ["POST", "/api/device-auth/tokens"],
    ["DELETE", "/api/device-auth/codes/ABCD-EFGH"],
    ["POST", "/_sandbox/stop"],
  ] as const) {
    expect((await fetch(`${sandbox.url}${path}`, { method, headers })).status).toBe(403);
  }
});
