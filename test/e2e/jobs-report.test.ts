/** The report on the command line of a job that is on record. */
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Results, writePlan } from "../../src/bulk/job/files.ts";
import { Journal } from "../../src/journal/journal.ts";
import { sanitize } from "../../src/terminal/sanitize.ts";
import { run, type RunOptions } from "../harness.ts";
import { facts, itemOf, jobOf, type MadeUpJob } from "../support/bulk-job.ts";

// A title, the clipboard, C1, a right-to-left override, a bell, a lone carriage return, an element, a formula.
const HOSTILE = `=cmd|'/C calc'!A1 \u001b]0;owned\u0007\u001b[2J\u009b31m\u202e\u200b\rfake\n<script>alert("1")</script>, "quoted"`;
// oxlint-disable-next-line no-control-regex -- they are what must not be there
const LIVE = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u200b\u202e]/;
// oxlint-disable-next-line no-control-regex -- the tool's own colours
const OWN = /\u001b\[(?:[\d;]*m|\?25[hl]|1G|0K)/g;

let directory: string;
let configDir: string;
let jobId: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "kiloclaw-report-"));
  configDir = join(directory, "config");
  jobId = await keep(JOB);
});
afterEach(() => rm(directory, { recursive: true, force: true }));

const JOB = jobOf(300);
/** Said of the runs that were in progress when the job was left. */
const AS_OF = /^as of 2026-11-2\d \d\d:\d\d: \d+ runs? in progress not polled \(not logged in\)\n$/;

/** Puts a job on record on this machine, as it would be after it ended. */
const keep = async ({ facts, items }: MadeUpJob): Promise<string> => {
  const { profile, origin, ticket, reason, adminId, createdAt, total } = facts;
  const invocation = {
    action: "start",
    profile,
    origin,
    ticket,
    reason,
    adminId,
    tool: "0.0.0-test",
    pid: process.pid,
  };
  const clock = { now: () => createdAt, monotonicMs: () => 1 };
  const state = join(configDir, "state");
  const journal = await Journal.create(state, invocation, { clock });
  const source = { kind: "file", path: "/tickets/stuck.txt", sha256: null } as const;
  const targets = items.map(({ target }) => target);
  const plan = await writePlan(state, journal.id, { prompt: "repair it", source, targets });
  await journal.append({ kind: "job", total, settings: { plan } });
  const results = await Results.open(state, journal.id);
  for (const item of items) results.add(item);
  await results.close();
  await journal.end();
  await journal.close();
  return journal.id;
};

const report = (argv: readonly string[], options: RunOptions = {}) =>
  run(["jobs", "report", jobId, ...argv], { configDir, ...options });

/** Reads CSV by the letter of RFC 4180. */
const readCsv = (text: string): string[][] => {
  const rows: string[][] = [[]];
  for (const [, quoted, bare = "", end] of text.matchAll(/(?:"((?:[^"]|"")*)"|([^",\n]*))(,|\n)/g)) {
    rows.at(-1)?.push(quoted?.replaceAll('""', '"') ?? bare);
    if (end === "\n") rows.push([]);
  }
  return rows.slice(0, -1);
};

describe("a job's numbers", () => {
  it("are the same targets under the same words in the list, in show and in the report", async () => {
    const totals = { completed: 236, failed: 26, "machine-down": 7, waiting: 2 };
    const as = async (...argv: string[]) =>
      JSON.parse((await run(["jobs", ...argv, "--json"], { configDir })).stdout) as unknown;
    const shown = await as("show", jobId);
    expect(shown).toMatchObject({ total: 300, succeeded: 236, totals });
    expect(await as("list")).toMatchObject([{ total: 300, succeeded: 236, totals }]);
    expect(await as("report", jobId)).toMatchObject({ totals });
    const inWords = (await run(["jobs", "list"], { configDir })).stdout;
    const [, counts = ""] = / {2}300 +(\d+ completed, .+\d+ waiting) /.exec(inWords) ?? [];
    const listed = counts.split(", ").map((one) => one.split(" ").toReversed());
    expect(listed.reduce((sum, [, count]) => sum + Number(count), 0)).toBe(300);
    for (const command of ["show", "report"]) {
      const { stdout } = await run(["jobs", command, jobId], { configDir });
      expect([...stdout.matchAll(/^ {2}([a-z-]+) +(\d+)$/gm)].map(([, state, count]) => [state, count])).toEqual(
        listed,
      );
    }
  });
});

