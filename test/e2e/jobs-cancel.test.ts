/** A job that somebody looks at, and calls off, from another terminal. */
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { isCalledOff } from "../../src/bulk/job/called-off.ts";
import { begin, openDesk, type Desk, type Result } from "../harness.ts";
import { eventually } from "../support/eventually.ts";

const OK = "drill [rehearse lines=1 interval=0.05]";
const LONG = "drill [rehearse lines=600 interval=0.2]";

let desk: Desk;
beforeAll(async () => {
  desk = await openDesk({ extraUsers: 60 });
});
afterAll(() => desk.close());

const customers = (count: number) => Array.from({ length: count }, () => desk.customer());
const argvOf = (users: readonly string[], prompt: string, ...more: string[]) => [
  "runs",
  "start",
  ...users.flatMap((user) => ["--user", user]),
  "-p",
  prompt,
  "--yes",
  ...more,
];
const json = (result: Result) => JSON.parse(result.stdout) as Record<string, unknown>[];
const rowsOf = async (users: readonly string[]) => (await Promise.all(users.map((user) => desk.rows(user)))).flat();

/** A job under way, in a terminal of its own. */
async function working(users: readonly string[], prompt: string, ...more: string[]) {
  const job = begin(argvOf(users, prompt, ...more), { configDir: desk.configDir, env: desk.env });
  const [, id = ""] = await job.waitFor(/^job ([\da-f-]{36})$/m);
  return { job, id };
}

describe("jobs cancel", () => {
  it("has the job's process start nothing more and end, then cancels what is in progress; resume starts the rest", async () => {
    const users = customers(6);
    const { job, id } = await working(users, LONG, "--max-running", "2", "--wait");
    await eventually(async () => expect(await rowsOf(users)).toHaveLength(2));
    const cancelled = await desk.run(["jobs", "cancel", id, "--yes", "--ticket", "INC-9", "--json"]);
    expect(cancelled.code).toBe(0);
    expect(json(cancelled).map(({ status }) => status)).toEqual(["cancelled", "cancelled"]);
    expect(cancelled.stderr).toContain(`4 not started; to start them after all: kiloclaw-admin jobs resume ${id}`);
    const ended = await job.done;
    expect(ended.code).toBe(9);
    expect(ended.stderr).toContain("nothing more was started: it was cancelled with jobs cancel");
    const rows = await rowsOf(users);
    expect(rows.map(({ status }) => status)).toEqual(["cancelled", "cancelled"]);
    const log = await desk.run(["audit", "log", "--run", String(rows[0]?.id), "--json"]);
    expect(json(log)).toMatchObject([{ action: "start" }, { action: "cancel", ticket: "INC-9" }]);

    expect(await isCalledOff(join(desk.configDir, "state"), id)).toBe(true);
    const shown = await desk.run(["jobs", "show", id, "--no-refresh"]);
    expect(shown.stderr).toContain("it was cancelled with jobs cancel");
    const resumed = await desk.run(["jobs", "resume", id, "--detach", "--max-running", "10"]);
    expect(resumed.stderr).toContain(`job ${id} was cancelled; it goes on now`);
    expect(await isCalledOff(join(desk.configDir, "state"), id)).toBe(false);
    expect(await rowsOf(users)).toHaveLength(6);
    // Once more, now that no process works on it.
    const again = await desk.run(["jobs", "stop", id, "--yes", "--json"]);
    expect(again.code).toBe(0);
    expect(json(again)).toHaveLength(4);
    expect((await rowsOf(users)).map(({ status }) => status)).toEqual(Array(6).fill("cancelled"));
  });

  it("says what it would do with --dry-run, and asks otherwise: declined, nothing is changed", async () => {
    const users = customers(2);
    const { job, id } = await working(users, LONG, "--max-running", "1", "--wait");
    await eventually(async () => expect(await rowsOf(users)).toHaveLength(1));
    const dry = await desk.run(["jobs", "cancel", id, "--dry-run"]);
    expect(dry.stderr).toContain("dry run: 1 waiting would not be started, 1 run in progress would be cancelled");
    const asking = begin(["jobs", "cancel", id], { configDir: desk.configDir, env: desk.env, tty: true });
    await asking.waitFor(/Cancel this job: start none of 1 waiting, and cancel 1 run in progress\?/);
    asking.type("n\r");
    expect((await asking.done).code).not.toBe(0);
    const unasked = await desk.run(["jobs", "cancel", id]);
    expect(unasked.code).toBe(2);
    expect(await isCalledOff(join(desk.configDir, "state"), id)).toBe(false);
    expect((await rowsOf(users)).map(({ status }) => status)).toEqual(["running"]);
    await desk.run(["jobs", "cancel", id, "--yes"]);
    await job.done;
  });

  it("changes nothing without the ticket that the profile requires", async () => {
    const { job, id } = await working(customers(1).concat(desk.customer()), LONG, "--max-running", "1", "--wait");
    expect((await desk.run(["config", "set", "requireTicket", "true"])).code).toBe(0);
    const refused = await desk.run(["jobs", "cancel", id, "--yes"]);
    expect((await desk.run(["config", "unset", "requireTicket"])).code).toBe(0);
    expect(refused.code).toBe(2);
    expect(refused.stderr).toContain("requires a ticket; nothing was sent");
    expect(await isCalledOff(join(desk.configDir, "state"), id)).toBe(false);
    expect((await desk.run(["jobs", "cancel", id, "--yes"])).code).toBe(0);
    await job.done;
    // Of a job that was cancelled the record says so, and nothing is left open.
    const log = await desk.run(["audit", "log", "--op", id, "--json"]);
    expect(json(log)).toMatchObject([{ decision: "cancel-job" }]);
    expect(json(await desk.run(["audit", "log", "--open", "--json"]))).toEqual([]);
  });

  it("changes nothing where the job is over", async () => {
    const users = customers(1);
    const { stderr } = await desk.run(argvOf(users, OK, "--user", desk.customer(), "--wait"));
    const id = /^job ([\da-f-]{36})$/m.exec(stderr)?.[1] ?? "";
    const result = await desk.run(["jobs", "cancel", id, "--yes"]);
    expect(result.code).toBe(0);
    expect(result.stderr).toContain("nothing of it is waiting or in progress; nothing was changed");
    expect(await isCalledOff(join(desk.configDir, "state"), id)).toBe(false);
  });
});

