/** Output that cannot be written: what was done stays done, and the exit code does not say otherwise. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import * as z from "zod";
import { openDesk, root, type Desk, type Result } from "../harness.ts";
import { lacks } from "../support/lacks.ts";

const BIN = join(root, "bin", "kiloclaw-admin.js");
const QUICK = "[rehearse lines=1]";
const UUID = /[\da-f]{8}-(?:[\da-f]{4}-){3}[\da-f]{12}/g;
const FORMATS = ["-q", "--json", ""];
const CANNOT = "error: standard output cannot be written (ENOSPC)\n";

let desk: Desk;
beforeAll(async () => {
  desk = await openDesk();
});
afterAll(() => desk.close());

/** Runs a command with its arguments as the shell has them, and what follows them on its line. */
async function shell(redirected: string, ...argv: string[]): Promise<Result> {
  const child = spawn("bash", ["-o", "pipefail", "-c", `"$NODE" "$BIN" "$@" ${redirected}`, "bash", ...argv], {
    env: {
      PATH: process.env.PATH,
      HOME: desk.configDir,
      ...desk.env,
      KILOCLAW_ADMIN_CONFIG_DIR: desk.configDir,
      NODE: process.execPath,
      BIN,
    },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const [stdout, stderr] = [text(child.stdout), text(child.stderr)];
  const [code] = z.tuple([z.number().nullable(), z.unknown()]).parse(await once(child, "close"));
  return { code: code ?? -1, stdout: await stdout, stderr: await stderr };
}

const rowsOf = async (user: string) => (await desk.rows(user)).filter(({ prompt }) => prompt === QUICK);

describe.skipIf(lacks("/dev/full"))("a disk that is full", () => {
  it.each([
    [["--version"]],
    [["--help"]],
    [["help", "exit-codes"]],
    [["runs", "list", "--no-refresh", "--limit", "0", "-o", "jsonl"]],
    [["runs", "list", "--no-refresh", "--limit", "0"]],
    [["auth", "status"]],
    [["config", "get", "output"]],
  ])("under standard output makes 1 of 0, in one line: %j", async (argv) => {
    expect(await shell(">/dev/full", ...argv)).toEqual({ code: 1, stdout: "", stderr: CANNOT });
    expect(await shell(">/dev/full 2>/dev/full", ...argv)).toEqual({ code: 1, stdout: "", stderr: "" });
  });

  it.each(FORMATS)("under standard output does not lose a started run's ID: runs start %s", async (format) => {
    const user = `fleet0${FORMATS.indexOf(format) + 1}@fleet.example.com`;
    const argv = ["runs", "start", "-u", user, "-p", QUICK, ...(format === "" ? [] : [format])];
    const { code, stdout, stderr } = await shell(">/dev/full", ...argv);
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    const rows = await rowsOf(user);
    expect(rows).toHaveLength(1);
    expect(stderr).toContain(CANNOT);
    expect(stderr).toContain(`standard output is closed; the run: ${rows[0]?.id}\n`);
    expect(stderr).not.toContain("    at ");
  });

  it.each(FORMATS)("under standard error leaves the ID on standard output: runs start %s", async (format) => {
    const user = `fleet0${FORMATS.indexOf(format) + 4}@fleet.example.com`;
    const argv = ["runs", "start", "-u", user, "-p", QUICK, ...(format === "" ? [] : [format])];
    const { code, stdout, stderr } = await shell("2>/dev/full", ...argv);
    // Where nothing was to be said on standard error, nothing was lost.
    expect({ code, stderr }).toEqual({ code: format === "" ? 1 : 0, stderr: "" });
    expect(await rowsOf(user)).toEqual([expect.objectContaining({ id: stdout.match(UUID)?.[0] })]);
  });

  it("under standard output stops a job from starting more; each ID that was started is on standard error", async () => {
    const users = Array.from({ length: 6 }, (_, n) => `fleet${String(n + 7).padStart(2, "0")}@fleet.example.com`);
    const list = join(desk.configDir, "users.txt");
    await writeFile(list, users.join("\n"));
    const argv = ["runs", "start", "--users-file", list, "-p", QUICK, "-q", "--yes", "--concurrency", "1"];
    const { code, stdout, stderr } = await shell(">/dev/full", ...argv);
    expect(stdout).toBe("");
    const started = (await Promise.all(users.map(rowsOf))).flat().map(({ id }) => id);
    expect(started.length).toBeGreaterThan(0);
    expect(started.length).toBeLessThan(users.length);
    for (const id of started) expect(stderr).toContain(id);
    // Something was sent, and something is left.
    expect(code).toBe(9);
  });

  it("does not hide that a run was cancelled, nor how a watched one ended", async () => {
    const id = await desk.startRun("alice@example.com", "[rehearse lines=1 delay=60]");
    const cancelled = await shell(">/dev/full 2>/dev/full", "runs", "cancel", id, "--yes");
    expect(cancelled.code).toBe(1);
    expect((await desk.row(id)).status).toBe("cancelled");
    const failing = [
      "runs",
      "start",
      "-u",
      "bob@example.com",
      "-p",
      "[rehearse lines=1 exit=3]",
      "--watch",
      "--interval",
      "50ms",
    ];
    expect((await shell("2>/dev/full", ...failing)).code).toBe(3);
  });

  it("keeps the codes that say what is wrong", async () => {
    expect((await shell(">/dev/full 2>/dev/full", "runs", "lst")).code).toBe(2);
    expect((await shell("2>/dev/full", "runs", "show", "00000000")).code).toBe(5);
    const busy = await desk.startRun("carol@example.com", "[rehearse lines=1 delay=60]");
    const conflict = await shell("2>/dev/full", "runs", "start", "-u", "carol@example.com", "-p", QUICK, "-q");
    expect(conflict.code).toBe(6);
    expect((await desk.row(busy)).status).toBe("running");
  });
});

it("a reader that has gone away is nobody's error", async () => {
  for (const argv of [["--version"], ["--help"], ["runs", "list", "--no-refresh", "--limit", "0", "-o", "jsonl"]]) {
    expect(await shell("| true", ...argv)).toMatchObject({ code: 0, stderr: "" });
  }
  const { version } = z
    .object({ version: z.string() })
    .parse(JSON.parse(await readFile(join(root, "package.json"), "utf8")));
  expect(await shell("2>/dev/null", "--version")).toEqual({ code: 0, stdout: `${version}\n`, stderr: "" });
});
