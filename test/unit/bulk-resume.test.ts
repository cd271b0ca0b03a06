/** What a resumed job finds out about starts that were under way when it was interrupted. */
import { randomUUID } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ApiError } from "../../src/api/api-error.ts";
import type { Api } from "../../src/api/api.ts";
import type { Item } from "../../src/bulk/item.ts";
import { canaryLeft, reconcileItems } from "../../src/bulk/job/resume.ts";
import { Ledger } from "../../src/journal/ledger.ts";
import { promptFacts } from "../../src/journal/record.ts";
import { SYSTEM_TIMING } from "../../src/timing.ts";
import { itemOf } from "../support/bulk-job.ts";

const ME = "a0000000-0000-4000-8000-000000000001";
const NOTHING = { runId: null, startedAt: null, completedAt: null, exitCode: null };
const waiting = (index: number, given: Partial<Item> = {}) =>
  itemOf(index, {
    ...NOTHING,
    state: "unknown",
    ...given,
    target: { userId: `user-${index}`, instanceId: instanceOf(index) },
  });
const instanceOf = (index: number) => `20000000-0000-4000-8000-${String(index).padStart(12, "0")}`;
const STARTED = new Date("2026-11-30T08:00:00Z");

let state: string;
let ledger: Ledger;
/** The platform's rows, by instance; the instances that were looked at. */
let rows: Map<string, object[]>;
let looked: string[];
let failing: ApiError | undefined;
beforeEach(async () => {
  state = await mkdtemp(join(tmpdir(), "kiloclaw-resume-"));
  ledger = new Ledger(
    state,
    {
      action: "start",
      tool: "0.0.0-test",
      pid: process.pid,
      profile: "test",
      origin: "https://app.kilo.ai",
      adminId: ME,
      ticket: null,
      reason: null,
    },
    { timing: SYSTEM_TIMING },
  );
  rows = new Map();
  looked = [];
  failing = undefined;
});
afterEach(async () => {
  await ledger.close();
  await rm(state, { recursive: true, force: true });
});

const api = {
  query: async (_: unknown, { search = "" }: { search?: string }) => {
    looked.push(search);
    if (failing) throw failing;
    const runs = rows.get(search) ?? [];
    return { runs, pagination: { offset: 0, limit: 100, total: runs.length, totalPages: 1 } };
  },
  timing: SYSTEM_TIMING,
} as unknown as Api;

/** A run of ours on this target shows in the platform's rows. */
function appear(index: number, id = randomUUID()): string {
  const row = {
    id,
    user_id: `user-${index}`,
    user_email: null,
    instance_id: instanceOf(index),
    initiated_by_admin_id: ME,
    initiated_by_admin_email: null,
    prompt: "fix it",
    status: "running",
    exit_code: null,
    started_at: STARTED,
    completed_at: null,
  };
  rows.set(instanceOf(index), [...(rows.get(instanceOf(index)) ?? []), row]);
  return id;
}

/** A start on this target is on record, and not what became of it. */
async function send(index: number, instanceId: string | null = instanceOf(index)): Promise<string> {
  const op = randomUUID();
  const facts = { userId: `user-${index}`, instanceId, runId: null, knownRunIds: [] };
  await (await ledger.journal()).append({ kind: "intent", op, ...facts, ...promptFacts("fix it") });
  return op;
}

async function reconcile(items: Item[], stop = new AbortController().signal): Promise<Item[]> {
  const said: Item[] = [];
  for await (const item of reconcileItems(api, ledger, items, { stop, lookAfterMs: [] })) said.push(item);
  return said;
}

const openOps = async () => (await ledger.journal()).open.map(({ op }) => op);

