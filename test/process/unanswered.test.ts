/** What is left of a command when nothing of it is left: a process may end only where its command has. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { FaultProxy } from "../faults/proxy.ts";
import { openDesk, root, type Desk, type Result } from "../harness.ts";

const BIN = join(root, "bin", "kiloclaw-admin.js");
const USER = "jane@example.com";

let desk: Desk;
beforeAll(async () => {
  desk = await openDesk();
});
afterAll(() => desk.close());

let proxy: FaultProxy;
let configDir: string;
beforeEach(async () => {
  proxy = await FaultProxy.open(desk.sandbox.url);
  configDir = await mkdtemp(join(tmpdir(), "kiloclaw-unanswered-"));
});
afterEach(async () => {
  await proxy.close();
  await rm(configDir, { recursive: true });
});

async function run(argv: readonly string[], more: NodeJS.ProcessEnv = {}): Promise<Result> {
  const child = spawn(process.execPath, [BIN, ...argv], {
    env: {
      PATH: process.env.PATH,
      HOME: configDir,
      KILOCLAW_ADMIN_CONFIG_DIR: configDir,
      KILOCLAW_ADMIN_HOST: proxy.url,
      KILOCLAW_ADMIN_TOKEN: desk.sandbox.adminToken,
      ...more,
    },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr), once(child, "close")]);
  return { code: child.exitCode ?? -1, stdout, stderr };
}

/** Answers what is asked for with a switch to another protocol, once it is done. */
function switching(strikes: (procedure: string) => boolean): void {
  proxy.decide = ({ procedure }) =>
    strikes(procedure)
      ? async (exchange) => {
          await exchange.deliver();
          exchange.write("HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n");
        }
      : undefined;
}

describe("a platform that switches to another protocol", () => {
  it.each([
    [["runs", "list", "-o", "json"]],
    [["audit", "list", "-u", USER, "--json"]],
    [["runs", "settle", "-u", USER, "--json"]],
    [["instances", "list", "-o", "csv"]],
    [["runs", "start", "-u", USER, "-p", "check"]],
  ])("ends %j with 11 and without a result, and says why", async (argv) => {
    switching(() => true);
    const result = await run(argv);
    expect(result).toMatchObject({ code: 11, stdout: "", stderr: expect.stringContaining("HTTP 101") });
  });

  it("leaves it open who one is", async () => {
    switching(() => true);
    const { code, stdout, stderr } = await run(["auth", "status", "--json"]);
    expect(code).toBe(11);
    expect(JSON.parse(stdout)).toMatchObject([{ usable: null, isAdmin: null }]);
    expect(stderr).toContain("HTTP 101");
  });

  it("in answer to a start: the run is looked for, and its ID printed", async () => {
    switching((procedure) => procedure === "startKiloCliRun");
    const { code, stdout, stderr } = await run(["runs", "start", "-u", USER, "-p", "[rehearse lines=1] switched"]);
    expect(proxy.exchanges.filter(({ isStart }) => isStart)).toHaveLength(1);
    const rows = (await desk.rows(USER)).filter(({ prompt }) => prompt.endsWith("switched"));
    expect(rows.map(({ id }) => `${id}\n`)).toEqual([stdout]);
    expect(code).toBe(0);
    expect(stderr).toContain("HTTP 101");
  });

  it("in answer to what audit verify compares with: it is no verification", async () => {
    await run(["runs", "start", "-u", "bob@example.com", "-p", "[rehearse lines=1]"]);
    switching((procedure) => procedure.includes("adminAuditLogs"));
    const { code, stderr } = await run(["audit", "verify"]);
    expect(code).not.toBe(0);
    expect(stderr).toContain("HTTP 101");
  });
});

it("a command that nothing is left of has failed, and says so", async () => {
  // A file system that answers nothing, so that not even a handle is left to wait for.
  const preload = join(configDir, "deaf.cjs");
  await writeFile(
    preload,
    `const files = require("node:fs/promises");
     for (const name of Object.keys(files)) if (typeof files[name] === "function") files[name] = () => new Promise(() => undefined);`,
  );
  const { code, stdout, stderr } = await run(["audit", "log"], { NODE_OPTIONS: `--require ${preload}` });
  expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
  expect(stderr).toContain("ended before it was done");
});
