import { once } from "node:events";
import { chmod, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import * as z from "zod";
import { openDesk, run, type Desk } from "../harness.ts";
import { lacks } from "../support/lacks.ts";

let desk: Desk;
let directory: string;
beforeAll(async () => {
  desk = await openDesk();
});
afterAll(() => desk.close());
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "kiloclaw-settings-"));
  return () => rm(directory, { recursive: true });
});

const settings = async (name: string, content: unknown, mode = 0o600) => {
  const path = join(directory, name);
  await writeFile(path, typeof content === "string" ? content : JSON.stringify(content), { mode });
  return path;
};
const loggedIn = async () => {
  await settings("config.json", { profiles: { sandbox: { host: desk.sandbox.url } } });
  await settings("credentials.json", { tokens: { [desk.sandbox.url]: desk.sandbox.adminToken } });
};

it("auth status warns where certificates are not checked", async () => {
  const env = { NODE_TLS_REJECT_UNAUTHORIZED: "0" };
  const { code, stderr } = await desk.run(["auth", "status"], { env });
  expect(code).toBe(0);
  expect(stderr).toContain("warning: NODE_TLS_REJECT_UNAUTHORIZED=0");
});

describe("profiles", () => {
  it("lead to their platform with its token", async () => {
    await loggedIn();
    for (const argv of [
      ["--profile", "sandbox", "whoami"],
      ["whoami", "--profile", "sandbox"],
    ]) {
      const { code, stdout } = await run([...argv, "--json"], { configDir: directory });
      expect(code).toBe(0);
      expect(JSON.parse(stdout)).toMatchObject([{ profile: "sandbox", host: desk.sandbox.url, usable: true }]);
    }
    const env = { KILOCLAW_ADMIN_PROFILE: "sandbox" };
    expect((await run(["runs", "list", "-q"], { configDir: directory, env })).code).toBe(0);
  });

  it("never hand one platform's token to another", async () => {
    await loggedIn();
    const seen: (string | undefined)[] = [];
    const stranger = createServer((request, response) => {
      seen.push(request.headers.authorization);
      response.writeHead(404).end();
    });
    stranger.listen(0, "127.0.0.1");
    await once(stranger, "listening");
    const { port } = z.object({ port: z.number() }).parse(stranger.address());
    const argv = ["runs", "list", "--profile", "sandbox", "--host", `http://127.0.0.1:${port}`];
    const { code } = await run(argv, { configDir: directory });
    stranger.close();
    expect(code).toBe(4);
    expect(seen).toEqual([]);
  });

  it("must exist", async () => {
    await loggedIn();
    const { code, stderr } = await run(["runs", "list", "--profile", "prod"], { configDir: directory });
    expect(code).toBe(2);
    expect(stderr).toContain("profiles: default, sandbox");
  });
});

describe("the address", () => {
  it.each([
    "http://app.kilo.ai",
    "https://app.kilo.ai@evil.example",
    "https://app.kilo.ai/path",
    "https://аpp.kilo.ai",
    "not a host",
    "",
  ])("%j is refused and nothing is sent", async (host) => {
    const before = (await desk.requests()).length;
    const flag = await desk.run(["runs", "list", "--host", host]);
    expect(flag).toMatchObject({ code: 2, stdout: "" });
    expect(flag.stderr).toContain("--host");
    expect(await desk.requests()).toHaveLength(before);
  });

  it("is refused from the environment and a profile alike, naming which", async () => {
    const fromEnv = await run(["whoami"], { env: { KILOCLAW_ADMIN_HOST: "http://evil.example" } });
    expect(fromEnv.code).toBe(2);
    expect(fromEnv.stderr).toContain("KILOCLAW_ADMIN_HOST");
    await settings("config.json", { profiles: { bad: { host: "ftp://x" } } });
    const fromProfile = await run(["whoami", "--profile", "bad"], { configDir: directory });
    expect(fromProfile.code).toBe(2);
    expect(fromProfile.stderr).toContain('profile "bad"');
  });

  it("that nobody listens at: 11, and that nothing was changed", async () => {
    const argv = ["runs", "list", "--host", "http://127.0.0.1:1"];
    const { code, stdout, stderr } = await desk.run(argv);
    expect({ code, stdout }).toEqual({ code: 11, stdout: "" });
    expect(stderr).toContain("http://127.0.0.1:1 refuses connections");
    const json = await desk.run([...argv, "--json"]);
    expect(JSON.parse(json.stderr)).toMatchObject({
      error: { kind: "unreachable", retryable: true, exitCode: 11, hint: expect.any(String) },
    });
  });
});

