/** Many starts as one job: what it says, what it exits with, and what the platform has seen of it. */
import { readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openDesk, type Desk, type Result } from "../harness.ts";
import { eventually } from "../support/eventually.ts";
import { Screen } from "../support/screen.ts";

/** Customers of which each test takes some of its own: a run of one test must not be in another's way. */
const CUSTOMERS = 140;

// Several at once share what a busy machine has.

let desk: Desk;
let taken = 0;
beforeAll(async () => {
  desk = await openDesk({ extraUsers: CUSTOMERS });
});
afterAll(() => desk.close());

/** The next few customers. */
function take(count: number): string[] {
  const users = Array.from(
    { length: count },
    (_, at) => `user${String(taken + at + 1).padStart(4, "0")}@load.example.com`,
  );
  taken += count;
  if (taken > CUSTOMERS) throw new Error("there are not enough customers");
  return users;
}

const OK = "drill [rehearse lines=1 interval=0.05]";
const FAILING = "drill [rehearse lines=1 interval=0.05 exit=3]";
const LONG = "drill [rehearse lines=600 interval=0.2]";

async function usersFile(name: string, lines: readonly string[]): Promise<string> {
  const path = join(desk.configDir, name);
  await writeFile(path, lines.map((line) => `${line}\n`).join(""));
  return path;
}

const start = (users: readonly string[], prompt: string, ...more: string[]) =>
  desk.run(["runs", "start", ...users.flatMap((user) => ["--user", user]), "-p", prompt, "--yes", ...more]);

const jobOf = ({ stderr }: Result): string => /^job ([0-9a-f-]{36})$/m.exec(stderr)?.[1] ?? "";
const json = (result: Result): Record<string, unknown>[] => JSON.parse(result.stdout) as Record<string, unknown>[];
const rowsOf = async (users: readonly string[]) => (await Promise.all(users.map((user) => desk.rows(user)))).flat();

describe("a job", () => {
  it("starts a run on each target and follows them to their ends", async () => {
    const users = take(6);
    const result = await start(users, OK, "--wait", "--json", "--ticket", "INC-7");
    expect(result.code).toBe(0);
    const rows = await rowsOf(users);
    expect(rows).toHaveLength(6);
    expect(json(result)).toMatchObject(
      users.map((userEmail, at) => ({ index: at + 1, userEmail, state: "completed", exitCode: 0, problem: null })),
    );
    expect(
      json(result)
        .map(({ runId }) => runId)
        .toSorted(),
    ).toEqual(rows.map(({ id }) => id).toSorted());
    expect(result.stderr).toMatch(/startable +6, will be started/);
    expect(result.stderr).toMatch(/job [0-9a-f-]{36}: 6 completed/);

    const id = jobOf(result);
    const [listed] = json(await desk.run(["jobs", "list", "--json"]));
    expect(listed).toMatchObject({
      id,
      ticket: "INC-7",
      state: "done",
      total: 6,
      started: 6,
      succeeded: 6,
      failed: 0,
      skipped: 0,
    });
    const report = JSON.parse((await desk.run(["jobs", "report", id.slice(0, 8), "--json"])).stdout) as object;
    expect(report).toMatchObject({ job: { id, ticket: "INC-7", total: 6 }, totals: { completed: 6 } });
    const verified = await desk.run(["audit", "verify", "--since", "1h"]);
    expect(verified.stdout + verified.stderr).toMatch(/6 operations: 6 verified/);
  });
});