describe("jobs report", () => {
  it("shows a person how it went, what went wrong, and whom to look at", async () => {
    const { code, stdout, stderr } = await report([], { tty: true, columns: 160, env: { NO_COLOR: "1" } });
    expect({ code, stderr }).toEqual({ code: 0, stderr: expect.stringMatching(AS_OF) as string });
    expect(stdout).toContain(jobId);
    expect(stdout).toMatch(/^ticket +INC-4711$/m);
    expect(stdout).toMatch(/^ {2}completed +236$/m);
    expect(stdout).toMatch(/^took +median 3m 40s, p90 5m 11s, max 27m 37s \(270 ended\)$/m);
    expect(stdout).toMatch(/^13 +failed, exit code 1: Error: cannot parse <quoted>: unexpected token at line <n>/m);
    const open = JOB.items.filter(({ state, target }) => {
      return !["completed", "running", "starting", "waiting"].includes(state) && target.planned !== "duplicate";
    });
    expect(open).toHaveLength(58);
    // The job's own ID may look like a run's.
    const shown = new Set(stdout.replaceAll(jobId, "").match(/\b2[\da-f]{7}-[\da-f-]{27}\b/g));
    expect(shown).toEqual(new Set(open.flatMap(({ runId }) => runId ?? [])));
  });

  it("says where the rest is when it is too much to read", async () => {
    jobId = await keep({
      facts: facts(),
      items: Array.from({ length: 150 }, (_, index) => itemOf(index + 1, { state: "lost" })),
    });
    const { stdout, stderr } = await report([]);
    expect(stdout.match(/^\d+ +lost +[\da-f]{8}-/gm)).toHaveLength(100);
    expect(stderr).toBe(`and 50 more that need attention: kiloclaw-admin jobs report ${jobId} --output csv\n`);
  });

  it("is one object as JSON", async () => {
    const { stdout } = await report(["--json"]);
    const made: unknown = JSON.parse(stdout);
    expect(Object.keys(made as object)).toEqual([
      "job",
      "totals",
      "durations",
      "histogram",
      "timeline",
      "groups",
      "items",
      "prompt",
      "example",
      "shards",
    ]);
    expect(made).toMatchObject({
      job: { id: jobId, ticket: "INC-4711", createdAt: "2026-11-25T03:12:40.000Z", invocations: 1 },
      totals: { completed: 236, waiting: 2, "machine-down": 7 },
      durations: { count: 270 },
    });
    expect(made).toMatchObject({ prompt: "repair it", example: null });
    const some = await report(["--json", "--fields", "totals"]);
    expect(Object.keys(JSON.parse(some.stdout) as object)).toEqual(["totals"]);
  });

  it("is a line for each target as JSON lines and CSV, and each run's ID as IDs", async () => {
    const lines = (await report(["-o", "jsonl"])).stdout
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as object);
    expect(lines).toHaveLength(300);
    const csv = readCsv((await report(["-o", "csv"])).stdout);
    expect(csv[0]?.join(" ")).toBe(
      "index line named state runId userId userEmail instanceId startedAt completedAt durationMs exitCode attached signature problem",
    );
    expect(csv).toHaveLength(301);
    lines.forEach((line, index) => {
      expect(csv[index + 1]).toEqual(
        Object.values(line).map((value: unknown) => (value === null ? "" : String(value))),
      );
    });
    const ids = (await report(["-q"])).stdout.trimEnd().split("\n");
    expect(ids).toEqual(JOB.items.flatMap(({ runId }) => runId ?? []));
  });

  it("shows the fields of targets that were asked for, and lists them where there is no such field", async () => {
    const { stdout } = await report(["--fields", "index,state"]);
    expect(stdout.split("\n").slice(0, 2)).toEqual(["INDEX  STATE", "1      completed"]);
    const wrong = await report(["--fields", "nope"]);
    expect(wrong.code).toBe(2);
    expect(wrong.stderr).toContain("valid fields: index, line, named, state, runId");
  });

  it("drives no terminal and no spreadsheet, whatever its texts say", async () => {
    const target = { named: HOSTILE, userEmail: HOSTILE };
    jobId = await keep({
      facts: facts(),
      items: [itemOf(1, { state: "failed", exitCode: 1, problem: HOSTILE, target })],
    });
    for (const format of ["table", "json", "jsonl", "csv", "id"]) {
      const { code, stdout, stderr } = await report(["-o", format], { tty: true, columns: 250 });
      expect(code).toBe(0);
      expect(`${stdout}${stderr}`.replaceAll(OWN, "")).not.toMatch(LIVE);
    }
    const [, row] = readCsv((await report(["-o", "csv"])).stdout);
    expect(row?.[2]).toBe(`'${sanitize(HOSTILE)}`);
    expect(row?.[14]).toBe(`'${sanitize(HOSTILE)}`);
    expect(JSON.parse((await report(["-o", "jsonl"])).stdout)).toMatchObject({ named: HOSTILE, problem: HOSTILE });
    const { stdout: page } = await report(["--html", "-"]);
    expect(page).not.toMatch(LIVE);
    expect(page).not.toContain("<script");
  });

  it("needs a job that there is", async () => {
    expect((await run(["jobs", "report", "ffffffff"], { configDir })).code).toBe(5);
    expect((await run(["jobs", "report"], { configDir })).code).toBe(2);
    const latest = await run(["jobs", "report", "@latest", "--json"], { configDir });
    expect(JSON.parse(latest.stdout)).toMatchObject({ job: { id: jobId } });
  });
});

