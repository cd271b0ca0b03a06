/** Looking for the row of a start: which row is taken for ours, when it is looked for, and for how long. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { refusal } from "../../src/api/api-error.ts";
import type { Api } from "../../src/api/api.ts";
import type { Ledger } from "../../src/journal/ledger.ts";
import { promptFacts, type IntentRecord } from "../../src/journal/record.ts";
import { startedRun, type Run } from "../../src/runs/run.ts";
import { findStart, reconcileStarts, type OpenStart, type StartIntent } from "../../src/runs/start/reconcile.ts";
import { fits, searchFor, type StartMark } from "../../src/runs/start/row-search.ts";
import { SYSTEM_TIMING } from "../../src/timing.ts";

const MARK: StartMark = {
  userId: "jane",
  instanceId: "instance",
  adminId: "ada",
  promptSha256: promptFacts("fix it").promptSha256,
  known: [],
};
const RUN: Run = startedRun({
  id: "run",
  userId: "jane",
  userEmail: null,
  instanceId: "instance",
  initiatedBy: "admin",
  initiatedByAdminId: "ada",
  initiatedByAdminEmail: null,
  prompt: "fix it",
  startedAt: new Date(0),
});

describe("a row is a start's", () => {
  it("where user, instance, admin and prompt are the same", () => {
    expect(fits(RUN, MARK)).toBe(true);
  });

  it.each<[string, Partial<Run>, Partial<StartMark>]>([
    ["another user's", { userId: "john" }, {}],
    ["another instance's", { instanceId: "another" }, {}],
    ["no instance's", { instanceId: null }, {}],
    ["another admin's", { initiatedByAdminId: "bob" }, {}],
    ["the customer's own", { initiatedByAdminId: null }, {}],
    ["of another prompt", { prompt: "fix it " }, {}],
    ["anybody's, where it is not known who asked", { initiatedByAdminId: null }, { adminId: null }],
  ])("and not where it is %s", (_, run, mark) => {
    expect(fits({ ...RUN, ...run }, { ...MARK, ...mark })).toBe(false);
  });
});

/** A platform whose rows appear at their times, in milliseconds; a look at a time in `fails` fails. */
function platform(
  rows: { readonly at: number; readonly id: string; readonly by?: string | null }[],
  fails: number[] = [],
) {
  const began = performance.now();
  const looks: number[] = [];
  const query = async ({ path }: { path: string }) => {
    const at = Math.round(performance.now() - began);
    looks.push(at);
    if (fails.includes(at)) throw refusal(500, "no database", { procedure: path });
    const runs = rows
      .filter((row) => row.at <= at)
      .map(({ id, by = "ada" }) => ({
        id,
        user_id: "jane",
        user_email: "jane@example.com",
        instance_id: "instance",
        initiated_by_admin_id: by,
        initiated_by_admin_email: null,
        prompt: "fix it",
        status: "running",
        exit_code: null,
        started_at: new Date(0),
        completed_at: null,
      }));
    return { runs, pagination: { offset: 0, limit: 100, total: runs.length, totalPages: 1 } };
  };
  return { looks, api: { query, timing: SYSTEM_TIMING } as unknown as Api };
}

const intent = (ageMs: number, more: Partial<IntentRecord> = {}) =>
  ({
    op: "op",
    at: new Date(Date.now() - ageMs).toISOString(),
    userId: "jane",
    instanceId: "instance",
    adminId: "ada",
    promptSha256: MARK.promptSha256,
    knownRunIds: [],
    ...more,
  }) as unknown as StartIntent;
const find = async ({ api }: { api: Api }, start: StartIntent, recorded: { runId: string; op: string }[] = []) => {
  const known = recorded.map((run) => ({ ...run, journal: "journal" }));
  const options = { stop: new AbortController().signal, lookAfterMs: SYSTEM_TIMING.lookAfterMs };
  const finding = findStart(api, start, known, options);
  await vi.runAllTimersAsync();
  return finding;
};

const two = () =>
  platform([
    { at: 0, id: "run" },
    { at: 0, id: "twin" },
  ]);

const search = (api: Api, stop = new AbortController().signal, lookAfterMs = SYSTEM_TIMING.lookAfterMs) =>
  searchFor(api, MARK, ({ ours }) => ours.length > 0, { stop, lookAfterMs });

/** An open start; `writer` is at it. */
const open = (writer: unknown, more: Partial<IntentRecord> = {}) =>
  ({ intent: intent(0, more), writer }) as unknown as OpenStart;