describe("files", () => {
  it.each([
    ["not JSON", "{ profiles: oops"],
    ["empty", ""],
    ["of another shape", '{"profiles":{"a":{"url":"x"}}}'],
  ])("a settings file that is %s is named, left as it is, and nothing is sent: 12", async (_what, content) => {
    const path = await settings("config.json", content);
    const before = (await desk.requests()).length;
    const { code, stdout, stderr } = await desk.run(["runs", "list"], { configDir: directory });
    expect({ code, stdout }).toEqual({ code: 12, stdout: "" });
    expect(stderr).toContain(path);
    expect(await readFile(path, "utf8")).toBe(content);
    expect(await desk.requests()).toHaveLength(before);
  });

  it.each([
    ["colour", "did you mean color?"],
    ["host", "did you mean host?"],
    ["requireTickets", "did you mean requireTicket?"],
    ["RequireApproval", "a newer kiloclaw-admin may know it"],
    ["confirmTwice", "a newer kiloclaw-admin may know it"],
  ])("a settings file with %s stops what changes something, and nothing else: 12", async (key, words) => {
    await settings("config.json", JSON.stringify({ [key]: "yes", telemetry: true }));
    const before = (await desk.requests("startKiloCliRun")).length;
    const user = "jane@example.com";
    const start = ["runs", "start", "--user", user, "-p", "[rehearse lines=1]"];
    for (const argv of [start, [...start, "--user", "sam@example.com", "--yes"]]) {
      const { code, stderr } = await desk.run(argv, { configDir: directory });
      expect(code).toBe(12);
      expect(stderr).toContain(`error: unknown setting "${key}" of`);
      expect(stderr).toContain("nothing was sent");
      expect(stderr).toContain(words);
    }
    expect(await desk.requests("startKiloCliRun")).toHaveLength(before);
    const list = await desk.run(["runs", "list"], { configDir: directory });
    expect(list.code).toBe(0);
    expect(list.stderr).toContain(`warning: unknown setting "${key}"`);
  });

  it.skipIf(lacks("permissions"))(
    "with tokens that others can read, or that are elsewhere, are not trusted: 12",
    async () => {
      await loggedIn();
      const path = join(directory, "credentials.json");
      const argv = ["runs", "list", "--profile", "sandbox"];
      await chmod(path, 0o644);
      const open = await run(argv, { configDir: directory });
      expect(open.code).toBe(12);
      expect(open.stderr).toContain(`chmod 600 ${path}`);
      await rm(path);
      await symlink("/etc/passwd", path);
      expect((await run(argv, { configDir: directory })).code).toBe(12);
      await rm(path);
      await settings("credentials.json", '{"tokens":{"https://x":');
      expect((await run(argv, { configDir: directory })).code).toBe(12);
    },
  );

  it("are where `config path` says", async () => {
    const { code, stdout } = await run(["config", "path"], { configDir: directory });
    expect({ code, stdout }).toEqual({ code: 0, stdout: `${join(directory, "config.json")}\n` });
  });
});

describe("trouble", () => {
  it.each(["500", "502", "503", "html-error", "empty-error", "reset", "429", "truncated"] as const)(
    "%s is tried again, and told as out of reach when it stays",
    async (name) => {
      await desk.sandbox.remote.setFault({ name, procedure: "listAllCliRuns", count: 2, retryAfter: 0 });
      expect((await desk.run(["runs", "list", "-q", "--no-refresh"])).code).toBe(0);
      await desk.sandbox.remote.setFault({ name, procedure: "listAllCliRuns", retryAfter: 0 });
      const before = (await desk.requests("listAllCliRuns")).length;
      const { code, stdout, stderr } = await desk.run(["runs", "list"]);
      await desk.sandbox.remote.clearFaults();
      expect({ code, stdout }).toEqual({ code: 11, stdout: "" });
      expect(stderr).not.toContain("bug");
      expect((await desk.requests("listAllCliRuns")).length - before).toBe(3);
    },
  );

  it.each(["malformed", "wrong-shape"] as const)("%s is told as not understood: 1", async (name) => {
    await desk.sandbox.remote.setFault({ name, procedure: "listAllCliRuns" });
    const { code, stderr } = await desk.run(["runs", "list"]);
    await desk.sandbox.remote.clearFaults();
    expect(code).toBe(1);
    expect(stderr).toContain("does not understand");
  });
});
