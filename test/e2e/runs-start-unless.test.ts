/** `--unless-started-since`: safe to run again, from anywhere, without anything on this machine's disk. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openDesk, type Desk, type Result } from "../harness.ts";
import { BRIEF_SEARCH } from "../support/timing.ts";

const LONG = "[rehearse lines=500 interval=1]";
const BRIEF = "[rehearse lines=1]";

let desk: Desk;
let otto: string;
const homes: string[] = [];
beforeAll(async () => {
  desk = await openDesk({ extraUsers: 80 });
  otto = await desk.sandbox.remote.token("otto.oncall@kilocode.ai");
});
afterAll(async () => {
  await Promise.all(homes.map((home) => rm(home, { recursive: true, force: true })));
  await desk.close();
});

/** Runs a command on a machine that has never run one, as another admin where a token is given. */
async function elsewhere(argv: readonly string[], token?: string): Promise<Result> {
  const home = await mkdtemp(join(tmpdir(), "kiloclaw-home-"));
  homes.push(home);
  const env = token === undefined ? {} : { KILOCLAW_ADMIN_TOKEN: token };
  return desk.run(argv, { configDir: home, env });
}

const start = (user: string, prompt: string, since = "1h") => [
  "runs",
  "start",
  "-u",
  user,
  "-p",
  prompt,
  "--unless-started-since",
  since,
];

describe("a single start", () => {
  it("is sent once, however often and wherever a loop over customers is run: each time the same IDs come out", async () => {
    const users = [desk.customer(), desk.customer(), desk.customer()];
    const since = new Date().toISOString();
    const ids: string[][] = [];
    for (let time = 0; time < 3; time++) {
      const printed: string[] = [];
      for (const user of users) {
        const { code, stdout, stderr } = await elsewhere([...start(user, BRIEF, since), "-q"]);
        expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
        printed.push(stdout.trim());
      }
      ids.push(printed);
    }
    expect(ids).toHaveLength(3);
    for (const [number, user] of users.entries()) {
      expect((await desk.rows(user)).map(({ id }) => id)).toEqual([ids[0]?.[number]]);
    }
    expect(ids[1]).toEqual(ids[0]);
    expect(ids[2]).toEqual(ids[0]);
  });

  it("is another admin's run, too: says whose, since when, and that nothing was sent; --watch follows it", async () => {
    const user = desk.customer();
    const id = await desk.startRun(user, "[rehearse lines=1 exit=3]", otto);
    const { code, stdout, stderr } = await elsewhere(start(user, "[rehearse lines=1 exit=3]"));
    expect({ code, stdout }).toEqual({ code: 0, stdout: `${id}\n` });
    expect(stderr).toMatch(/already started by otto\.oncall@kilocode\.ai at \d{4}-\d\d-\d\dT/);
    const json = await elsewhere([...start(user, "[rehearse lines=1 exit=3]"), "--json"]);
    expect(JSON.parse(json.stdout)).toMatchObject({ id, initiatedByAdminEmail: "otto.oncall@kilocode.ai" });
    const watched = await elsewhere([...start(user, "[rehearse lines=1 exit=3]"), "--watch"]);
    expect(watched.code).toBe(3);
    expect(await desk.rows(user)).toHaveLength(1);
  });

  it("is started where the prompt is another one, the run older, or the customer's own", async () => {
    const user = desk.customer();
    await desk.run(["runs", "start", "-u", user, "-p", BRIEF, "--watch"]);
    expect((await elsewhere([...start(user, `${BRIEF} `), "--watch"])).code).toBe(0);
    expect(await desk.rows(user)).toHaveLength(2);
  });

  it("looks as far back as it is told", async () => {
    const old = (await desk.rows("fleet")).find(
      ({ user_email, initiated_by_admin_id, started_at, prompt }) =>
        initiated_by_admin_id !== null && prompt !== "" && user_email !== null && started_at < new Date("2026-09-01"),
    );
    if (!old) throw new Error("the sandbox has no old run of an admin's");
    const day = 86_400_000;
    const before = new Date(old.started_at.getTime() - day).toISOString();
    const after = new Date(old.started_at.getTime() + day).toISOString();
    const user = String(old.user_email);
    const taken = await elsewhere([...start(user, old.prompt, before), "-q"]);
    expect(taken).toMatchObject({ code: 0, stdout: `${old.id}\n` });
    const started = await elsewhere([...start(user, old.prompt, after), "-q"]);
    expect(started.code).toBe(0);
    expect(started.stdout).not.toBe(`${old.id}\n`);
  });

  it("is not sent to a machine that is down where the run is there already", async () => {
    const user = desk.customer();
    const id = await desk.startRun(user, BRIEF);
    await desk.sandbox.remote.setFault({ name: "instance-status", value: "stopped", user });
    const { code, stdout } = await elsewhere([...start(user, BRIEF), "-q"]).finally(() =>
      desk.sandbox.remote.clearFaults(),
    );
    expect({ code, stdout }).toEqual({ code: 0, stdout: `${id}\n` });
  });

  it("of two admins on two machines at once is one run, and both print its ID", async () => {
    const users = Array.from({ length: 8 }, () => desk.customer());
    const results = await Promise.all(
      users.map((user) =>
        Promise.all([elsewhere([...start(user, LONG), "-q"]), elsewhere([...start(user, LONG), "-q"], otto)]),
      ),
    );
    for (const [number, user] of users.entries()) {
      const [row, ...more] = await desk.rows(user);
      expect(more).toEqual([]);
      for (const result of results[number] ?? []) expect(result).toMatchObject({ code: 0, stdout: `${row?.id}\n` });
    }
  });

  it("ends with 7 where this machine has a start of which nobody knows what became", async () => {
    const user = desk.customer();
    await desk.sandbox.remote.setFault({ name: "insert-failure", user, count: 1 });
    const first = await desk.run(["runs", "start", "-u", user, "-p", BRIEF, "-q"], { timing: BRIEF_SEARCH });
    expect(first.code).toBe(7);
    const { code, stderr } = await desk.run([...start(user, BRIEF), "-q"]);
    expect(code).toBe(7);
    expect(stderr).toContain("nothing was sent now");
    expect(await desk.rows(user)).toEqual([]);
  });

  it("is on record as a decision, since a start without a row is not seen", async () => {
    const user = desk.customer();
    const { stdout } = await desk.run([...start(user, BRIEF), "-q"]);
    const log = await desk.run(["audit", "log", "--run", stdout.trim(), "--json"]);
    expect(JSON.parse(log.stdout)).toMatchObject([{ action: "start", decision: "unless-started-since" }]);
  });

  it("sends nothing where it cannot be looked: 11, or 4 where the token is refused", async () => {
    const user = desk.customer();
    await desk.sandbox.remote.setFault({ name: "500", procedure: "listAllCliRuns" });
    const { code, stdout } = await elsewhere(start(user, BRIEF)).finally(() => desk.sandbox.remote.clearFaults());
    expect({ code, stdout }).toEqual({ code: 11, stdout: "" });
    expect((await elsewhere(start(user, BRIEF), "no-token")).code).toBe(4);
    expect(await desk.rows(user)).toEqual([]);
  });

  it.each(["2099-01-01T00:00Z", "yesterday", "1790000000"])("refuses %s, and sends nothing", async (since) => {
    const user = desk.customer();
    const { code, stderr } = await elsewhere(start(user, BRIEF, since));
    expect(code).toBe(2);
    expect(stderr).toContain(since.startsWith("2099") ? "is in the future" : since);
    expect(await desk.rows(user)).toEqual([]);
  });
});