describe("jobs watch", () => {
  it("shows what another process does, and ends with the job and as it does", async () => {
    const users = customers(4);
    const { job, id } = await working(
      users,
      "drill [rehearse lines=4 interval=0.3 exit=3]",
      "--max-running",
      "2",
      "--wait",
    );
    const watched = await desk.run(["jobs", "watch", id.slice(0, 8)]);
    const ended = await job.done;
    expect(ended.code).toBe(9);
    expect(watched.code).toBe(9);
    expect(watched.stderr).toContain(`job ${id}: 4 failed`);
    for (const { id: run } of await rowsOf(users)) expect(watched.stdout).toMatch(new RegExp(`${run}.*failed`));
    const after = await desk.run(["jobs", "watch", id, "--json"]);
    expect(json(after).map(({ state }) => state)).toEqual(Array(4).fill("failed"));
  });

  it("is a table on a terminal; q leaves with 8, Ctrl-C too leaves the job alone", async () => {
    const users = customers(2);
    const { job, id } = await working(users, LONG, "--wait");
    const one = begin(["jobs", "watch", id], { configDir: desk.configDir, env: desk.env, tty: true });
    await one.waitFor(/0 of 2 done/);
    await eventually(async () => expect(await rowsOf(users)).toHaveLength(2));
    one.type("q");
    expect((await one.done).code).toBe(8);
    const other = begin(["jobs", "watch", id], { configDir: desk.configDir, env: desk.env, tty: true });
    await other.waitFor(/0 of 2 done/);
    other.stop();
    const { code, stderr } = await other.done;
    expect(code).toBe(130);
    expect(stderr).toContain("the job goes on");
    expect((await rowsOf(users)).map(({ status }) => status)).toEqual(["running", "running"]);
    await desk.run(["jobs", "cancel", id, "--yes"]);
    // Everything was started, and not everything seen to its end.
    expect((await job.done).code).toBe(8);
  });
});