describe("it is looked for", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it("at once and after 1, 2, 4, 8, 15 and 30 seconds, and no longer than until it is there", async () => {
    const never = platform([]);
    const searching = search(never.api);
    await vi.runAllTimersAsync();
    expect(await searching).toEqual({ ours: [], running: undefined });
    expect(never.looks).toEqual([0, 1_000, 2_000, 4_000, 8_000, 15_000, 30_000]);

    const late = platform([{ at: 3_000, id: "run" }]);
    const finding = search(late.api);
    await vi.runAllTimersAsync();
    expect(await finding).toMatchObject({ ours: [{ id: "run" }], running: { id: "run" } });
    expect(late.looks).toEqual([0, 1_000, 2_000, 4_000]);
  });

  it("again where a look failed; where the last one did, nothing is known", async () => {
    const once = platform([{ at: 500, id: "run" }], [0]);
    const finding = search(once.api);
    await vi.runAllTimersAsync();
    expect(await finding).toMatchObject({ ours: [{ id: "run" }] });
    expect(once.looks).toEqual([0, 1_000]);
    const blind = platform([], [30_000]);
    const searching = search(blind.api);
    await vi.runAllTimersAsync();
    expect(await searching).toBeUndefined();
  });

  it("at once and for five seconds more when somebody wants out", async () => {
    const stop = new AbortController();
    const { api, looks } = platform([]);
    const searching = search(api, stop.signal);
    await vi.advanceTimersByTimeAsync(2_500);
    stop.abort();
    await vi.runAllTimersAsync();
    expect(await searching).toEqual({ ours: [], running: undefined });
    expect(looks).toEqual([0, 1_000, 2_000, 2_500]);
  });

  it("once for all looks that have become due while one took long", async () => {
    const { api, looks } = platform([]);
    let first = true;
    const slow = {
      query: async (...args: Parameters<Api["query"]>) => {
        const answer = await api.query(...args);
        if (first) await new Promise((resolve) => setTimeout(resolve, 5_000));
        first = false;
        return answer;
      },
      timing: SYSTEM_TIMING,
    } as unknown as Api;
    const searching = search(slow);
    await vi.runAllTimersAsync();
    await searching;
    expect(looks).toEqual([0, 5_000, 8_000, 15_000, 30_000]);
  });

  it("and rows that were there before are not looked at", async () => {
    const { api } = platform([{ at: 0, id: "run" }]);
    const known = { ...MARK, known: ["run"] };
    const options = { stop: new AbortController().signal, lookAfterMs: [0] };
    expect(await searchFor(api, known, () => true, options)).toEqual({ ours: [], running: undefined });
  });

  it("later only at what is left of these times, and at once", async () => {
    const young = platform([]);
    expect(await find(young, intent(10_000))).toEqual({ state: "nothing" });
    expect(young.looks).toEqual([0, 5_000, 20_000]);
    const old = platform([]);
    expect(await find(old, intent(30_000))).toEqual({ state: "nothing" });
    expect(old.looks).toEqual([0]);
    // A clock that was set back must not make it wait for longer.
    const future = platform([]);
    await find(future, intent(-600_000));
    expect(future.looks).toEqual([0, 1_000, 2_000, 4_000, 8_000, 15_000, 30_000]);
  });

  it("until it is found, and no other start's run is taken for it", async () => {
    const there = platform([{ at: 1_000, id: "run" }]);
    expect(await find(there, intent(0))).toMatchObject({ state: "found", run: { id: "run" } });
    expect(there.looks).toEqual([0, 1_000]);
    const row = () => platform([{ at: 0, id: "run" }]);
    expect(await find(row(), intent(60_000), [{ runId: "run", op: "another" }])).toEqual({ state: "nothing" });
    expect(await find(row(), intent(60_000), [{ runId: "run", op: "op" }])).toMatchObject({ state: "found" });
    expect(await find(row(), intent(60_000, { knownRunIds: ["run"] }))).toEqual({ state: "nothing" });
    for (const other of [{ userId: "john" }, { adminId: "bob" }, { promptSha256: promptFacts("x").promptSha256 }]) {
      expect(await find(row(), intent(60_000, other))).toEqual({ state: "nothing" });
    }
    const customers = platform([{ at: 0, id: "run", by: null }]);
    expect(await find(customers, intent(60_000, { adminId: null }))).toEqual({ state: "nothing" });
  });

  it("two rows that fit are an alarm, unless one of them is another start's", async () => {
    const both = [{ id: "run" }, { id: "twin" }];
    expect(await find(two(), intent(60_000))).toMatchObject({ state: "alarm", runs: both });
    const recorded = [{ runId: "twin", op: "another" }];
    expect(await find(two(), intent(60_000), recorded)).toMatchObject({ state: "found", run: { id: "run" } });
  });

  it("and what is found is written down, but not where a process is still at it", async () => {
    const settled: unknown[] = [];
    const ledger = {
      knownRuns: async () => [],
      settle: async ({ intent: { op } }: OpenStart, finding: object) => void settled.push({ op, ...finding }),
    } as unknown as Ledger;
    const options = { stop: new AbortController().signal, lookAfterMs: [] };
    const { api } = platform([{ at: 0, id: "run" }]);
    const opens = [open(null), open(null, { op: "none", adminId: "bob" })];
    const findings = await reconcileStarts(api, ledger, opens, options);
    expect([...findings]).toMatchObject([["op", { state: "found", run: { id: "run" } }]]);
    expect(settled).toEqual([{ op: "op", runId: "run", result: "found" }]);
    const held = await reconcileStarts(api, ledger, [open({ pid: 1 })], options);
    expect(held.get("op")).toMatchObject({ state: "found" });
    const twins = platform([
      { at: 0, id: "run" },
      { at: 0, id: "twin" },
    ]);
    const alarm = await reconcileStarts(twins.api, ledger, [open(null)], options);
    expect(alarm.get("op")).toMatchObject({ state: "alarm" });
    expect(settled).toHaveLength(1);
    // Which of two runs is the one's tells which is the other's.
    const both = [open(null), open(null, { op: "later", knownRunIds: ["run"] })];
    const told = await reconcileStarts(twins.api, ledger, both, options);
    expect(told.get("op")).toMatchObject({ state: "found", run: { id: "run" } });
    expect(told.get("later")).toMatchObject({ state: "found", run: { id: "twin" } });
  });
});
