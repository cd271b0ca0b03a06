import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, readdir, readFile, stat, utimes, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { afterEach, expect, test, vi } from "vitest";
import { deleteSandbox, findSandbox } from "../../src/sandbox/remote.ts";
import { SandboxError, startSandbox } from "../../src/sandbox/sandbox.ts";
import { lacks } from "../support/lacks.ts";
import { Calls } from "../support/sandbox-calls.ts";
import { openSandbox, sandboxOptions, temporaryDirectory } from "../support/sandbox.ts";

const JANE = "c0000000-0000-4000-8000-000000000015";

const cleanUp: Array<() => Promise<unknown>> = [];
afterEach(async () => {
  vi.useRealTimers();
  for (const step of cleanUp.splice(0).toReversed()) await step();
});

async function directory(): Promise<string> {
  const { path, remove } = await temporaryDirectory();
  cleanUp.push(remove);
  return path;
}

async function open(options: Parameters<typeof openSandbox>[0] = {}) {
  const opened = await openSandbox({ dataDir: await directory(), ...options });
  cleanUp.push(opened.stop);
  return opened;
}

test("runs, tokens and repaired files survive a restart; the machine's memory does not", async () => {
  const first = await open();
  const calls = new Calls(first, first.adminToken);
  const ended = await calls.started(JANE, "[rehearse lines=1 interval=0]");
  await calls.statusWhen(JANE, ended.id, ({ status }) => status === "completed");
  const lost = await calls.started(JANE, "[rehearse lines=1000 interval=1]");
  await first.stop();

  const second = await open({ dataDir: first.dataDir });
  const after = new Calls(second, first.adminToken);
  expect(await after.status(JANE, ended.id)).toMatchObject({ status: "completed", exitCode: 0 });
  expect(await after.status(JANE, lost.id)).toMatchObject({
    status: "failed",
    output: "[run state unavailable: controller no longer has an active CLI run for this record]",
  });
});

test("a second sandbox on the same directory is refused and names the first", async () => {
  const first = await open();
  const second = startSandbox(await sandboxOptions(first.dataDir));
  await expect(second).rejects.toThrow(SandboxError);
  await expect(second).rejects.toThrow(`already running in ${first.dataDir}: ${first.url} (process ${process.pid})`);
  expect((await first.remote.status()).runs).toBe(126);
});

test("a sandbox that has lost its directory refuses every query, stops, and removes nothing of the next one's", async () => {
  const first = await openSandbox({ dataDir: await directory() });
  const calls = new Calls(first, first.adminToken);
  await calls.started(JANE, "[rehearse lines=1000 interval=1]");
  const at = (name: string) => join(first.dataDir, name);
  const files = async () => {
    const names = await readdir(at("database"), { recursive: true });
    return Promise.all(names.map(async (name) => [name, (await stat(at(join("database", name)))).mtimeMs]));
  };
  await writeFile(at("sandbox.owner"), "the next one");
  await writeFile(at("sandbox.json"), "of the next one");
  const before = await files();
  // As long as a look is trusted for.
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 1_000 });
  expect((await calls.start(JANE, "too late").catch(() => ({ status: 0 }))).status).not.toBe(200);
  await expect(first.sandbox.stopped).rejects.toThrow(`lost its data directory ${first.dataDir}`);
  vi.useRealTimers();
  expect(await files()).toEqual(before);
  expect(await readFile(at("sandbox.json"), "utf8")).toBe("of the next one");
  expect(await readFile(at("sandbox.owner"), "utf8")).toBe("the next one");
  expect((await stat(at("sandbox.lock"))).isDirectory()).toBe(true);
  expect(await childrenIn(at("instances"))).toEqual([]);
});

test("what a killed sandbox left behind does not keep the next one from starting", async () => {
  const { dataDir, stop } = await open();
  await stop();
  // Nobody listens there any more, and the lock was not renewed for a while.
  await writeFile(
    join(dataDir, "sandbox.json"),
    JSON.stringify({
      id: "x",
      pid: 1,
      url: "http://127.0.0.1:9",
      controlToken: "x",
      key: "x",
      startedAt: new Date().toISOString(),
    }),
  );
  await mkdir(join(dataDir, "sandbox.lock"));
  const longAgo = new Date(Date.now() - 60_000);
  await utimes(join(dataDir, "sandbox.lock"), longAgo, longAgo);
  expect(await findSandbox(dataDir)).toBeNull();
  const next = await open({ dataDir });
  expect((await next.remote.status()).users).toBe(32);
});

test.skipIf(lacks("permissions"))("only its owner can read the secret and the control token", async () => {
  const { dataDir } = await open();
  const modes = await Promise.all(
    ["sandbox.json", "secret"].map(async (name) => (await stat(join(dataDir, name))).mode),
  );
  expect(modes.map((mode) => mode & 0o777)).toEqual([0o600, 0o600]);
});

