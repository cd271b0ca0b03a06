/**
 * An upgrade while a command runs: its files are gone from the moment when it has sent something. It ends as it would have
 * ended without.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { renameSync } from "node:fs";
import { cp, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { admin } from "../../src/contract/procedures.ts";
import { loadCustomer } from "../../src/sandbox/seed/people.ts";
import { FaultProxy, type Exchange } from "../faults/proxy.ts";
import { openDesk, root, type Desk, type Result } from "../harness.ts";

const QUICK = "[rehearse lines=2 interval=0.2]";
const LONG = "[rehearse lines=1 delay=60]";

let desk: Desk;
let customers = 0;
beforeAll(async () => {
  desk = await openDesk({ extraUsers: 40 });
});
afterAll(() => desk.close());
const someone = () => loadCustomer(++customers).person.email;

let proxy: FaultProxy;
let folder: string;
let upgraded: number;
beforeEach(async () => {
  proxy = await FaultProxy.open(desk.sandbox.url);
  folder = await mkdtemp(join(tmpdir(), "kiloclaw-upgraded-"));
  upgraded = 0;
  await Promise.all(
    ["bin", "dist", "package.json"].map((name) => cp(join(root, name), join(folder, name), { recursive: true })),
  );
});
afterEach(async () => {
  await proxy.close();
  await rm(folder, { recursive: true });
});

type Deal = (exchange: Exchange) => Promise<void>;
const answered: Deal = async (exchange) => exchange.answer(await exchange.deliver());
const lost: Deal = async (exchange) => {
  await exchange.deliver();
  exchange.socket.destroy();
};
const refused =
  (status: number, code: string, number: number): Deal =>
  async (exchange) => {
    const data = { code, httpStatus: status, path: admin.startKiloCliRun.path, zodError: null };
    const body = Buffer.from(JSON.stringify({ error: { message: "a refusal", code: number, data } }));
    exchange.answer({ status, headers: { "content-type": "application/json" }, body });
  };

/**
 * Runs the copy; its files are gone once a request that changes something has come, which is dealt with like this.
 *
 * @param interruptAt what it says when it is interrupted.
 */
async function run(argv: readonly string[], deal: Deal = answered, interruptAt?: string): Promise<Result> {
  proxy.decide = ({ method }) =>
    method === "GET"
      ? undefined
      : async (exchange) => {
          if (upgraded === 0) renameSync(join(folder, "dist"), join(folder, "old"));
          upgraded += 1;
          await deal(exchange);
        };
  const child = spawn(process.execPath, [join(folder, "bin", "kiloclaw-admin.js"), ...argv], {
    env: {
      PATH: process.env.PATH,
      HOME: folder,
      KILOCLAW_ADMIN_CONFIG_DIR: join(folder, "config"),
      KILOCLAW_ADMIN_HOST: proxy.url,
      KILOCLAW_ADMIN_TOKEN: desk.sandbox.adminToken,
    },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let seen = "";
  child.stderr.on("data", (bytes: Buffer) => {
    seen += bytes.toString();
    if (interruptAt === undefined || !seen.includes(interruptAt)) return;
    interruptAt = undefined;
    child.kill("SIGINT");
  });
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr), once(child, "close")]);
  const result = { code: child.exitCode ?? -1, stdout, stderr };
  expect(upgraded).toBeGreaterThan(0);
  expect(stderr).not.toMatch(/Cannot find module|MODULE_NOT_FOUND/);
  return result;
}

const FORMATS = [[], ["--json"], ["-o", "csv"], ["-q"]];

describe("an upgrade after a start was sent", () => {
  it.each(FORMATS)("changes nothing about its ID: %j %j", async (...format) => {
    const user = someone();
    const { code, stdout } = await run(["runs", "start", "-u", user, "-p", QUICK, ...format]);
    const [row] = await desk.rows(user);
    expect(code).toBe(0);
    expect(stdout).toContain(row?.id);
  });

  it.each([[[]], [["--json"]]])("lets a lost answer be found by its row: %j", async (format) => {
    const user = someone();
    const { code, stdout } = await run(["runs", "start", "-u", user, "-p", QUICK, ...format], lost);
    const [row] = await desk.rows(user);
    expect(code).toBe(0);
    expect(stdout).toContain(row?.id);
  });

  it("lets a refusal be told", async () => {
    const { code, stderr } = await run(
      ["runs", "start", "-u", someone(), "-p", QUICK],
      refused(401, "UNAUTHORIZED", -32_001),
    );
    expect(code).toBe(4);
    expect(stderr).toContain("kiloclaw-admin auth status");
  });

  it.each([[[]], [["--json"]]])("lets it be told that no run was found: %j", async (format) => {
    const argv = ["runs", "start", "-u", someone(), "-p", QUICK, ...format];
    const result = await run(
      argv,
      refused(500, "INTERNAL_SERVER_ERROR", -32_603),
      "does not say whether the run started",
    );
    // Stopped while it looks for the run: the look takes a minute otherwise.
    expect(result).toMatchObject({ code: 130, stdout: "" });
    expect(result.stderr).toContain("that is not proof that it did not start");
  });

  it.each([[["--watch"]], [["--watch", "-o", "jsonl"]], [["--on-conflict", "attach", "--watch"]]])(
    "lets %j follow the run to its end",
    async (options) => {
      const argv = ["runs", "start", "-u", someone(), "-p", QUICK, "--interval", "100ms", ...options];
      const { code, stdout } = await run(argv);
      expect(code).toBe(0);
      expect(stdout).toContain("step 2/2");
    },
  );
});

describe("an upgrade after a cancel was sent", () => {
  it.each(FORMATS)("changes nothing about what is said: %j %j", async (...format) => {
    const ids = await Promise.all([someone(), someone()].map((user) => desk.startRun(user, LONG)));
    const { code, stdout, stderr } = await run(["runs", "cancel", ...ids, "--yes", ...format]);
    expect(code).toBe(0);
    for (const id of ids) expect(stdout + stderr).toContain(id);
  });

  it("lets a lost answer be followed by a look", async () => {
    const id = await desk.startRun(someone(), LONG);
    expect(await run(["runs", "cancel", id, "--yes"], lost)).toMatchObject({ code: 0 });
    expect((await desk.row(id)).status).toBe("cancelled");
  });
});

describe("an upgrade after a job has sent its first start", () => {
  it.each([[[]], [["--json"]], [["-o", "jsonl"]], [["--on-end", "echo done"]]])("lets it end: %j", async (format) => {
    const users = [someone(), someone(), someone()];
    const argv = ["runs", "start", ...users.flatMap((user) => ["-u", user]), "-p", QUICK, "--yes", "--wait", ...format];
    const { code } = await run(argv);
    expect(code).toBe(0);
    for (const user of users) expect(await desk.rows(user)).toMatchObject([{ status: "completed" }]);
  });

  it("lets it end with what went wrong", async () => {
    const users = [someone(), someone()].flatMap((user) => ["-u", user]);
    const { code, stderr } = await run([
      "runs",
      "start",
      ...users,
      "-p",
      "[rehearse lines=1 interval=0 exit=3]",
      "--yes",
      "--wait",
      "--json",
    ]);
    expect(code).toBe(9);
    expect(stderr).toContain('"exitCode":9');
  });
});
