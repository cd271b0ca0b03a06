/** `audit verify` and `audit list` against a platform: what the journal and the audit log say of each other. */
import { randomUUID } from "node:crypto";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { Journal, type Invocation } from "../../src/journal/journal.ts";
import { promptFacts } from "../../src/journal/record.ts";
import { openDesk, type Desk, type Result, type RunOptions } from "../harness.ts";
import { BRIEF_FAREWELL } from "../support/timing.ts";

const QUICK = "[rehearse lines=1]";
const LONG = "[rehearse lines=1 delay=60]";
const ADA = "a0000000-0000-4000-8000-000000000001";

let desk: Desk;
beforeAll(async () => {
  desk = await openDesk({ extraUsers: 100 });
});
afterAll(() => desk.close());

let configDir: string;
/** What was done for tests before is none of this one's. */
let begun: string;
beforeEach(async () => {
  configDir = await mkdtemp(join(tmpdir(), "kiloclaw-verify-"));
  begun = new Date().toISOString();
});
afterEach(async () => {
  await desk.sandbox.remote.clearFaults();
  await rm(configDir, { recursive: true });
});

/** Somebody whose instance nobody else uses. */
const customer = () => desk.customer();
const cli = (argv: readonly string[], options: RunOptions = {}) => desk.run(argv, { configDir, ...options });
const start = async (user: string, prompt = QUICK, ...more: string[]) => {
  const { code, stdout } = await cli(["runs", "start", "-u", user, "-p", prompt, "-q", ...more]);
  expect(code).toBe(0);
  return stdout.trim();
};
const verify = (...argv: string[]) => cli(["audit", "verify", "--since", begun, ...argv]);
const rows = ({ stdout }: Result) => JSON.parse(stdout) as Record<string, unknown>[];
const operations = (result: Result) => rows(result).filter(({ subject }) => subject === "operation");

async function journals(): Promise<string[]> {
  const folder = join(configDir, "state", "journal");
  const names = await readdir(folder, { recursive: true });
  return names.filter((name) => name.endsWith(".jsonl")).map((name) => join(folder, name));
}

/** Who the platform takes us for, and where it keeps somebody's instance. */
async function target(user: string) {
  const { id: instanceId } = await desk.sandbox.remote.instance(user);
  const [found] = rows(await cli(["users", "find", user, "--json"]));
  return { userId: String(found?.id), instanceId };
}

/** Writes an intent of our own past the command line, some time ago, and leaves its journal open. */
async function begin(
  about: { userId: string; instanceId: string },
  { ageMs = 0, prompt = QUICK, ...more }: Partial<Invocation> & Omit<Outcome, "runId" | "result"> = {},
): Promise<{ journal: Journal; op: string }> {
  const op = randomUUID();
  const at = new Date(Date.now() - ageMs);
  const invocation: Invocation = {
    action: "start",
    profile: "default",
    origin: desk.sandbox.url,
    adminId: ADA,
    ticket: null,
    reason: null,
    tool: "0.0.0-test",
    pid: process.pid,
    ...more,
  };
  const clock = { now: () => at, monotonicMs: () => 0 };
  const journal = await Journal.create(join(configDir, "state"), invocation, { clock });
  await journal.append({ kind: "intent", op, ...about, runId: null, ...promptFacts(prompt), knownRunIds: [] });
  return { journal, op };
}

/** Writes an intent, and perhaps its outcome. */
async function writeDown(
  about: { userId: string; instanceId: string },
  { runId, result, ...more }: Partial<Invocation> & Outcome = {},
): Promise<string> {
  const { journal, op } = await begin(about, more);
  if (result !== undefined) {
    await journal.append({ kind: "outcome", op, runId: runId ?? null, result, settled: true, code: null });
  }
  await journal.end();
  return op;
}
interface Outcome {
  readonly ageMs?: number;
  readonly runId?: string;
  readonly result?: string;
  readonly prompt?: string;
}