test("stop leaves no process, no state file and no open request behind", async () => {
  const sandbox = await open();
  const calls = new Calls(sandbox, sandbox.adminToken);
  const run = await calls.started(JANE, "[rehearse lines=1000 interval=1 trap=1]");
  const { output } = await calls.statusWhen(JANE, run.id, (seen) => seen.output !== "");
  expect(output).not.toBe("");
  await sandbox.remote.setFault({ name: "hang", procedure: "listAllCliRuns" });
  const hanging = calls.query("admin.kiloclawInstances.listAllCliRuns", {});
  const processes = () => childrenIn(join(sandbox.dataDir, "instances"));
  expect(await processes()).not.toEqual([]);

  await Promise.all([expect(hanging).rejects.toThrow("fetch failed"), sandbox.remote.stop()]);
  await sandbox.sandbox.stopped;
  expect(await processes()).toEqual([]);
  await expect(stat(join(sandbox.dataDir, "sandbox.json"))).rejects.toThrow("ENOENT");
  expect(await findSandbox(sandbox.dataDir)).toBeNull();
});

test.skipIf(lacks("linux"))("nor a program that has left its run's group, nor what that one starts", async () => {
  const sandbox = await open({ agentCommand: `sh -c 'setsid sh -c "sleep 60 & wait" > /dev/null 2>&1 & echo left'` });
  const calls = new Calls(sandbox, sandbox.adminToken);
  const { id } = await calls.started(JANE, "x");
  await calls.statusWhen(JANE, id, ({ status }) => status === "completed");
  const processes = () => childrenIn(join(sandbox.dataDir, "instances"));
  await vi.waitFor(async () => expect(await processes()).toHaveLength(2), 5_000);
  await sandbox.remote.stop();
  expect(await processes()).toEqual([]);
});

test("reset empties a running sandbox in place; one that does not run is deleted", async () => {
  const { dataDir, remote, adminToken, url, stop } = await open({ extraUsers: 3 });
  const calls = new Calls({ url }, adminToken);
  await calls.started(JANE, "[rehearse lines=1000 interval=1]");
  await remote.setFault({ name: "500" });
  await remote.reset();
  expect(await remote.status()).toMatchObject({ runs: 126, users: 35, instances: 30 });
  expect((await calls.start(JANE, "[rehearse lines=1 interval=0]")).status).toBe(200);

  await expect(deleteSandbox(dataDir)).rejects.toThrow("is running");
  await stop();
  expect(await deleteSandbox(dataDir)).toBe(true);
  await expect(stat(dataDir)).rejects.toThrow("ENOENT");
});

test("a directory that holds something else is neither used nor deleted", async () => {
  const path = await directory();
  await writeFile(join(path, "thesis.txt"), "precious");
  await expect(startSandbox(await sandboxOptions(path))).rejects.toThrow("holds other files");
  await expect(deleteSandbox(path)).rejects.toThrow("not a sandbox's data directory");
  expect(await readFile(join(path, "thesis.txt"), "utf8")).toBe("precious");
});

test.each([
  ["a port in use", async () => ({ port: await usedPort() }), /Port \d+ is in use/],
  ["a port that is none", async () => ({ port: 70_000 }), "70000 is not a port"],
  ["a database that is none", async () => ({ databaseUrl: "mysql://x/y" }), "must start with postgres://"],
  [
    "a database that does not answer",
    async () => ({ databaseUrl: "postgres://127.0.0.1:9/x" }),
    "Cannot use the database",
  ],
  ["an empty agent command", async () => ({ agentCommand: " " }), "The agent command is empty"],
])("%s is told, and the directory is free again", async (_what, options, message) => {
  const path = await directory();
  const failed = startSandbox({ ...(await sandboxOptions(path)), ...(await options()) });
  await expect(failed).rejects.toThrow(message);
  await expect(failed).rejects.toThrow(SandboxError);
  // Not locked, and nothing listens: it can be used at once.
  await open({ dataDir: path });
});

test("--agent runs any command with the prompt as its last argument, without the tool's own secrets", async () => {
  const script = join(await directory(), "agent.cjs");
  await writeFile(
    script,
    `console.log(JSON.stringify([process.argv.slice(2), process.env.KILOCLAW_ADMIN_TOKEN ?? "none", process.env.KEPT]))`,
  );
  const sandbox = await open({
    agentCommand: `"${process.execPath}" ${script} --auto 'two words'`,
    env: { ...process.env, KILOCLAW_ADMIN_TOKEN: "secret", KEPT: "kept" },
  });
  const calls = new Calls(sandbox, sandbox.adminToken);
  const { id } = await calls.started(JANE, "the prompt");
  const { output } = await calls.statusWhen(JANE, id, ({ status }) => status === "completed");
  expect(JSON.parse(output ?? "")).toEqual([["--auto", "two words", "the prompt"], "none", "kept"]);
});

/** The processes that work in a directory. */
async function childrenIn(path: string): Promise<string[]> {
  const ps = spawn("sh", [
    "-c",
    `for p in /proc/[0-9]*; do readlink $p/cwd; done 2>/dev/null | grep "^${path}" || true`,
  ]);
  let text = "";
  ps.stdout.setEncoding("utf8").on("data", (part: string) => (text += part));
  await once(ps, "close");
  return text.split("\n").filter(Boolean);
}

async function usedPort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  cleanUp.push(async () => {
    server.close();
    await once(server, "close");
  });
  const address = server.address();
  return typeof address === "object" && address ? address.port : 0;
}
