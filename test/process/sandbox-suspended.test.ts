/** A sandbox whose process stands still for a while, as by Ctrl-Z or while a laptop sleeps. */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import * as z from "zod";
import { findSandbox } from "../../src/sandbox/remote.ts";
import { root, type Result } from "../harness.ts";
import { lacks } from "../support/lacks.ts";
import { Calls } from "../support/sandbox-calls.ts";

const BIN = join(root, "bin", "kiloclaw-admin.js");
const JANE = "c0000000-0000-4000-8000-000000000015";

let directory: string;
let dataDir: string;
const children: ChildProcess[] = [];
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "kiloclaw-suspended-"));
  dataDir = join(directory, "sandbox");
});
afterEach(async () => {
  for (const child of children.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    child.kill("SIGKILL");
    await once(child, "close");
  }
  await rm(directory, { recursive: true, force: true });
});

const begin = (argv: readonly string[]) => {
  const child = spawn(process.execPath, [BIN, ...argv], {
    env: { PATH: process.env.PATH, HOME: directory, KILOCLAW_ADMIN_CONFIG_DIR: directory },
    stdio: ["ignore", "pipe", "pipe"],
  });
  children.push(child);
  return child;
};
const ending = async (child: ReturnType<typeof begin>): Promise<Result> => {
  const [stdout, stderr] = [text(child.stdout), text(child.stderr)];
  const [code] = z.tuple([z.number().nullable(), z.unknown()]).parse(await once(child, "close"));
  return { code: code ?? -1, stdout: await stdout, stderr: await stderr };
};
const run = (argv: readonly string[]) => ending(begin(argv));
/** A sandbox in the foreground, once it answers. */
const start = async () => {
  const child = begin(["sandbox", "start", "--port", "0"]);
  const ended = ending(child);
  const sandbox = await vi.waitFor(
    async () => {
      const found = await findSandbox(dataDir);
      if (!found || found.pid !== child.pid) throw new Error("not there yet");
      return found;
    },
    { timeout: 60_000, interval: 100 },
  );
  return { child, ended, sandbox };
};

it.skipIf(lacks("signals"))(
  "keeps what is its own: another one is refused, and it goes on",
  { timeout: 120_000 },
  async () => {
    const { child, ended, sandbox } = await start();
    child.kill("SIGSTOP");
    for (const argv of [["start", "--port", "0"], ["status"], ["stop"], ["reset", "--yes"]]) {
      const { code, stderr } = await run(["sandbox", ...argv]);
      expect(stderr).toContain(`kill -CONT ${child.pid}`);
      expect(code).toBe(12);
    }
    child.kill("SIGCONT");
    expect((await sandbox.status()).pid).toBe(child.pid);
    expect(await run(["sandbox", "stop"])).toMatchObject({ code: 0 });
    expect((await ended).code).toBe(0);
  },
);

it.skipIf(lacks("signals"))(
  "leaves alone what a later one has taken, and writes no database any more",
  { timeout: 120_000 },
  async () => {
    const first = await start();
    const calls = new Calls({ url: first.sandbox.url }, await first.sandbox.token("ada.admin@kilocode.ai"));
    await calls.started(JANE, "[rehearse lines=1000 interval=1]");
    first.child.kill("SIGSTOP");
    // Nobody knows of the first one then, and its lock grows stale.
    await rm(join(dataDir, "sandbox.json"));
    const second = await start();
    const state = await readFile(join(dataDir, "sandbox.json"), "utf8");
    const late = calls.start(JANE, "too late").catch(() => undefined);

    first.child.kill("SIGCONT");
    const { code, stderr } = await first.ended;
    expect(code).toBe(12);
    expect(stderr).toContain(`lost its data directory ${dataDir}`);
    expect((await late)?.status).not.toBe(200);
    expect(await readFile(join(dataDir, "sandbox.json"), "utf8")).toBe(state);

    expect((await second.sandbox.status()).runs).toBe(127);
    // The lock is still the second one's: it is renewed, and keeps others out.
    await new Promise((resolve) => {
      setTimeout(resolve, 5_000);
    });
    expect(second.child.exitCode).toBeNull();
    expect(await run(["sandbox", "stop"])).toMatchObject({ code: 0 });
    expect((await second.ended).code).toBe(0);
  },
);