describe("a job", () => {
  it("takes what is there, starts the rest, and says which is which; run again it starts nothing", async () => {
    const users = Array.from({ length: 6 }, () => desk.customer());
    const there = await Promise.all(users.slice(0, 2).map((user) => desk.startRun(user, BRIEF, otto)));
    const job = [
      "runs",
      "start",
      ...users.flatMap((user) => ["-u", user]),
      "-p",
      BRIEF,
      "--unless-started-since",
      "1h",
      "--yes",
      "--wait",
    ];
    const first = await elsewhere([...job, "--json"]);
    expect(first.code).toBe(0);
    const items = JSON.parse(first.stdout) as { runId: string; attached: boolean; state: string }[];
    expect(items.map(({ attached }) => attached)).toEqual([true, true, false, false, false, false]);
    expect(items.slice(0, 2).map(({ runId }) => runId)).toEqual(there);
    expect(items.map(({ state }) => state)).toEqual(Array(6).fill("completed"));
    const again = await elsewhere([...job, "--json"], otto);
    expect(again.code).toBe(0);
    expect((JSON.parse(again.stdout) as typeof items).map(({ runId }) => runId)).toEqual(
      items.map(({ runId }) => runId),
    );
    const left = await elsewhere([...job.slice(0, -1), "--detach", "--json"]);
    expect(left.code).toBe(0);
    const attached = (JSON.parse(left.stdout) as typeof items).filter((item) => item.attached);
    expect(attached.length).toBeGreaterThanOrEqual(2);
    for (const { state } of attached) expect(state).toBe("completed");
    for (const user of users) expect(await desk.rows(user)).toHaveLength(1);
  });

  it("goes on with what it was told when it is resumed", async () => {
    const [first, second] = [desk.customer(), desk.customer()];
    const failing = "[rehearse lines=1 exit=1]";
    const argv = ["runs", "start", "-u", first, "-u", second, "-p", failing, "--unless-started-since", "1h", "--yes"];
    const { stderr } = await desk.run([...argv, "--concurrency", "1", "--canary", "1", "--wait"]);
    const job = /job ([\da-f-]{36})/.exec(stderr)?.[1] ?? "";
    const theirs = await desk.startRun(second, failing, otto);
    const resumed = await desk.run(["jobs", "resume", job, "--json", "--wait"]);
    expect((await desk.rows(second)).map(({ id }) => id)).toEqual([theirs]);
    expect(resumed.stdout).toContain(theirs);
    // What failed has been started since, too: to try it again starts it again.
    await desk.run(["jobs", "retry-failed", job, "--yes", "--wait"]);
    expect(await desk.rows(second)).toHaveLength(2);
  });
});
