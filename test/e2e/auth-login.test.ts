/** Logging in through a browser. */
import { once } from "node:events";
import { readFile, writeFile } from "node:fs/promises";
import { createServer, type RequestListener } from "node:http";
import { join } from "node:path";
import { afterEach, describe, expect, it, vi } from "vitest";
import * as z from "zod";
import { rememberSandbox } from "../../src/config/sandbox-place.ts";
import { eventually } from "../support/eventually.ts";
import { lacks } from "../support/lacks.ts";
import { CODE, newcomer, said } from "../support/newcomer.ts";
import { hiddenFields, sessionOf } from "../support/sandbox-pages.ts";

const someone = newcomer();
const { approve, at, deny, files } = someone;
const login = (...more: string[]) => ["auth", "login", "--interval", "50ms", "--insecure-storage", ...more];

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

afterEach(() => vi.unstubAllEnvs());

describe("auth login", () => {
  it("shows a code, waits for its approval, and is logged in; code and token are in no output and file", async () => {
    const running = someone.begin(login("--debug"));
    const [code] = await running.waitFor(CODE);
    await running.waitFor(/-> 202/);
    await approve(code, someone.desk.sandbox.adminToken);
    const result = await running.done;
    expect(result.code).toBe(0);
    expect(result.stderr).toContain(`${someone.desk.sandbox.url}/device-auth?code=${code}`);
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
    const quiet = someone.begin(login("-q"));
    const [code] = await quiet.waitFor(CODE);
    await deny(code);
    expect((await quiet.done).code).toBe(4);
    const terminal = someone.begin(login("--no-browser"), { tty: true });
    const [other] = await terminal.waitFor(CODE);
    await terminal.waitFor(/the code expires in 9m \d\ds/);
    await deny(other);
    expect((await terminal.done).code).toBe(4);
  });

  it("offers the browser to whoever sits at one, and goes on without", async () => {
    const env = { DISPLAY: ":0" };
    const running = someone.begin(login(), { tty: true, env });
    const [code] = await running.waitFor(CODE);
    await running.waitFor(/Open the page in your browser\?/);
    running.type("n\r");
    await running.waitFor(/the code expires in/);
    await approve(code, someone.desk.sandbox.adminToken);
    expect((await running.done).code).toBe(0);

    const interrupted = someone.begin(login(), { tty: true, env });
    await interrupted.waitFor(/Open the page in your browser\?/);
    interrupted.stop();
    expect((await interrupted.done).code).toBe(130);
  });

  it.skipIf(lacks("shell"))("opens the page of one's own sandbox signed in: nobody is asked for its key", async () => {
    const { sandbox } = someone.desk;
    // What `sandbox start` leaves of a sandbox elsewhere.
    await rememberSandbox(join(someone.configDir, "sandbox"), Number(new URL(sandbox.url).port), sandbox.dataDir);
    const [browser, told] = ["browser", "told"].map((name) => join(someone.configDir, name));
    await writeFile(browser ?? "", `#!/bin/sh\nprintf '%s' "$1" > '${told}'\n`, { mode: 0o700 });
    vi.stubEnv("BROWSER", browser);
    const running = someone.begin(login(), { tty: true, env: { DISPLAY: ":0" } });
    const [code] = await running.waitFor(CODE);
    await running.waitFor(/Open the page in your browser\?/);
    running.type("\r");
    const file = await eventually(async () => {
      const opened = await readFile(told ?? "", "utf8");
      expect(opened).toMatch(/\.html$/);
      return opened.replace(/^file:\/\//, "");
    });
    const form = hiddenFields(await readFile(file, "utf8"));
    const { page, cookie } = await sessionOf(
      await fetch(`${sandbox.url}/ticket`, {
        method: "POST",
        headers: { origin: "null" },
        body: new URLSearchParams(form),
      }),
    );
    const response = await fetch(`${sandbox.url}${page}`, { headers: { cookie } });
    expect(await response.text()).toContain(code);
    await approve(code, sandbox.adminToken);
    expect((await running.done).code).toBe(0);
  });

  it("is over when the approval comes, also while the question about the browser is open", async () => {
    const at = { tty: true, env: { DISPLAY: ":0" } };
    const approved = someone.begin(login(), at);
    const [code] = await approved.waitFor(CODE);
    await approved.waitFor(/Open the page in your browser\?/);
    await approve(code, someone.desk.sandbox.adminToken);
    expect((await approved.done).code).toBe(0);
    expect(await files()).toContain(someone.desk.sandbox.url);

    const denied = someone.begin(login(), at);
    const [other] = await denied.waitFor(CODE);
    await denied.waitFor(/Open the page in your browser\?/);
    await deny(other);
    const { code: exit, stderr } = await denied.done;
    expect(exit).toBe(4);
    expect(stderr).toContain("the login was denied in the browser");
  });

  it("drops the code on Ctrl-C at that question", async () => {
    const running = someone.begin(login(), { tty: true, env: { DISPLAY: ":0" } });
    await running.waitFor(/Open the page in your browser\?/);
    running.type("\u0003");
    const { code, stderr } = await running.done;
    expect(code).toBe(130);
    expect(stderr).toContain("the code was dropped; nothing was stored");
    expect(stderr).not.toContain("error:");
    expect(await files()).toBe("");
  });

  it("denied: 4", async () => {
    const running = someone.begin(login());
    await deny((await running.waitFor(CODE))[0]);
    const { code, stdout, stderr } = await running.done;
    expect({ code, stdout }).toEqual({ code: 4, stdout: "" });
    expect(stderr).toContain("denied");
    expect(stderr).toContain("try again: kiloclaw-admin auth login --insecure-storage");
    expect(await files()).toBe("");
  });

  it("approved by one who is not an admin: 4, and nothing stored", async () => {
    const running = someone.begin(login());
    await approve((await running.waitFor(CODE))[0], await someone.desk.sandbox.remote.token("plain@example.com"));
    const { code, stderr } = await running.done;
    expect(code).toBe(4);
    expect(stderr).toContain("not logged in as plain@example.com: this account is not an admin");
    expect(await files()).toBe("");
  });

  it("interrupted: drops the code, 130", async () => {
    const running = someone.begin(login());
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
      const response = await fetch(`${someone.desk.sandbox.url}/api/device-auth/codes`, { method: "POST" });
      if (response.status !== 200) break;
      codes.push(z.object({ code: z.string() }).parse(await response.json()).code);
    }
    const { code, stderr } = await at(login("--profile", "default"));
    expect(code).toBe(11);
    expect(stderr).toContain("kiloclaw-admin --profile default auth login --with-token < token.txt");
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
    expect(result.stderr).toContain(`kiloclaw-admin --host ${other.url} auth login`);
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

  it("has the page at the platform that was asked, whatever its answer names, and says to deny anywhere else", async () => {
    const other = await platform(
      scripted("https://app.kilo.ai/device-auth?code=WXYZ-2345", 0.2, [[202, '{"status":"pending"}']]),
    );
    for (const more of [[], ["-q"]]) {
      const { stderr } = await at([...login(...more), "--host", other.url]);
      expect(stderr).toContain(`approve it at  ${other.url}/device-auth?code=ABCD-EFGH\n`);
      expect(stderr).toContain(
        `warning: approve only on ${new URL(other.url).host}; if your browser ends up on another host, deny\n`,
      );
      expect(stderr).not.toMatch(/WXYZ|app\.kilo\.ai\/device/);
    }
    const { stderr } = await at([...login(), "--host", other.url]);
    expect(stderr).toContain("the platform itself names a page at https://app.kilo.ai");
    expect(stderr).toContain(`kiloclaw-admin --host ${other.url} auth login --with-token < token.txt\n`);
    other.close();
    const own = someone.begin(login());
    await own.waitFor(/if your browser ends up on another host, deny/);
    await deny((await own.waitFor(CODE))[0]);
    expect((await own.done).stderr).not.toContain("names a page");
  });

  it.each(["ABCD-EFG1", "abcd-efgh", "ABCD-EFGHI", "ABCD-EFGH&x=1", "ABCD-EFGH\n", "../../evil", "ABCI-EFGO", ""])(
    "takes %j for no code: 1, and nobody is led anywhere",
    async (code) => {
      const other = await platform((request, response) => {
        const verificationUrl = `http://${request.headers.host}/device-auth?code=${encodeURIComponent(code)}`;
        response.end(JSON.stringify({ code, verificationUrl, expiresIn: 60 }));
      });
      const result = await at([...login(), "--host", other.url]);
      other.close();
      expect(result).toMatchObject({ code: 1, stdout: "" });
      expect(result.stderr).not.toContain("approve");
      expect(await files()).toBe("");
    },
  );

  it.each([
    ["cut off", '{"status":"approved","token":"canary'],
    ["of another shape", '{"status":"approved","jwt":"canary"}'],
  ])("an approval that is %s: 1, and nothing stored", async (_what, body) => {
    const other = await platform(scripted("https://app.kilo.ai/device-auth", 60, [[200, body]]));
    const result = await at([...login("--debug"), "--host", other.url]);
    other.close();
    expect(result).toMatchObject({ code: 1, stdout: "" });
    expect(result.stderr).toContain("nothing was stored; log in again");
    expect(said(result)).not.toContain("canary");
    expect(await files()).toBe("");
  });

  it("goes on waiting whatever answers in the platform's place, and takes nothing but its own word", async () => {
    const page = "<!doctype html><title>Hotel Wi-Fi</title><form action=/login>";
    const pages = [200, 202, 401, 403, 404, 410, 302, 502].map((status) => [status, page] as const);
    const contradictions = [
      [410, '{"status":"approved","token":"canary","userId":"x","userEmail":"x@example.com"}'],
      [200, '{"status":"denied"}'],
      [200, '{"status":"expired"}'],
      [202, '{"status":"denied"}'],
      [403, '{"error":"denied","success":false}'],
      [410, "{}"],
      [200, "[]"],
    ] as const;
    const token = someone.desk.sandbox.adminToken;
    const approved = { status: "approved", token, userId: "x", userEmail: "ada.admin@kilocode.ai" };
    // A word of the platform's between them: each that fails makes the next wait longer.
    const polls = [
      ...[...pages, ...contradictions].flatMap((answer) => [answer, [202, '{"status":"pending"}'] as const]),
      [200, JSON.stringify(approved)] as const,
    ];
    const script = scripted("https://app.kilo.ai/device-auth", 60, polls);
    const other = await platform((request, response) => {
      if (request.url?.startsWith("/api/device-auth/")) return script(request, response);
      if (request.url?.startsWith("/api/profile")) {
        return void response.end(JSON.stringify({ user: { id: "x", email: approved.userEmail, name: null } }));
      }
      return void response.end('[{"result":{"data":[]}}]');
    });
    const result = await at([...login("--no-browser"), "--host", other.url], { tty: true });
    other.close();
    expect(result.code).toBe(0);
    expect(result.stderr).not.toMatch(/<(?! token\.txt)|canary/);
    expect(await files()).toContain(token);
  });

  it("shows neither code nor page content that an edge repeats", async () => {
    const other = await platform(
      scripted("https://app.kilo.ai/device-auth", 0.2, [[404, "Cannot GET /api/device-auth/codes/ABCD-EFGH"]]),
    );
    const result = await at([...login("--debug"), "--host", other.url]);
    other.close();
    expect(result.code).toBe(11);
    expect(result.stderr).toContain("Cannot GET /api/device-auth/codes/{code}");
  });
});