describe("audit verify", () => {
  it("is content with starts and cancels of this machine, however they came to be known", async () => {
    const [quick, lost, cancelled, busy, colleagues] = [customer(), customer(), customer(), customer(), customer()];
    await start(quick);
    await desk.sandbox.remote.setFault({ name: "lost-answer", procedure: "startKiloCliRun", count: 1, user: lost });
    const found = await start(lost);
    const run = await start(cancelled, LONG);
    expect((await cli(["runs", "cancel", run, "--yes"])).code).toBe(0);
    await start(busy, LONG);
    expect((await cli(["runs", "start", "-u", busy, "-p", "x"])).code).toBe(6);
    // What a colleague did is his own journal's.
    await desk.startRun(colleagues, QUICK, await desk.sandbox.remote.token("otto.oncall@kilocode.ai"));
    const result = await verify("--json");
    expect(operations(result).map(({ verdict, action }) => [verdict, action])).toEqual([
      ["verified", "start"],
      ["verified", "start"],
      ["verified", "start"],
      ["verified", "cancel"],
      ["verified", "start"],
    ]);
    expect(operations(result)).toContainEqual(expect.objectContaining({ runId: found, finding: false }));
    expect(result.code).toBe(0);
    const table = await verify();
    expect(table).toMatchObject({ code: 0, stdout: "" });
    expect(table.stderr).toMatch(/5 journals: 5 ended\n5 operations: 5 verified\n/);
  });

  it("finds a start of ours that was made elsewhere, and says how that can be", async () => {
    const user = customer();
    await start(customer());
    const run = await desk.startRun(user, QUICK);
    const result = await verify("--json");
    expect(result.code).toBe(9);
    expect(operations(result).filter(({ finding }) => finding)).toEqual([
      expect.objectContaining({ verdict: "not-in-journal", action: "start", runId: run, op: null }),
    ]);
    expect(result.stdout).toContain("done elsewhere (web app, another machine), or its journal is gone");
    expect((await verify()).stdout).toMatch(new RegExp(`not-in-journal +start +${run}`));
  });

  it("finds a journal's file that is gone, by the platform's records of what it held", async () => {
    const run = await start(customer(), LONG);
    expect((await cli(["runs", "cancel", run, "--yes"])).code).toBe(0);
    const [first] = (await journals()).filter((path) => path.includes("-start-"));
    await rm(first ?? "");
    expect(operations(await verify("--json"))).toMatchObject([
      { verdict: "verified", action: "cancel", runId: run },
      { verdict: "not-in-journal", action: "start", runId: run, finding: true },
    ]);
  });

  it("finds an operation whose audit record could not be written", async () => {
    const user = customer();
    await desk.sandbox.remote.setFault({ name: "audit-failure", procedure: "startKiloCliRun", count: 1, user });
    const run = await start(user);
    const result = await verify("--json");
    expect(result.code).toBe(9);
    expect(operations(result)).toMatchObject([{ verdict: "no-audit-record", runId: run, finding: true }]);
  });

  it("finds a run of ours that neither has", async () => {
    const user = customer();
    await desk.sandbox.remote.setFault({ name: "audit-failure", procedure: "startKiloCliRun", count: 1, user });
    const run = await desk.startRun(user, QUICK);
    expect(operations(await verify("--json"))).toMatchObject([
      { verdict: "not-in-journal", runId: run, auditId: null },
    ]);
  });

  it("names what does not match: instance, admin, length", async () => {
    const [user, other] = [customer(), customer()];
    const run = await desk.startRun(user, QUICK);
    const { userId } = await target(user);
    const { instanceId } = await target(other);
    const wrong = { runId: run, result: "started", prompt: "another", adminId: "somebody" };
    await writeDown({ userId, instanceId }, wrong);
    const result = await verify("--json");
    expect(result.code).toBe(9);
    const [found] = operations(result);
    expect(found).toMatchObject({ verdict: "mismatch", runId: run });
    expect(found?.detail).toMatch(
      /instance: .*; admin: somebody in the journal, .*; prompt's length: 7 in the journal/,
    );
  });

  it("calls an end that nobody knows a finding only when it is old", async () => {
    const about = await target(customer());
    const old = await writeDown(about, { ageMs: 20 * 60_000 });
    const fresh = await writeDown(about);
    const result = await cli(["audit", "verify", "--since", "1h", "--json"]);
    expect(operations(result).filter(({ op }) => op !== null)).toMatchObject([
      { verdict: "open", op: old, finding: true },
      { verdict: "open", op: fresh, finding: false },
    ]);
    expect(result.code).toBe(9);
  });

  it("takes a start without row and record, that a person closed, for consistent", async () => {
    const user = customer();
    await desk.sandbox.remote.setFault({ name: "insert-failure", procedure: "startKiloCliRun", count: 1, user });
    const starting = desk.begin(["runs", "start", "-u", user, "-p", QUICK], { configDir, timing: BRIEF_FAREWELL });
    await starting.waitFor(/does not say whether the run started/);
    starting.stop("SIGINT");
    expect((await starting.done).code).toBe(130);
    expect(operations(await verify("--json"))).toMatchObject([{ verdict: "open", finding: false, runId: null }]);
    expect((await cli(["runs", "reconcile", "--close", "--yes"])).code).toBe(0);
    const result = await verify("--json");
    expect(operations(result)).toMatchObject([{ verdict: "nothing-to-compare", finding: false }]);
    expect(result.code).toBe(0);
  });

  it("connects a run that turned up with the operation it may be of", async () => {
    const user = customer();
    const op = await writeDown(await target(user));
    const run = await desk.startRun(user, QUICK);
    const found = operations(await verify("--json")).find(({ finding }) => finding);
    expect(found).toMatchObject({ verdict: "not-in-journal", runId: run });
    expect(found?.detail).toBe(`perhaps what became of operation ${op}, which is open`);
  });

  it("waits with its verdict while a command of this machine is at it", async () => {
    const user = customer();
    const { journal } = await begin(await target(user));
    const run = await desk.startRun(user, QUICK);
    const meanwhile = await verify("--json");
    expect(operations(meanwhile)).toMatchObject([{ verdict: "under-way", finding: false }]);
    expect(meanwhile.code).toBe(0);
    // As if its process had been killed before it learned of its run.
    await journal.close();
    expect(operations(await verify("--json"))).toMatchObject([
      { verdict: "open", finding: false },
      { verdict: "not-in-journal", runId: run },
    ]);
  });

  it("leaves other platforms' operations out, and says so", async () => {
    await writeDown(await target(customer()), {
      origin: "https://app.kilo.ai",
      runId: randomUUID(),
      result: "started",
    });
    const { code, stderr } = await verify();
    expect(code).toBe(0);
    expect(stderr).toContain("1 journal: 1 ended\n0 operations\n1 operation on other platforms: not compared");
  });

  it("goes on past a damaged journal, whose operations then show as missing", async () => {
    const run = await start(customer());
    const [path = ""] = await journals();
    const bytes = await readFile(path);
    bytes[20] = (bytes[20] ?? 0) ^ 1;
    await writeFile(path, bytes);
    const intact = await start(customer());
    const result = await verify("--json");
    expect(result.code).toBe(9);
    expect(rows(result)).toMatchObject([
      { subject: "journal", verdict: "damaged", finding: true },
      { subject: "journal", verdict: "ended" },
      { verdict: "verified", runId: intact },
      { verdict: "not-in-journal", runId: run },
    ]);
    expect((await verify()).stderr).toContain("record 0, at byte 0");
  });

  it("accepts that a start saw another's run, and finds a run that two starts have as their own", async () => {
    const user = customer();
    const run = await start(user);
    const seen = await writeDown(await target(user), { runId: run, result: "alike" });
    const fine = await verify("--json");
    expect(fine.code).toBe(0);
    expect(operations(fine)).toMatchObject([
      { verdict: "verified", runId: run },
      { verdict: "nothing-to-compare", op: seen, finding: false },
    ]);
    const claimed = await writeDown(await target(user), { runId: run, result: "found" });
    const result = await verify("--json");
    expect(result.code).toBe(9);
    const found = operations(result).filter(({ finding }) => finding);
    expect(found).toMatchObject([
      { verdict: "mismatch", runId: run },
      { verdict: "mismatch", op: claimed },
    ]);
    expect(found[0]?.detail).toBe(`another start has the same run on record as its own: operation ${claimed}`);
  });

  it("knows its own cancel by the answer that was lost, which leaves no audit record", async () => {
    const user = customer();
    const run = await start(user, LONG);
    await desk.sandbox.remote.setFault({
      name: "worker",
      value: "lost-answer",
      procedure: "cancelKiloCliRun",
      count: 1,
      user,
    });
    expect((await cli(["runs", "cancel", run, "--yes"])).code).toBe(0);
    const result = await verify("--json");
    expect(operations(result)).toMatchObject([
      { verdict: "verified", action: "start" },
      { verdict: "nothing-to-compare", action: "cancel", runId: run, finding: false },
    ]);
    expect(result.stdout).toContain("its answer was lost (INTERNAL_SERVER_ERROR)");
    expect(result.code).toBe(0);
  });

  it("gives no verdict on what the platform does not give back", async () => {
    const user = customer();
    const about = await target(user);
    const first = await desk.startRun(user, LONG);
    await writeDown(about, { runId: first, result: "started", prompt: LONG, ageMs: 3 * 60_000 });
    // A start and a cancel each: fifty newer records.
    await cli(["runs", "cancel", first, "--yes"]);
    for (let n = 0; n < 25; n++) {
      const run = await start(user, LONG);
      expect((await cli(["runs", "cancel", run, "--yes"])).code).toBe(0);
    }
    const found = operations(await cli(["audit", "verify", "--since", "1h", "--json"])).filter(
      ({ userId }) => userId === about.userId,
    );
    expect(found.find(({ runId, action }) => runId === first && action === "start")).toMatchObject({
      verdict: "unchecked",
      finding: false,
    });
    expect(found.filter(({ verdict }) => verdict === "verified").length).toBeGreaterThan(40);
    expect(found.filter(({ finding }) => finding)).toEqual([]);

    const listed = await cli(["audit", "list", "-u", user, "--since", "1h", "-q"]);
    expect(listed.stdout.trim().split("\n")).toHaveLength(50);
    expect(listed.stderr).toContain("there may be older records");
    expect((await cli(["audit", "list", "-u", user, "-q", "-L", "3"])).stderr).toBe("");
  });
});

