/** A sandbox that gets another port: what was done to it goes on to belong to it, until it is reset. */
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { begin, run } from "../harness.ts";

const FAILING = "drill [rehearse lines=1 interval=0.05 exit=3]";

let configDir: string;
let ends: (() => Promise<unknown>)[] = [];
beforeEach(async () => {
  configDir = await mkdtemp(join(tmpdir(), "kiloclaw-moved-"));
});
afterEach(async () => {
  for (const end of ends) await end();
  ends = [];
  await rm(configDir, { recursive: true, force: true });
});

const tool = (...argv: string[]) => run(argv, { configDir });
const inSandbox = (...argv: string[]) => tool("--profile", "sandbox", ...argv);
const status = async () => JSON.parse((await tool("sandbox", "status", "--json")).stdout) as Record<string, unknown>;

/** Starts it in the foreground. */
async function start(...argv: string[]) {
  const running = begin(["sandbox", "start", "--data-dir", join(configDir, "elsewhere"), ...argv], { configDir });
  ends.unshift(async () => {
    running.stop();
    await running.done;
  });
  await running.waitFor(/stop it: /);
  const [, port = ""] = await running.waitFor(/^http:\/\/127\.0\.0\.1:(\d+)$/m);
  return { port: Number(port), done: running.done };
}

it("keeps its jobs and its records over another port, is found by its profile, and is another one after a reset", async () => {
  const first = await start("--port", "0");
  const users = ["jane@example.com", "alice@example.com"].flatMap((user) => ["--user", user]);
  const begun = await inSandbox("runs", "start", ...users, "-p", FAILING, "--canary", "1", "--wait", "--yes");
  const [, job = ""] = /^job ([0-9a-f-]{36})$/m.exec(begun.stderr) ?? [];
  const before = await status();
  expect(before).toMatchObject({ running: true, dataDir: join(configDir, "elsewhere") });
  expect(await tool("sandbox", "stop")).toMatchObject({ code: 0 });
  expect((await first.done).code).toBe(0);
  expect(await status()).toMatchObject({ running: false, id: before["id"], dataDir: before["dataDir"] });

  const inTheWay = createServer().listen(first.port, "127.0.0.1");
  ends.push(async () => inTheWay.close());
  await once(inTheWay, "listening");
  const second = await start();
  expect(second.port).not.toBe(first.port);
  expect(await status()).toMatchObject({ running: true, id: before["id"], url: `http://127.0.0.1:${second.port}` });
  const resumed = await inSandbox("jobs", "resume", job, "--wait", "--json");
  expect(JSON.parse(resumed.stdout)).toMatchObject([{ state: "failed" }, { state: "failed" }]);
  const verified = await inSandbox("audit", "verify", "--since", "1h");
  expect(verified.stdout + verified.stderr).toMatch(/^2 operations: 2 verified$/m);
  expect(verified.code).toBe(0);

  expect(await tool("sandbox", "reset", "--yes")).toMatchObject({ code: 0 });
  const after = await status();
  expect(after["id"]).toMatch(/^[0-9a-f]{16}$/);
  expect(after["id"]).not.toBe(before["id"]);
  const refused = await inSandbox("jobs", "resume", job, "--wait");
  expect(refused.code).toBe(2);
  expect(refused.stderr).toMatch(/belongs to another sandbox, last at http:\S+; nothing was sent/);
  const compared = await inSandbox("audit", "verify", "--since", "1h");
  expect(compared).toMatchObject({ code: 0, stderr: expect.stringContaining("not compared") as string });

  expect(await tool("sandbox", "stop")).toMatchObject({ code: 0 });
  const said = await second.done;
  expect(said.stderr).toContain(`port ${first.port} is in use; the sandbox has port ${second.port} from now on`);
  const third = await start();
  expect(third.port).toBe(second.port);
}, 180_000);

it("is clean to a newcomer's first verify, and a start that no journal has is found all the same", async () => {
  await start("--port", "0");
  const first = await inSandbox("audit", "verify", "--json");
  expect(first.code).toBe(0);
  const rows = JSON.parse(first.stdout) as Record<string, unknown>[];
  expect(rows.length).toBeGreaterThan(0);
  for (const row of rows) {
    expect(row).toMatchObject({ verdict: "nothing-to-compare", finding: false, action: "start" });
    expect(row["detail"]).toBe("older than the sandbox: an example run that came with it");
  }

  const user = "alice@example.com";
  expect((await inSandbox("runs", "start", "-u", user, "-p", "[rehearse lines=1]", "--wait")).code).toBe(0);
  await rm(join(configDir, "state", "journal"), { recursive: true });
  const found = await inSandbox("audit", "verify", "-q");
  expect(found.code).toBe(9);
  expect(found.stdout.trim().split("\n")).toHaveLength(1);

  // What says when the sandbox began is gone: nothing is taken for an example then.
  const identity = join(configDir, "elsewhere", "identity.json");
  const { madeAt, ...rest } = JSON.parse(await readFile(identity, "utf8")) as Record<string, unknown>;
  expect(madeAt).toMatch(/Z$/);
  await writeFile(identity, JSON.stringify(rest));
  const all = await inSandbox("audit", "verify", "-q");
  expect(all.stdout.trim().split("\n")).toHaveLength(rows.length + 1);

  // A reset brings new examples.
  expect(await tool("sandbox", "reset", "--yes")).toMatchObject({ code: 0 });
  expect((await inSandbox("audit", "verify")).code).toBe(0);
}, 120_000);