describe("a job that is gone on with", () => {
  it("asks nobody where no start is open", async () => {
    const items = [waiting(1)];
    expect(await reconcile(items)).toEqual([]);
    expect(looked).toEqual([]);
  });

  it("finds the run of a start whose end nobody knew of, says so and writes it down, and looks at no other target", async () => {
    await send(2);
    const run = appear(2);
    const items = [waiting(1), waiting(2, { problem: "no answer" }), waiting(3)];
    const untouched = [items[0], items[2]];
    const said = await reconcile(items);
    expect(said).toMatchObject([
      { state: "running", runId: run, startedAt: STARTED, problem: null, target: { index: 2 } },
    ]);
    expect(items[1]).toBe(said[0]);
    expect([items[0], items[2]]).toEqual(untouched);
    expect(looked).toEqual([instanceOf(2)]);
    expect(await openOps()).toEqual([]);
    expect((await ledger.knownRuns()).map(({ runId }) => runId)).toEqual([run]);
  });

  it("leaves a start open of which there is no trace: unknown, and never that it did not start", async () => {
    const op = await send(1);
    const items = [waiting(1, { state: "waiting" })];
    expect(await reconcile(items)).toEqual(items);
    expect(items).toMatchObject([
      { state: "unknown", runId: null, problem: "no record of a run was found, which is no proof" },
    ]);
    expect(await openOps()).toEqual([op]);
  });

  it("leaves a start open of which there are several runs, and names them", async () => {
    const op = await send(1);
    const runs = [appear(1), appear(1)];
    const items = [waiting(1)];
    await reconcile(items);
    expect(items).toMatchObject([
      { state: "unknown", runId: null, problem: `several runs fit it: ${runs.join(", ")}` },
    ]);
    expect(await openOps()).toEqual([op]);
  });

  it("keeps the run that a target has, and names the other one that it has as well", async () => {
    const op = await send(1);
    const run = appear(1);
    const mine = randomUUID();
    const items = [waiting(1, { state: "completed", runId: mine })];
    expect(await reconcile(items)).toMatchObject([
      { state: "completed", runId: mine, problem: `another start of this job has a run as well: ${run}` },
    ]);
    // Found all the same, and on record.
    expect(await openOps()).not.toContain(op);
  });

  it("follows the run that a target was said to have where it is found now", async () => {
    await send(1);
    const run = appear(1);
    const items = [waiting(1, { runId: run, problem: "no longer followed" })];
    expect(await reconcile(items)).toMatchObject([{ state: "running", runId: run, problem: null }]);
  });

  it("does not doubt the run that a target has for a start without a trace", async () => {
    await send(1);
    const items = [waiting(1, { state: "completed", runId: randomUUID() })];
    const before = [...items];
    expect(await reconcile(items)).toEqual([]);
    expect(items).toEqual(before);
  });

  it("leaves alone what is not about one of its targets", async () => {
    const elsewhere = await send(7);
    const none = await send(1, null);
    appear(7);
    const items = [waiting(1), waiting(2)];
    const before = [...items];
    expect(await reconcile(items)).toEqual([]);
    expect(items).toEqual(before);
    expect(looked).toEqual([instanceOf(7)]);
    expect(await openOps()).toEqual([elsewhere, none]);
  });

  it("looks for nothing once it is told to stop", async () => {
    await send(1);
    appear(1);
    expect(await reconcile([waiting(1)], AbortSignal.abort())).toEqual([]);
    expect(looked).toEqual([]);
  });

  it("says nothing of a start where the platform cannot be asked", async () => {
    const op = await send(1);
    failing = new ApiError("auth", "no", { procedure: "list", sent: true, transient: false, httpStatus: 401 });
    const items = [waiting(1, { state: "waiting" })];
    const before = [...items];
    await expect(reconcile(items)).rejects.toBe(failing);
    expect(items).toEqual(before);
    expect(await openOps()).toEqual([op]);
  });
});

const hasRun = (state: string) => ["running", "completed", "failed"].includes(state);

it.each([
  ["there was to be none", null, [], null],
  ["nothing has ended", 2, ["running", "running", "waiting"], 2],
  ["one has completed", 2, ["completed", "running", "waiting"], 1],
  ["all have completed", 2, ["completed", "completed", "waiting"], null],
  ["more have completed", 2, ["completed", "completed", "completed", "waiting"], null],
  ["one has failed, which somebody has seen", 2, ["completed", "failed", "waiting"], null],
  ["nothing was started", 1, ["skipped", "machine-down", "waiting"], 1],
] as const)("of a canary where %s", (_, canary, states, left) => {
  const items = states.map((one, at) => waiting(at, { state: one, runId: hasRun(one) ? `run-${at}` : null }));
  expect(canaryLeft(items, canary)).toBe(left);
  const others = items.map((item) => ({ ...item, attached: true }));
  expect(canaryLeft(others, canary)).toBe(canary);
});
