import { chown, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { once } from "node:events";
import { createServer, type RequestListener } from "node:http";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import * as z from "zod";
import { begin, openDesk, root, run, type Desk, type Result, type RunOptions } from "../harness.ts";

const CODE = /[A-HJ-NP-Z2-9]{4}-[A-HJ-NP-Z2-9]{4}/;

let desk: Desk;
let configDir: string;
beforeAll(async () => {
  desk = await openDesk();
});
afterAll(() => desk.close());
beforeEach(async () => {
  configDir = await mkdtemp(join(tmpdir(), "kiloclaw-login-"));
  return () => rm(configDir, { recursive: true });
});

/** The sandbox as a platform that one is not logged in to yet. */
const options = (given: RunOptions = {}): RunOptions => ({
  configDir,
  ...given,
  env: { KILOCLAW_ADMIN_HOST: desk.sandbox.url, ...given.env },
});
const at = (argv: readonly string[], given?: RunOptions) => run(argv, options(given));
const login = (...more: string[]) => ["auth", "login", "--interval", "50ms", "--insecure-storage", ...more];
const withToken = (token: string, ...more: string[]) =>
  at(["auth", "login", "--with-token", ...more], { stdin: `${token}\n` });

/** Everything that was written below the settings' directory. */
const files = async () => {
  const entries = await readdir(configDir, { recursive: true, withFileTypes: true });
  const contents = entries
    .filter((entry) => entry.isFile())
    .map(async (entry) => readFile(join(entry.parentPath, entry.name), "utf8"));
  return (await Promise.all(contents)).join("\n");
};
const said = ({ stdout, stderr }: Result) => `${stdout}${stderr}`;

/** What the platform's page does when somebody decides there. */
const approve = async (code: string, as: string) => {
  const { status } = await fetch(`${desk.sandbox.url}/api/device-auth/tokens`, {
    method: "POST",
    headers: { authorization: `Bearer ${as}`, "content-type": "application/json" },
    body: JSON.stringify({ code }),
  });
  expect(status).toBe(200);
};
const deny = async (code: string) => {
  const { status } = await fetch(`${desk.sandbox.url}/api/device-auth/codes/${code}`, {
    method: "DELETE",
    headers: { authorization: `Bearer ${desk.sandbox.adminToken}` },
  });
  expect(status).toBe(200);
};

/** A platform that answers as it is told. */
async function platform(listener: RequestListener): Promise<{ url: string; close: () => void }> {
  const server = createServer(listener);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = z.object({ port: z.number() }).parse(server.address());
  return { url: `http://127.0.0.1:${port}`, close: () => server.close() };
}

/** Answers the request for a code, then each poll with the next answer; the last one stays. */
const scripted = (
  verificationUrl: string,
  expiresIn: number,
  polls: readonly (readonly [status: number, body: string])[],
): RequestListener => {
  const next = [...polls];
  return (request, response) => {
    if (request.method === "POST") {
      response.end(JSON.stringify({ code: "ABCD-EFGH", verificationUrl, expiresIn }));
      return;
    }
    const [status, body] = (next.length > 1 ? next.shift() : next[0]) ?? [500, ""];
    response.writeHead(status).end(body);
  };
};
describe("auth login --with-token", () => {
  it("stores an admin's token, and says who, where, until when and in what", async () => {
    const result = await withToken(desk.sandbox.adminToken, "--insecure-storage", "--json");
    expect(result.code).toBe(0);
    const path = join(configDir, "credentials.json");
    expect(JSON.parse(result.stdout)).toEqual({
      profile: "default",
      host: desk.sandbox.url,
      email: "ada.admin@kilocode.ai",
      userId: expect.any(String),
      expiresAt: expect.stringMatching(/^20\d\d-.*Z$/),
      stored: `file (${path})`,
    });
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect(said(result)).not.toContain(desk.sandbox.adminToken);
    const after = await at(["whoami", "--json"]);
    expect(after.code).toBe(0);
    expect(JSON.parse(after.stdout)).toMatchObject({ usable: true, tokenSource: `file (${path})` });
  });

  it.each([
    ["plain@example.com", "not an admin"],
    ["blocked@example.com", "blocked"],
    [undefined, "expired, damaged or not from this platform"],
  ])("of %s: 4, why, and nothing stored", async (email, reason) => {
    const token = email === undefined ? "canary-not-a-token" : await desk.sandbox.remote.token(email);
    const result = await withToken(token, "--insecure-storage", "--debug");
    expect(result).toMatchObject({ code: 4, stdout: "" });
    expect(result.stderr).toContain(reason);
    expect(said(result)).not.toContain(token);
    expect(await files()).toBe("");
  });

  it.each(["", "two words", "ünicode"])("of %j: 2", async (stdin) => {
    expect(await withToken(stdin, "--insecure-storage")).toMatchObject({ code: 2, stdout: "" });
    expect(await files()).toBe("");
  });

  it("leaves the older token when the platform is out of reach", async () => {
    await withToken(desk.sandbox.adminToken, "--insecure-storage");
    const before = await files();
    const env = { KILOCLAW_ADMIN_HOST: "http://127.0.0.1:1" };
    const argv = ["login", "--with-token", "--insecure-storage"];
    expect((await at(argv, { env, stdin: desk.sandbox.adminToken })).code).toBe(11);
    expect(await files()).toBe(before);
  });
});

describe("auth logout", () => {
  it("removes the token of this exact origin only, and says when there is none", async () => {
    await withToken(desk.sandbox.adminToken, "--insecure-storage");
    const path = join(configDir, "credentials.json");
    const { tokens } = z
      .object({ tokens: z.record(z.string(), z.string()) })
      .parse(JSON.parse(await readFile(path, "utf8")));
    await writeFile(path, JSON.stringify({ tokens: { ...tokens, "https://other.example": "other" } }), { mode: 0o600 });
    const { code, stderr } = await at(["auth", "logout"]);
    expect(code).toBe(0);
    expect(stderr).toContain(`logged out of ${desk.sandbox.url}`);
    expect(JSON.parse(await readFile(path, "utf8"))).toEqual({ tokens: { "https://other.example": "other" } });
    const again = await at(["logout"]);
    expect(again.code).toBe(0);
    expect(again.stderr).toContain(`no token is stored for ${desk.sandbox.url}`);
  });

  it("leaves a login command, with what was given, for those who come back", async () => {
    const given = ["--host", desk.sandbox.url];
    const command = `kiloclaw-admin auth login --host ${desk.sandbox.url}`;
    for (const argv of [["runs", "list"], ["whoami"]]) {
      const { code, stderr } = await at([...argv, ...given]);
      expect(code).toBe(4);
      expect(stderr).toContain(command);
    }
  });
});

describe("auth login", () => {
  it("shows a code, waits for its approval, and is logged in; code and token are in no output and file", async () => {
    const running = begin(login("--debug"), options());
    const [code] = await running.waitFor(CODE);
    await running.waitFor(/-> 202/);
    await approve(code, desk.sandbox.adminToken);
    const result = await running.done;
    expect(result.code).toBe(0);
    expect(result.stderr).toContain(`${desk.sandbox.url}/device-auth?code=${code}`);
    expect(result.stdout).toContain("ada.admin@kilocode.ai");
    expect(result.stdout).toContain("credentials.json");
    const debug = result.stderr.split("\n").filter((line) => line.startsWith("debug:"));
    expect(debug.join("\n")).toContain("/api/device-auth/codes/{code} -> 202");
    expect(debug.join("\n")).not.toContain(code);

    const stored = await files();
    const [token = ""] = /ey[\w.-]+/.exec(stored) ?? [];
    expect(token.split(".")).toHaveLength(3);
    expect(stored).not.toContain(code);
    expect(said(result)).not.toContain(token);
    expect((await at(["runs", "list", "-q"])).code).toBe(0);
  });

  it("says where even when quiet, on a terminal with the time that is left", async () => {
    const quiet = begin(login("-q"), options());
    const [code] = await quiet.waitFor(CODE);
    await deny(code);
    expect((await quiet.done).code).toBe(4);
    const terminal = begin(login("--no-browser"), options({ tty: true }));
    const [other] = await terminal.waitFor(CODE);
    await terminal.waitFor(/the code expires in 9m \d\ds/);
    await deny(other);
    expect((await terminal.done).code).toBe(4);
  });

  it("offers the browser to whoever sits at one, and goes on without", async () => {
    const env = { DISPLAY: ":0" };
    const running = begin(login(), options({ tty: true, env }));
    const [code] = await running.waitFor(CODE);
    await running.waitFor(/Open the page in your browser\?/);
    running.type("n\r");
    await running.waitFor(/the code expires in/);
    await approve(code, desk.sandbox.adminToken);
    expect((await running.done).code).toBe(0);

    const interrupted = begin(login(), options({ tty: true, env }));
    await interrupted.waitFor(/Open the page in your browser\?/);
    interrupted.stop();
    expect((await interrupted.done).code).toBe(130);
  });

  it("denied: 4", async () => {
    const running = begin(login(), options());
    await deny((await running.waitFor(CODE))[0]);
    const { code, stdout, stderr } = await running.done;
    expect({ code, stdout }).toEqual({ code: 4, stdout: "" });
    expect(stderr).toContain("denied");
    expect(stderr).toContain("kiloclaw-admin auth login");
    expect(await files()).toBe("");
  });

  it("approved by one who is not an admin: 4, and nothing stored", async () => {
    const running = begin(login(), options());
    await approve((await running.waitFor(CODE))[0], await desk.sandbox.remote.token("plain@example.com"));
    const { code, stderr } = await running.done;
    expect(code).toBe(4);
    expect(stderr).toContain("not logged in as plain@example.com: this account is not an admin");
    expect(await files()).toBe("");
  });

  it("interrupted: drops the code, 130", async () => {
    const running = begin(login(), options());
    await running.waitFor(CODE);
    running.stop();
    const { code, stderr } = await running.done;
    expect(code).toBe(130);
    expect(stderr).toContain("the code was dropped");
    expect(await files()).toBe("");
  });

  it("refused for too many pending codes, with what to do", async () => {
    const codes: string[] = [];
    for (;;) {
      const response = await fetch(`${desk.sandbox.url}/api/device-auth/codes`, { method: "POST" });
      if (response.status !== 200) break;
      codes.push(z.object({ code: z.string() }).parse(await response.json()).code);
    }
    const { code, stderr } = await at(login());
    expect(code).toBe(11);
    expect(stderr).toContain("too many logins from this address are pending");
    for (const pending of codes) await deny(pending);
  });

  const approvedElsewhere = JSON.stringify({ status: "expired" });
  it.each([
    ["expired", 0.2, [[202, '{"status":"pending"}']], "the code has expired: log in again"],
    ["used or expired by the platform's word", 60, [[410, approvedElsewhere]], "code used or expired: log in again"],
    [
      "used up by an answer that was lost",
      60,
      [
        [502, ""],
        [200, '{"status":"approved","token":"canary'],
        [410, approvedElsewhere],
      ],
      "code used or expired: log in again",
    ],
  ] as const)("%s: 4", async (_what, expiresIn, polls, words) => {
    const other = await platform(scripted("https://app.kilo.ai/device-auth?code=ABCD-EFGH", expiresIn, polls));
    const result = await at([...login(), "--host", other.url]);
    other.close();
    expect(result).toMatchObject({ code: 4, stdout: "" });
    expect(result.stderr).toContain(words);
    expect(result.stderr).toContain(`kiloclaw-admin auth login --host ${other.url}`);
    expect(said(result)).not.toContain("canary");
  });

  it.each(["https://app.kilo.ai.evil.example/device-auth", "https://app.kilo.ai@evil.example/", "javascript:alert(1)"])(
    "never names %s as the page to approve at",
    async (page) => {
      const other = await platform(scripted(page, 60, [[202, '{"status":"pending"}']]));
      const result = await at([...login(), "--host", other.url]);
      other.close();
      expect(result).toMatchObject({ code: 4, stdout: "" });
      expect(result.stderr).toContain("which is not its own");
      expect(said(result)).not.toContain("ABCD-EFGH");
    },
  );

  it("shows neither code nor page content that an edge repeats", async () => {
    const other = await platform(
      scripted("https://app.kilo.ai/device-auth", 60, [[404, "Cannot GET /api/device-auth/codes/ABCD-EFGH"]]),
    );
    const result = await at([...login("--debug"), "--host", other.url]);
    other.close();
    expect(result.code).not.toBe(0);
    expect(result.stderr).toContain("Cannot GET /api/device-auth/codes/{code}");
  });
});

/** A package folder whose keyring program is this script; `request` is what it is asked. */
const withKeyring = async (script: string) => {
  const folder = join(configDir, "package");
  await mkdir(join(folder, "dist"), { recursive: true });
  await writeFile(
    join(folder, "dist", "keyring.cjs"),
    `const fs = require("node:fs"); const store = __dirname + "/store.json";
     const all = fs.existsSync(store) ? JSON.parse(fs.readFileSync(store)) : {};
     const request = JSON.parse(fs.readFileSync(0)); const answer = (a) => fs.writeSync(1, JSON.stringify(a));
     fs.appendFileSync(__dirname + "/asked", request.action + " ");
     ${script}`,
  );
  return {
    folder,
    stored: async () => JSON.parse(await readFile(join(folder, "dist", "store.json"), "utf8")) as unknown,
    asked: () => readFile(join(folder, "dist", "asked"), "utf8"),
  };
};
const WORKING = `if (request.action === "set") all[request.account] = request.secret;
  if (request.action === "delete") delete all[request.account];
  fs.writeFileSync(store, JSON.stringify(all));
  answer({ secret: request.action === "get" ? (all[request.account] ?? null) : null });`;

describe("storage", () => {
  it("in a file is refused unless allowed, before anything is asked of the platform", async () => {
    const before = (await desk.sandbox.remote.requests()).length;
    const refused = await withToken(desk.sandbox.adminToken);
    expect(refused).toMatchObject({ code: 12, stdout: "" });
    expect(refused.stderr).toContain("--insecure-storage");
    expect(await files()).toBe("");
    expect(await desk.sandbox.remote.requests()).toHaveLength(before);
    const env = { KILOCLAW_ADMIN_INSECURE_STORAGE: "1" };
    const allowed = await at(["auth", "login", "--with-token"], { env, stdin: desk.sandbox.adminToken });
    expect(allowed.code).toBe(0);
  });

  it("in the keyring: the file only says so; logout empties both", async () => {
    const { folder, stored, asked } = await withKeyring(WORKING);
    const given = { root: folder };
    const file = join(configDir, "credentials.json");
    const loggedIn = await at(["login", "--with-token"], { ...given, stdin: desk.sandbox.adminToken });
    expect(loggedIn.code).toBe(0);
    expect(loggedIn.stdout).toContain("stored in  the system's keyring");
    expect(await stored()).toEqual({ [desk.sandbox.url]: desk.sandbox.adminToken });
    expect(JSON.parse(await readFile(file, "utf8"))).toEqual({ tokens: {}, keyring: [desk.sandbox.url] });
    const known = await at(["whoami", "--json"], given);
    expect(JSON.parse(known.stdout)).toMatchObject({ usable: true, tokenSource: "the system's keyring" });

    const before = await asked();
    const env = { KILOCLAW_ADMIN_TOKEN: desk.sandbox.adminToken };
    expect((await at(["runs", "list", "-q"], { ...given, env })).code).toBe(0);
    expect((await at(["whoami", "--host", "http://127.0.0.1:1"], given)).code).toBe(4);
    expect(await asked()).toBe(before);

    expect((await at(["logout"], given)).stderr).toContain("removed from the system's keyring");
    expect(await stored()).toEqual({});
    expect(JSON.parse(await readFile(file, "utf8"))).toEqual({ tokens: {} });
    expect((await at(["whoami"], given)).code).toBe(4);
  });

  it("moves to the file when that is allowed, and leaves nothing in the keyring", async () => {
    const { folder, stored } = await withKeyring(WORKING);
    const given = { root: folder, stdin: desk.sandbox.adminToken };
    await at(["login", "--with-token"], given);
    expect((await at(["login", "--with-token", "--insecure-storage"], given)).code).toBe(0);
    expect(await stored()).toEqual({});
    expect((await at(["runs", "list", "-q"], { root: folder })).code).toBe(0);
  });

  it("in a keyring that does not answer is given up after three seconds", async () => {
    const { folder } = await withKeyring("setInterval(() => {}, 1000);");
    const result = await at(["login", "--with-token"], { root: folder, stdin: desk.sandbox.adminToken });
    expect(result.code).toBe(12);
    expect(result.stderr).toContain("did not answer within 3 s");
  });

  it("in a keyring that is locked later: says so, and how to go on", async () => {
    await writeFile(join(configDir, "credentials.json"), JSON.stringify({ keyring: [desk.sandbox.url] }), {
      mode: 0o600,
    });
    const { folder } = await withKeyring('answer({ error: "it is locked" });');
    const result = await at(["runs", "list"], { root: folder });
    expect(result).toMatchObject({ code: 12, stdout: "" });
    expect(result.stderr).toContain("it is locked");
    expect(result.stderr).toContain(`auth login --host ${desk.sandbox.url} --insecure-storage`);
  });

  it.runIf(userInfo().uid === 0)("in another user's file is not trusted: 12", async () => {
    await withToken(desk.sandbox.adminToken, "--insecure-storage");
    await chown(join(configDir, "credentials.json"), 12_345, 12_345);
    const result = await at(["runs", "list"]);
    expect(result.code).toBe(12);
    expect(result.stderr).toContain("another user");
  });

  it("of two logins at once leaves one whole file", async () => {
    const results = await Promise.all([1, 2, 3, 4].map(() => withToken(desk.sandbox.adminToken, "--insecure-storage")));
    expect(results.map(({ code }) => code)).toEqual([0, 0, 0, 0]);
    expect(JSON.parse(await files())).toEqual({ tokens: { [desk.sandbox.url]: desk.sandbox.adminToken } });
  });
});

it("the packaged keyring program answers in words on a machine without a keyring", async () => {
  const { Keyring } = await import("../../src/config/keyring.ts");
  const keyring = new Keyring({
    root,
    nodePath: process.execPath,
    env: { DBUS_SESSION_BUS_ADDRESS: "unix:path=/none" },
  });
  await expect(keyring.get("https://app.kilo.ai")).rejects.toThrow(
    process.platform === "linux" ? /DBus|D-Bus|dbus/i : "",
  );
});