describe("audit list --since", () => {
  it("covers all users of whom a run was started since then", async () => {
    const [one, two] = [await start(customer()), await desk.startRun(customer(), QUICK)];
    const { code, stdout } = await cli(["audit", "list", "--since", begun, "--json"]);
    expect(code).toBe(0);
    expect((JSON.parse(stdout) as { runId: string }[]).map(({ runId }) => runId)).toEqual([two, one]);
    const cut = await cli(["audit", "list", "--since", begun, "-L", "1"]);
    expect(cut.stderr).toContain("1 of 2: --limit 0 for all");
  });

  it("says whose instance it was, with no request more", async () => {
    const user = customer();
    const run = await start(user);
    for (const argv of [
      ["--since", begun],
      ["--user", user],
      ["--run", run],
    ]) {
      const before = (await desk.requests("admin/api/users")).length;
      const { stdout } = await cli(["audit", "list", ...argv, "--json"]);
      expect(rows({ code: 0, stdout, stderr: "" })).toMatchObject([{ runId: run, userEmail: user }]);
      expect((await desk.requests("admin/api/users")).length - before).toBeLessThanOrEqual(1);
    }
    expect((await cli(["audit", "list", "--user", user])).stdout).toContain(user);
  });
});

describe("the addresses of many customers", () => {
  it("are found among their runs, not one by one", async () => {
    const users = Array.from({ length: 12 }, () => customer());
    for (const user of users) await start(user);
    const before = (await desk.requests("admin/api/users")).length;
    const verified = await verify("--json");
    expect(operations(verified).map(({ userEmail }) => userEmail)).toEqual(users);
    const log = await cli(["audit", "log"], { tty: true, columns: 200 });
    for (const user of users) expect(log.stdout).toContain(user);
    expect((await desk.requests("admin/api/users")).length).toBe(before);
  });
});
