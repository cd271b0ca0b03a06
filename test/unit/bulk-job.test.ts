/** A job as it is on record: what its journal, its plan and its results say together. */
import { randomUUID } from "node:crypto";
import { appendFile, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { planned, type Item, type Target } from "../../src/bulk/item.ts";
import { Results, writePlan } from "../../src/bulk/job/files.ts";
import { findJob, loadJob } from "../../src/bulk/job/job.ts";
import { toRecorded } from "../../src/bulk/job/settings.ts";
import { summaryOf } from "../../src/bulk/job/summary.ts";
import { Journal, type Invocation } from "../../src/journal/journal.ts";
import { promptFacts } from "../../src/journal/record.ts";

const invocation: Invocation = {
  action: "start",
  profile: "default",
  origin: "https://app.kilo.ai",
  adminId: "admin",
  ticket: "INC-1",
  reason: null,
  tool: "0.0.0-test",
  pid: process.pid,
};
const settings = {
  concurrency: 8,
  rate: null,
  maxRunning: null,
  canary: null,
  maxErrors: null,
  onConflict: "skip",
  wait: true,
  runTimeoutMs: null,
  unlessStartedSince: null,
  playbook: null,
} as const;
const RUN = "33333333-3333-4333-8333-333333333333";
const instanceOf = (index: number) => `20000000-0000-4000-8000-${String(index).padStart(12, "0")}`;

function target(index: number, given: Partial<Target> = {}): Target {
  return {
    index,
    named: `user${index}@example.com`,
    instance: null,
    line: index,
    fields: {},
    userId: `user-${index}`,
    userEmail: `user${index}@example.com`,
    instanceId: instanceOf(index),
    planned: "startable",
    detail: null,
    ...given,
  };
}

let state: string;
beforeEach(async () => {
  state = await mkdtemp(join(tmpdir(), "kiloclaw-job-"));
});
afterEach(() => rm(state, { recursive: true, force: true }));

/** Begins a job with these targets. */
async function begin(targets: readonly Target[]): Promise<Journal> {
  const journal = await Journal.create(state, invocation);
  const source = { kind: "file", path: "/tmp/users.txt", sha256: "0".repeat(64) } as const;
  const plan = await writePlan(state, journal.id, { prompt: "fix {{fault}}", source, targets });
  await journal.append({ kind: "job", total: targets.length, settings: { ...toRecorded(settings), plan } });
  return journal;
}

/** Writes down that a start was sent to the target, and what became of it, if that is known. */
async function send(
  journal: Journal,
  index: number,
  result?: string,
  { runId = null, settled = true }: { runId?: string | null; settled?: boolean } = {},
) {
  const op = randomUUID();
  const facts = { userId: `user-${index}`, instanceId: instanceOf(index), runId: null };
  await journal.append({ kind: "intent", op, ...facts, ...promptFacts("fix it"), knownRunIds: [] });
  if (result === undefined) return op;
  await journal.append({ kind: "outcome", op, runId, result, settled, code: null });
  return op;
}

async function keep(journal: Journal, ...items: readonly Item[]): Promise<void> {
  const results = await Results.open(state, journal.id);
  for (const item of items) results.add(item);
  await results.close();
}

const statesOf = async (journal: Journal) =>
  (await loadJob(state, journal.id)).items.map((item) => [item.target.index, item.state, item.runId]);

describe("a job on record", () => {
  it("is as it was planned before anything was sent", async () => {
    const journal = await begin([
      target(1),
      target(2, { planned: "machine-down", detail: "the machine is stopped" }),
      target(3, { planned: "unknown", userId: null, instanceId: null }),
      target(4, { planned: "running" }),
    ]);
    await journal.close();
    expect(await statesOf(journal)).toEqual([
      [1, "waiting", null],
      [2, "machine-down", null],
      [3, "unplanned", null],
      [4, "waiting", null],
    ]);
    const job = await loadJob(state, journal.id);
    expect(job.facts).toMatchObject({
      id: journal.id,
      state: "stopped",
      total: 4,
      ticket: "INC-1",
      invocations: 1,
      endedAt: null,
    });
    expect(job.settings).toEqual(settings);
    expect(job.plan).toMatchObject({ prompt: "fix {{fault}}", source: { kind: "file", path: "/tmp/users.txt" } });
  });

  it("knows from its journal what was sent, also where the results were lost", async () => {
    const journal = await begin(Array.from({ length: 8 }, (_, at) => target(at + 1)));
    await send(journal, 1, "started", { runId: RUN });
    await send(journal, 2);
    await send(journal, 3, "unknown", { settled: false });
    await send(journal, 4, "refused");
    await send(journal, 5, "conflict");
    await send(journal, 6, "machine-down");
    await send(journal, 7, "refused");
    await send(journal, 7, "found", { runId: RUN });
    await journal.close();
    expect(await statesOf(journal)).toEqual([
      [1, "running", RUN],
      [2, "unknown", null],
      [3, "unknown", null],
      [4, "waiting", null],
      [5, "skipped", null],
      [6, "machine-down", null],
      [7, "running", RUN],
      [8, "waiting", null],
    ]);
  });

  it("knows from its journal that a start has left, also where no target has a run of its own", async () => {
    for (const [sent, ...results] of [
      [false, "refused"],
      [true, "refused", "conflict"],
      [true, "machine-down"],
      [true, "alike"],
    ] as const) {
      const journal = await begin([target(1), target(2)]);
      for (const [at, result] of results.entries())
        await send(journal, at + 1, result, { runId: result === "alike" ? RUN : null });
      await journal.close();
      expect([results, (await loadJob(state, journal.id)).sent]).toEqual([results, sent]);
    }
  });

  it("believes what was kept of a run's end, and a later word about a start that nobody knew of", async () => {
    const journal = await begin([target(1), target(2)]);
    await send(journal, 1, "started", { runId: RUN });
    const op = await send(journal, 2, "unknown", { settled: false });
    await keep(
      journal,
      { ...planned(target(1)), state: "failed", runId: RUN, exitCode: 3, problem: "no backup", startedAt: new Date(5) },
      { ...planned(target(2)), state: "unknown", problem: "no record" },
    );
    expect(await statesOf(journal)).toEqual([
      [1, "failed", RUN],
      [2, "unknown", null],
    ]);
    await journal.append({ kind: "reconcile", op, runId: RUN, result: "found", settled: true, code: null });
    await journal.close();
    expect(await statesOf(journal)).toEqual([
      [1, "failed", RUN],
      [2, "running", RUN],
    ]);
    expect((await loadJob(state, journal.id)).items[0]).toMatchObject({
      exitCode: 3,
      problem: "no backup",
      startedAt: new Date(5),
    });
  });

  it("leaves out a line of its results that was torn, and goes on behind it", async () => {
    const journal = await begin([target(1), target(2)]);
    await keep(journal, { ...planned(target(1)), state: "skipped", problem: "another run" });
    await appendFile(join(state, "jobs", journal.id, "results.jsonl"), '{"index":2,"state":"compl');
    await keep(journal, { ...planned(target(2)), state: "conflict", problem: "another run" });
    await journal.close();
    expect(await statesOf(journal)).toEqual([
      [1, "skipped", null],
      [2, "conflict", null],
    ]);
  });

  it("is not taken for one whose plan was changed, or that never began", async () => {
    const journal = await begin([target(1)]);
    await journal.close();
    const path = join(state, "jobs", journal.id, "plan.jsonl");
    await writeFile(path, (await readFile(path, "utf8")).replace("user1@", "user2@"));
    await expect(loadJob(state, journal.id)).rejects.toMatchObject({
      kind: "local-state",
      message: /does not match its checksum/,
    });

    const unborn = await Journal.create(state, invocation);
    await writePlan(state, unborn.id, {
      prompt: "p",
      source: { kind: "users", path: null, sha256: null },
      targets: [],
    });
    await unborn.close();
    await expect(loadJob(state, unborn.id)).rejects.toMatchObject({ message: /interrupted before it started/ });
  });

  it("is found by its ID, the beginning of it, and as the latest", async () => {
    await expect(findJob(state, "@latest")).rejects.toMatchObject({ kind: "not-found" });
    const first = await begin([target(1)]);
    await first.end();
    const second = await begin([target(1)]);
    await second.end();
    expect((await findJob(state, first.id.slice(0, 8).toUpperCase())).id).toBe(first.id);
    expect((await findJob(state, "@latest")).id).toBe(second.id);
    await expect(findJob(state, "00000000")).rejects.toMatchObject({ kind: "not-found" });
    await expect(findJob(state, "../../etc")).rejects.toMatchObject({ kind: "usage" });
    // A journal that is not a job's.
    const other = await Journal.create(state, invocation);
    await other.end();
    await expect(findJob(state, other.id)).rejects.toMatchObject({ kind: "not-found" });
  });

  it("comes to the same numbers again without being read, until something more becomes of it", async () => {
    const journal = await begin([
      target(1),
      target(2),
      target(3, { planned: "unknown", userId: null, instanceId: null }),
    ]);
    await send(journal, 1, "started", { runId: RUN });
    await journal.end();
    const file = await findJob(state, journal.id);
    const before = await summaryOf(file);
    expect(before).toMatchObject({ state: "stopped", total: 3, started: 1, succeeded: 0, skipped: 1, unknown: 0 });
    const path = join(state, "jobs", journal.id, "plan.jsonl");
    const plan = await readFile(path);
    await rm(path);
    expect(await summaryOf(file)).toEqual(before);
    await writeFile(path, plan);
    await keep(journal, { ...planned(target(1)), state: "completed", runId: RUN });
    expect(await summaryOf(file)).toMatchObject({ started: 1, succeeded: 1 });
  });
});