// Much of a job is waiting.
describe.concurrent("of many jobs, each", () => {
  it("says what went wrong, by what it has in common, and exits with 9", async () => {
    const users = take(3);
    const result = await start([...users, "ivan.stopped@example.com", "nobody@example.com"], FAILING, "--wait");
    expect(result.code).toBe(9);
    expect(result.stderr).toMatch(/3 failed, 1 machine-down, 1 unplanned/);
    expect(result.stderr).toMatch(/3 × failed, exit code 3/);
    expect(result.stderr).toContain(`kiloclaw-admin jobs retry-failed ${jobOf(result)}`);
    const lines = result.stdout.trimEnd().split("\n");
    expect(lines.filter((line) => / {2}running$/.test(line))).toHaveLength(3);
    expect(lines.filter((line) => / {2}failed {2}exit code 3/.test(line))).toHaveLength(3);
  });

  it("prints the ID of each run as it starts when it is to be quiet, and leaves them to themselves", async () => {
    const users = take(4);
    const result = await start(users, OK, "-q");
    expect(result).toMatchObject({ code: 0, stderr: "" });
    const ids = (await rowsOf(users)).map(({ id }) => id);
    expect(result.stdout.trimEnd().split("\n").toSorted()).toEqual(ids.toSorted());
    const listed = async () => json(await desk.run(["jobs", "list", "--json"])).find(({ total }) => total === 4);
    const job = await listed();
    expect(job).toMatchObject({ state: "open", started: 4, succeeded: 0 });
    const followed = await desk.run(["jobs", "resume", String(job?.["id"]), "--wait", "-o", "csv"]);
    expect(followed.code).toBe(0);
    expect(followed.stdout.split("\n")[0]).toMatch(/^index,line,named,state,runId,/);
    expect(followed.stdout.match(/,completed,/g)).toHaveLength(4);
    expect(await listed()).toMatchObject({ state: "done", succeeded: 4 });
  });

  it("streams what becomes of each target as JSON lines", async () => {
    const users = take(2);
    const { code, stdout } = await start(users, OK, "--wait", "-o", "jsonl");
    expect(code).toBe(0);
    const events = stdout
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    for (const user of users) {
      const states = events.filter((event) => event["type"] === "item" && event["userEmail"] === user);
      expect(states.map(({ state }) => state)).toEqual(["starting", "running", "completed"]);
    }
    expect(events.every(({ at }) => typeof at === "string")).toBe(true);
  });

  it("gives each target its own prompt, by the columns of a file", async () => {
    const [first = "", second = ""] = take(2);
    const file = await usersFile("faults.csv", ["email,fault", `${first},a bad port`, `${second},"a ""lost"" plugin"`]);
    const result = await desk.run(["runs", "start", "--users-file", file, "-p", `fix {{fault}} ${OK}`, "--yes"]);
    expect(result.code).toBe(0);
    expect((await desk.rows(first))[0]?.prompt).toBe(`fix a bad port ${OK}`);
    expect((await desk.rows(second))[0]?.prompt).toBe(`fix a "lost" plugin ${OK}`);
    const shown = await desk.run(["jobs", "show", jobOf(result)]);
    expect(shown.stdout).toContain(`| fix {{fault}} ${OK}\n`);
    expect(shown.stdout).toContain(`| fix a bad port ${OK}\n`);
    const example = { index: 1, named: first, prompt: `fix a bad port ${OK}` };
    for (const command of ["show", "report"]) {
      const made: unknown = JSON.parse((await desk.run(["jobs", command, jobOf(result), "--json"])).stdout);
      expect(made).toMatchObject({ prompt: `fix {{fault}} ${OK}`, example });
    }
  });

  it("reads users from standard input", async () => {
    const users = take(2);
    const argv = ["runs", "start", "--users-file", "-", "-p", OK, "--yes", "-q"];
    const result = await desk.run(argv, { stdin: `${users.join("\n")}\n` });
    expect(result.code).toBe(0);
    expect(await rowsOf(users)).toHaveLength(2);
  });
});