describe("jobs report --html", () => {
  it("writes the page, for its owner's eyes, and nothing to standard output", async () => {
    const path = join(directory, "INC-4711.html");
    const { code, stdout, stderr } = await report(["--html", path]);
    expect({ code, stdout }).toEqual({ code: 0, stdout: "" });
    expect(stderr).toContain(path);
    const page = await readFile(path, "utf8");
    expect(page).toMatch(/^<!doctype html>/);
    expect(page).toMatch(/<\/html>$/);
    expect(page.match(/<tr id="t/g)).toHaveLength(300);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect(await readdir(directory)).toEqual(["INC-4711.html", "config"]);
  });

  it("replaces a file only when told to", async () => {
    const path = join(directory, "kept.html");
    await writeFile(path, "kept", { mode: 0o644 });
    const { code, stderr } = await report(["--html", path]);
    expect(code).toBe(2);
    expect(stderr).toContain(`${path} exists already`);
    expect(stderr).toContain("--force");
    expect(await readFile(path, "utf8")).toBe("kept");
    expect((await report(["--html", path, "--force"])).code).toBe(0);
    expect(await readFile(path, "utf8")).toMatch(/^<!doctype html>/);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
  });

  it("leaves nothing behind where it cannot write", async () => {
    await mkdir(join(directory, "folder"));
    for (const path of [join(directory, "nowhere", "x.html"), join(directory, "folder")]) {
      const { code, stderr } = await report(["--html", path, "--force"]);
      expect(code).toBe(12);
      expect(stderr).toContain(`cannot write ${path}`);
    }
    expect((await readdir(directory)).toSorted()).toEqual(["config", "folder"]);
  });

  it("goes through a pipe, but not to a terminal", async () => {
    const piped = await report(["--html", "-"]);
    expect(piped).toMatchObject({ code: 0, stderr: expect.stringMatching(AS_OF) as string });
    expect(piped.stdout).toMatch(/^<!doctype html>[^]*<\/html>$/);
    const shown = await report(["--html", "-"], { tty: true });
    expect(shown).toMatchObject({ code: 2, stdout: "" });
    expect(shown.stderr).toContain("--html FILE");
  });

  it("has nothing to force without it", async () => {
    expect((await report(["--force"])).code).toBe(2);
  });
});