describe.concurrent("before anything is sent", () => {
  it("the prompt is shown before the question, as it was written and as one customer gets it", async () => {
    const [first = "", second = ""] = take(2);
    const file = await usersFile("asked.csv", [
      "email,fault",
      "nobody@example.com,none",
      `${first},a port`,
      `${second},x`,
    ]);
    const argv = ["runs", "start", "--users-file", file, "-p", "see {{fault}}\nthen mend it"];
    const asked = desk.begin(argv, { tty: true, env: { NO_COLOR: "1" } });
    await asked.waitFor(/Start 2 runs\?/);
    asked.type("n\r");
    const { stderr, stdout } = await asked.done;
    const shown = (stderr + stdout).replaceAll("\r", "");
    const prompt = "prompt     | see {{fault}}\n           | then mend it\n";
    expect(shown).toContain(`${prompt}example    ${first}\n           | see a port\n           | then mend it\n`);
    expect(shown.indexOf(prompt)).toBeLessThan(shown.indexOf("Start 2 runs?"));
    const dry = await desk.run([...argv, "--dry-run"]);
    expect(dry.stderr).toContain("| see a port\n");
  });

  it("a prompt that is typed is shown once before the question", async () => {
    const [first = "", second = ""] = take(2);
    const argv = ["runs", "start", "--user", first, "--user", second];
    const asked = desk.begin(argv, { tty: true, env: { NO_COLOR: "1" } });
    await asked.waitFor(/What should the agent repair\?/);
    asked.type("fix the port\r");
    await asked.waitFor(/Start 2 runs\?/);
    asked.type("n\r");
    const { stderr } = await asked.done;
    expect(stderr.match(/\| fix the port/g)).toHaveLength(1);
  });

  it("a dry run shows the plan and ends", async () => {
    const users = take(2);
    const result = await start([...users, users[0] ?? "", "nobody@example.com"], OK, "--dry-run", "--json");
    expect(result.code).toBe(0);
    expect(json(result).map(({ state }) => state)).toEqual(["startable", "startable", "duplicate", "unknown"]);
    expect(await rowsOf(users)).toHaveLength(0);
  });

  it("a job needs a confirmation, and the right count for many", async () => {
    const users = take(21);
    const file = await usersFile("many.txt", users);
    const argv = ["runs", "start", "--users-file", file, "-p", OK];
    const unasked = await desk.run(argv);
    expect(unasked).toMatchObject({ code: 2, stderr: expect.stringContaining("this needs a confirmation") as string });
    const uncounted = await desk.run([...argv, "--yes"]);
    expect(uncounted.code).toBe(2);
    expect(uncounted.stderr).toMatch(/21 targets are selected: --yes alone is not enough for more than 20/);
    expect(uncounted.stderr).toContain("--expect-count 21");
    expect((await desk.run([...argv, "--yes", "--expect-count", "20"])).code).toBe(2);
    const asked = desk.begin(argv, { tty: true });
    await asked.waitFor(/Start 21 runs\?/);
    asked.type("n\r");
    expect((await asked.done).code).toBe(130);
    expect(await rowsOf(users)).toHaveLength(0);
    expect((await desk.run(["jobs", "list", "--json"])).stdout).not.toContain("many.txt");
  });

  it("a job of which nothing can be sent is refused", async () => {
    const result = await start(["nobody@example.com", "ivan.stopped@example.com"], OK);
    expect(result.code).toBe(9);
    expect(result.stderr).toMatch(/none of 2 targets can be started; nothing was sent/);
  });

  it.each([
    [["--canary-pause"], /--canary-pause needs --canary N/],
    [["--canary-pause", "--canary", "1"], /--canary-pause asks, and there is no terminal to ask on/],
    [["--rate", "0"], /Give a number of starts a second/],
    [["--max-errors", "200%"], /Give a number of targets or a part of them/],
    [["--detach", "--wait"], /cannot be used with/],
    [["--interval", "5s"], /--interval is for one run/],
    [["--on-end", "true"], /--on-end needs --wait/],
    [["--shard", "5/4"], /Give the slice's number/],
  ])("%j is refused", async (flags, words) => {
    const result = await start(["alice@example.com", "bob@example.com"], OK, ...flags);
    expect(result.code).toBe(2);
    expect(result.stderr).toMatch(words);
  });

  it("skip is not for one target", async () => {
    const result = await start(["alice@example.com"], OK, "--on-conflict", "skip");
    expect(result).toMatchObject({ code: 2, stderr: expect.stringContaining("for several targets") as string });
  });
});

/** A run of somebody that stands still until it is told to go on: its process is stopped. */
async function startStandingStill(user: string, prompt: string) {
  const id = await desk.startRun(user, prompt);
  const pid = await eventually(async () => {
    const { stdout } = await desk.run(["runs", "logs", id]);
    const found = /starting pid=(\d+)/.exec(stdout)?.[1];
    if (found === undefined) throw new Error("it has not begun");
    return Number(found);
  });
  process.kill(pid, "SIGSTOP");
  return { id, goOn: () => process.kill(pid, "SIGCONT") };
}

/** Does a job to its end, and lets the run go on that was there before once the job has met it. */
async function meet(users: readonly string[], theirs: { readonly id: string; goOn(): void }, onConflict: string) {
  const given = ["-p", OK, "--yes", "--wait", "--on-conflict", onConflict, "-o", "jsonl"];
  const going = desk.begin(["runs", "start", ...users.flatMap((user) => ["--user", user]), ...given]);
  await going.waitFor(new RegExp(`^.*"type":"item".*${theirs.id}`, "m"));
  theirs.goOn();
  const { code, stderr, stdout } = await going.done;
  const shown = await desk.run(["jobs", "report", jobOf({ code, stderr, stdout }), "--no-refresh", "--json"]);
  const { items } = JSON.parse(shown.stdout) as { items: Record<string, unknown>[] };
  return { code, items };
}

describe.concurrent("a run in progress", () => {
  it("is left alone unless told, and named", async () => {
    const users = take(2);
    const theirs = await desk.startRun(users[0] ?? "", LONG);
    const result = await start(users, OK, "--wait", "--json");
    expect(result.code).toBe(0);
    expect(json(result)).toMatchObject([{ state: "skipped", runId: null }, { state: "completed" }]);
    expect(json(result)[0]?.["problem"]).toMatch(new RegExp(`^run ${theirs} of ada.admin@kilocode.ai is in progress`));
    const failing = await start([users[0] ?? "", ...take(1)], OK, "--on-conflict", "fail", "--json");
    expect(failing.code).toBe(9);
    expect(json(failing)).toMatchObject([{ state: "conflict" }, { state: "running" }]);
    await desk.run(["runs", "cancel", theirs, "--yes"]);
  });

  it("is followed in place of one of the job's own where that was asked for", async () => {
    const users = take(2);
    const theirs = await startStandingStill(users[0] ?? "", "drill [rehearse lines=25 interval=0.2 exit=2]");
    const { code, items } = await meet(users, theirs, "attach");
    expect(items).toMatchObject([
      { state: "failed", runId: theirs.id, attached: true, exitCode: 2 },
      { state: "completed", attached: false },
    ]);
    expect(code).toBe(9);
    expect(await desk.rows(users[0])).toHaveLength(1);
  });

  it("is waited for where that was asked for", async () => {
    const users = take(2);
    const theirs = await startStandingStill(users[0] ?? "", "drill [rehearse lines=25 interval=0.2]");
    const { code, items } = await meet(users, theirs, "wait");
    expect(code).toBe(0);
    const rows = await desk.rows(users[0]);
    expect(rows).toHaveLength(2);
    expect(rows.find(({ id }) => id === theirs.id)).toMatchObject({ status: "completed" });
    expect(items).toMatchObject([{ state: "completed", attached: false }, { state: "completed" }]);
  });
});

describe.concurrent("a job that was left to itself", () => {
  it("is shown as it is now, without anything being written into it", async () => {
    const users = take(2);
    const id = jobOf(await start(users, OK));
    const shown = async (...argv: string[]) =>
      JSON.parse((await desk.run(["jobs", ...argv, "--json"])).stdout) as { state: string; totals: object };
    let now = await shown("show", id);
    while (now.state !== "done") now = await shown("show", id);
    expect(now).toMatchObject({ succeeded: 2, totals: { completed: 2, running: 0 } });
    expect(await shown("report", id)).toMatchObject({ job: { state: "done" }, totals: { completed: 2 } });
    const before = await desk.run(["jobs", "show", id, "--no-refresh"]);
    expect(before.stdout).toMatch(/^ {2}running +2$/m);
    expect(before.stderr).toMatch(/^as of \d\d:\d\d: 2 runs in progress not polled \(--no-refresh\)$/m);
    const list = await desk.run(["jobs", "list", "--json", "--debug"]);
    expect(list.stderr).toBe("");
    expect(json(list).find((job) => job["id"] === id)).toMatchObject({ state: "open", totals: { running: 2 } });
    const without = await desk.run(["jobs", "show", id, "--debug"], {
      env: { KILOCLAW_ADMIN_TOKEN: undefined },
      tty: true,
    });
    expect(without.code).toBe(0);
    expect(without.stderr).toMatch(/as of \d\d:\d\d: 2 runs in progress not polled \(not logged in\)/);
    expect(without.stderr).not.toContain("debug: ");
  });

  it("is shown as of then where the platform gives no answer in time, or the machine has stopped", async () => {
    const [hung = "", stopped = "", done = ""] = take(3);
    const id = jobOf(await start([hung, stopped, done], LONG));
    const { remote } = desk.sandbox;
    await remote.setFault({ name: "instance-status", user: stopped, value: "stopped" });
    const machine = await desk.run(["jobs", "show", id, "--json"]);
    expect(machine.stderr).toMatch(/^as of .+: 1 run in progress not polled \(machine stopped, or no answer\)$/m);
    expect((await desk.rows(stopped))[0]).toMatchObject({ status: "running" });
    await remote.setFault({ name: "hang", user: hung, procedure: "getKiloCliRunStatus", delayMs: 30_000 });
    const late = await desk.run(["jobs", "report", id], { timing: { refreshMs: 500 } });
    expect(late.code).toBe(0);
    expect(late.stderr).toMatch(/^as of .+: [23] runs in progress not polled \(no answer within 0\.5 s\)$/m);
    await remote.clearFaults();
    for (const user of [hung, stopped, done]) await desk.run(["runs", "cancel", "--user", user, "--running", "--yes"]);
  });
});

describe.concurrent("a canary", () => {
  it("whose runs had not ended when the job was interrupted is waited for by whoever goes on with it", async () => {
    const users = take(4);
    const argv = [
      "runs",
      "start",
      ...users.flatMap((user) => ["--user", user]),
      "-p",
      "drill [rehearse lines=3 interval=1]",
    ];
    const interrupted = desk.begin([...argv, "--yes", "--canary", "2", "--wait"]);
    const [, id = ""] = await interrupted.waitFor(/^job ([\da-f-]{36})$/m);
    await eventually(async () => expect(await rowsOf(users)).toHaveLength(2));
    interrupted.stop();
    await interrupted.done;
    const resumed = await desk.run(["jobs", "resume", id, "--detach"]);
    expect(resumed.code).toBe(0);
    const rows = (await rowsOf(users)).toSorted((a, b) => a.started_at.getTime() - b.started_at.getTime());
    expect(rows).toHaveLength(4);
    const ended = Math.max(...rows.slice(0, 2).map(({ completed_at: at }) => at?.getTime() ?? Infinity));
    for (const { started_at: at } of rows.slice(2)) expect(at.getTime()).toBeGreaterThanOrEqual(ended);
  });

  it("that fails keeps everything else from being started; the job can be gone on with", async () => {
    const users = take(5);
    const result = await start(users, FAILING, "--canary", "2", "--wait", "--json");
    expect(result.code).toBe(9);
    expect(json(result).map(({ state }) => state)).toEqual(["failed", "failed", "waiting", "waiting", "waiting"]);
    expect(result.stderr).toMatch(/the canary's run [0-9a-f-]{36} did not complete: failed/);
    expect(await rowsOf(users)).toHaveLength(2);
    const resumed = await desk.run(["jobs", "resume", jobOf(result), "--wait", "--json"]);
    expect(json(resumed).map(({ state }) => state)).toEqual(Array.from({ length: 5 }, () => "failed"));
    expect(await rowsOf(users)).toHaveLength(5);
  });

  it("that completes lets the others follow, once it was asked where that was wanted", async () => {
    const users = take(3);
    const argv = ["runs", "start", ...users.flatMap((user) => ["--user", user]), "-p", OK, "--yes"];
    const asked = desk.begin([...argv, "--canary", "1", "--canary-pause"], { tty: true });
    await asked.waitFor(/Start the others\?/);
    expect(await rowsOf(users)).toHaveLength(1);
    asked.type("y\r");
    expect((await asked.done).code).toBe(0);
    expect(await rowsOf(users)).toHaveLength(3);
  });
});

describe.concurrent("a job that is interrupted", () => {
  it("starts nothing more, says how to go on, and loses nothing", async () => {
    const users = take(12);
    const file = await usersFile("stuck.txt", users);
    const argv = ["runs", "start", "--users-file", file, "-p", OK, "--yes", "--wait", "--rate", "4/s", "--json"];
    const running = desk.begin(argv);
    await running.waitFor(/^job /m);
    while ((await rowsOf(users)).length < 2);
    running.stop();
    const interrupted = await running.done;
    expect(interrupted.code).toBe(130);
    const id = jobOf(interrupted);
    expect(interrupted.stderr).toContain(`kiloclaw-admin jobs resume ${id}`);
    const started = await rowsOf(users);
    expect(started.length).toBeLessThan(12);
    const known = json(interrupted).flatMap(({ runId }) => (runId === null ? [] : [runId]));
    expect(known.toSorted()).toEqual(started.map(({ id: run }) => run).toSorted());

    await writeFile(file, "somebody.else@example.com\n");
    const refused = await desk.run(["jobs", "resume", id]);
    expect(refused.code).toBe(2);
    expect(refused.stderr).toMatch(/stuck\.txt has changed since the job was planned; nothing was sent/);
    expect(await rowsOf(users)).toHaveLength(started.length);

    const resumed = await desk.run(["jobs", "resume", id, "--as-planned", "--wait", "--rate", "100/s", "--json"]);
    expect(resumed.code).toBe(0);
    expect(await rowsOf(users)).toHaveLength(12);
    expect(new Set(json(resumed).map(({ state }) => state))).toEqual(new Set(["completed"]));

    const again = await desk.run(["jobs", "resume", id, "--as-planned"]);
    expect(again).toMatchObject({ code: 0, stderr: expect.stringContaining("nothing is left to do") as string });
    expect(await rowsOf(users)).toHaveLength(12);
  });

  it("is gone on with also where its file is gone", async () => {
    const users = take(2);
    const file = await usersFile("gone.txt", users);
    const result = await desk.run(["runs", "start", "--users-file", file, "-p", OK, "--yes"]);
    await rm(file);
    const resumed = await desk.run(["jobs", "resume", jobOf(result), "--wait"]);
    expect(resumed.code).toBe(0);
    expect(resumed.stderr).toMatch(/gone\.txt no longer exists; continuing with the targets as planned/);
  });

  it("stops as well when nobody reads any more what it starts, and can be gone on with", async () => {
    const users = take(8);
    const argv = ["runs", "start", ...users.flatMap((user) => ["--user", user]), "-p", OK, "--yes", "--rate", "2/m"];
    const running = desk.begin(argv);
    await running.waitFor(/running$/m);
    running.closeOutput();
    const closed = await running.done;
    expect(closed.code).toBe(9);
    const started = await rowsOf(users);
    expect(started.length).toBeLessThan(8);
    const resumed = await desk.run(["jobs", "resume", jobOf(closed), "--rate", "100/s", "--json"]);
    expect(resumed.code).toBe(0);
    expect(await rowsOf(users)).toHaveLength(8);
  });

  it.each(["resume", "retry-failed"])("needs a login to %s", async (verb) => {
    const result = await start([...take(1), "ivan.stopped@example.com"], OK);
    const shown = async () => (await desk.run(["jobs", "show", jobOf(result), "--no-refresh", "--json"])).stdout;
    const before = await shown();
    const refused = await desk.run(["jobs", verb, jobOf(result)], { env: { KILOCLAW_ADMIN_TOKEN: "" } });
    expect(refused).toMatchObject({ code: 4, stdout: "" });
    expect(refused.stderr).toMatch(/not logged in/);
    expect(await shown()).toBe(before);
  });

  it("goes on with nobody else's platform", async () => {
    const result = await start(take(2), OK);
    const elsewhere = await desk.run(["jobs", "resume", jobOf(result), "--host", "https://elsewhere.example.com"]);
    expect(elsewhere.code).toBe(2);
    expect(elsewhere.stderr).toMatch(
      /belongs to http:\/\/127\.0\.0\.1:\d+, not to https:\/\/elsewhere\.example\.com; nothing was sent/,
    );
  });
});

describe.concurrent("what went wrong", () => {
  it("is tried again as a job of its own, the rest is not", async () => {
    const users = take(3);
    const [bad = "", good = ""] = users;
    const file = await usersFile("mixed.csv", ["user,exit", `${bad},4`, `${good},0`, "nobody@example.com,0"]);
    const prompt = "drill [rehearse lines=1 interval=0.05 exit={{exit}}]";
    const first = await desk.run(["runs", "start", "--users-file", file, "-p", prompt, "--yes", "--wait", "--json"]);
    expect(json(first).map(({ state }) => state)).toEqual(["failed", "completed", "unplanned"]);
    const planned = await desk.run(["jobs", "retry-failed", jobOf(first), "--dry-run", "--json"]);
    expect(json(planned)).toMatchObject([{ userEmail: bad, state: "startable" }]);
    const again = await desk.run(["jobs", "retry-failed", jobOf(first), "--yes", "--wait", "--json"]);
    expect(json(again)).toMatchObject([{ userEmail: bad, state: "failed", exitCode: 4 }]);
    expect(jobOf(again)).not.toBe(jobOf(first));
    expect(await desk.rows(bad)).toHaveLength(2);
    expect(await desk.rows(good)).toHaveLength(1);
    const nothing = await desk.run(["jobs", "retry-failed", jobOf(first), "--also", "everything"]);
    expect(nothing).toMatchObject({ code: 2, stderr: expect.stringContaining("cancelled, lost, skipped") as string });
  });

  it("is told to a command for each run that ends", async () => {
    const users = take(2);
    const log = join(desk.configDir, "ended.txt");
    const command = `echo "$KILOCLAW_RUN_USER_EMAIL $KILOCLAW_RUN_STATUS $KILOCLAW_RUN_PROMPT" >> ${log}`;
    const result = await start(users, OK, "--wait", "--on-end", command);
    expect(result.code).toBe(0);
    const lines = (await readFile(log, "utf8")).trimEnd().split("\n").toSorted();
    expect(lines).toEqual(users.map((user) => `${user} completed ${OK}`));
  });
});

describe.concurrent("on a terminal", () => {
  it("a table follows what is under way, and goes away at the end", async () => {
    const users = take(3);
    const argv = ["runs", "start", ...users.flatMap((user) => ["--user", user]), "-p", OK, "--yes"];
    const running = desk.begin(argv, { tty: true, columns: 100 });
    await running.waitFor(/job [0-9a-f]{8}: \d of 3 done · .*running/);
    const result = await running.done;
    expect(result.code).toBe(0);
    expect(result.stdout).toMatch(/STATE.*RUN.*USER/);
    expect(result.stderr).toMatch(/✓\S* job [0-9a-f-]{36}: 3 completed/);
  });

  it("at 80 columns the table has all that tells how far it is, and what Ctrl-C does; elapsed times go on after a resume", async () => {
    const file = await usersFile("slow.txt", take(12));
    const terminal = { tty: true, columns: 80, rows: 24, env: { NO_COLOR: "1" } };
    const argv = ["runs", "start", "--users-file", file, "-p", LONG, "--rate", "1", "--yes"];
    const running = desk.begin(argv, terminal);
    await running.waitFor(/last start in about/);
    await running.waitFor(/ [3-9]s +step /);
    running.stop();
    const { stdout, stderr } = await running.done;
    const frames = new Screen(stdout).frames;
    const foot = frames.findLast((lines) => lines.join(" ").includes("last start"))?.join(" ");
    expect(foot).toMatch(
      /0 of 12 done · \d+ running, (?:\d+ starting, )?\d+ waiting · \d\.\d starts a second · last start in about \d+s/,
    );
    const [job = ""] = /(?<=jobs resume )[0-9a-f-]{36}/.exec(stderr) ?? [];
    expect(foot).toContain(
      `Ctrl-C is safe: no more starts, and the runs go on; resume with kiloclaw-admin jobs resume ${job.slice(0, 8)}`,
    );
    for (const line of frames.flat()) expect(line.length).toBeLessThan(80);

    const again = desk.begin(["jobs", "resume", job, "--yes"], terminal);
    await again.waitFor(/STATE[^]*?running/);
    again.stop();
    const table = new Screen((await again.done).stdout).frames.find((lines) => lines.join(" ").includes(" running, "));
    const row = table?.find((line) => line.trimStart().startsWith("running"));
    // The platform's clock is known to the second, each time anew.
    expect([row, table]).toEqual([expect.stringMatching(/ (?:[2-9]|\d\d+)s\b/), expect.anything()]);
  });
});

describe.concurrent("jobs", () => {
  it("that are not there are said so", async () => {
    expect(await desk.run(["jobs", "show", "00000000"])).toMatchObject({ code: 5 });
    expect(await desk.run(["jobs", "show", "nonsense"])).toMatchObject({ code: 2 });
    const empty = await desk.run(["jobs", "list"], { configDir: undefined });
    expect(empty).toMatchObject({ code: 0, stdout: "", stderr: expect.stringContaining("no jobs") as string });
  });

  it("are shown with how they were done", async () => {
    const result = await start(take(2), OK, "--concurrency", "3", "--max-errors", "50%");
    const shown = await desk.run(["jobs", "show", jobOf(result).slice(0, 8)]);
    expect(shown.code).toBe(0);
    expect(shown.stdout).toMatch(/^job +[0-9a-f-]{36}$/m);
    expect(shown.stderr).toMatch(/3 at a time, stopping after more than 50% errors/);
  });
});
