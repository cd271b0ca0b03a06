/** One cancel against a platform that is made up: when it is sent, what becomes of a lost answer, and what is written down. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { ApiError, foreign, refusal } from "../../src/api/api-error.ts";
import type { Api } from "../../src/api/api.ts";
import { admin } from "../../src/contract/procedures.ts";
import type { CliError } from "../../src/errors.ts";
import type { Ledger } from "../../src/journal/ledger.ts";
import type { OpenIntent } from "../../src/journal/open-index.ts";
import { cancelRun, type CancelOptions } from "../../src/runs/cancel/cancel.ts";
import { cancelOnRecord } from "../../src/runs/cancel/on-record.ts";
import { startedRun, type Run } from "../../src/runs/run.ts";
import { reconcileCancel } from "../../src/runs/start/reconcile.ts";
import { SYSTEM_TIMING } from "../../src/timing.ts";
import { leftOn } from "../support/left-on.ts";

const RUN: Run = startedRun({
  id: "f1fadb86-559e-4c1e-a8db-5fc7a1dc3f60",
  userId: "f0000000-0000-4000-8000-000000000001",
  userEmail: null,
  instanceId: "d0000000-0000-4000-8000-000000000015",
  initiatedBy: "admin",
  initiatedByAdminId: null,
  initiatedByAdminEmail: null,
  prompt: "fix it",
  startedAt: new Date(0),
});
const procedure = admin.cancelKiloCliRun.path;

interface Told {
  /** What the polls say, one after the other; the last one stays. */
  readonly polls: (string | Error)[];
  /** What cancels are answered, one after the other; then `ok`. */
  readonly answers?: Error[];
  readonly machine?: string;
  readonly listed?: Run["status"] | "nowhere";
}

function platform({ polls, answers = [], machine = "running", listed = "running" }: Told) {
  const asked: string[] = [];
  const query = async ({ path }: { path: string }) => {
    asked.push(path);
    if (path === admin.get.path) {
      return {
        id: RUN.instanceId,
        user_id: RUN.userId,
        user_email: null,
        organization_id: null,
        sandbox_id: "s",
        lifecycle_state: "active",
        tracked_image_tag: null,
        created_at: new Date(0),
        destroyed_at: null,
        workerStatus: { status: machine },
        workerStatusError: null,
      };
    }
    if (path === admin.listAllCliRuns.path) {
      const row = {
        id: RUN.id,
        user_id: RUN.userId,
        user_email: null,
        instance_id: RUN.instanceId,
        initiated_by_admin_id: null,
        initiated_by_admin_email: null,
        prompt: RUN.prompt,
        status: listed,
        exit_code: null,
        started_at: new Date(0),
        completed_at: null,
      };
      const runs = listed === "nowhere" ? [] : [row];
      return { runs, pagination: { offset: 0, limit: 100, total: runs.length, totalPages: 1 } };
    }
    const poll = polls.length > 1 ? polls.shift() : polls[0];
    if (poll instanceof Error) throw poll;
    return {
      hasRun: true,
      status: poll,
      output: poll === "running" ? "so far" : null,
      exitCode: null,
      startedAt: new Date(0),
      completedAt: null,
      prompt: RUN.prompt,
      initiatedBy: "user",
    };
  };
  const mutate = async () => {
    asked.push(procedure);
    const answer = answers.shift();
    if (answer) throw answer;
    return { ok: true };
  };
  const api = { query, mutate, timing: SYSTEM_TIMING } as unknown as Api;
  return { api, asked, sends: () => asked.filter((path) => path === procedure).length };
}

const own = (httpStatus: number, trpcCode: string) => refusal(httpStatus, "no", { procedure, trpcCode });
const busy = (retryAfterMs: number) => refusal(503, "busy", { procedure, trpcCode: "X", retryAfterMs });
const lost = () => new ApiError("unreachable", "the connection broke", { procedure, sent: true, transient: true });
const unsent = () => new ApiError("unreachable", "refused", { procedure, sent: false, transient: true });

const cancel = (api: Api, options: Partial<CancelOptions> = {}) =>
  endOf(
    cancelRun(api, RUN, {
      force: false,
      stop: new AbortController().signal,
      keepOutput: async () => undefined,
      ...options,
    }),
  );

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** What comes of it, without the waits in between. */
async function endOf<T>(work: Promise<T>): Promise<T> {
  work.catch(() => undefined);
  await vi.runAllTimersAsync();
  return work;
}

describe("a cancel is not sent", () => {
  it("to a machine that is down, unless it is forced", async () => {
    const down = platform({ machine: "stopped", polls: ["running", "cancelled"] });
    await expect(cancel(down.api)).rejects.toMatchObject({ kind: "conflict" });
    expect(down.asked).toEqual([admin.get.path]);
    expect(await cancel(down.api, { force: true })).toMatchObject({
      run: { status: "cancelled" },
      alreadyEnded: false,
    });
    expect(down.sends()).toBe(1);
  });

  it("to a machine that is down: it is said which run's, and how to do it all the same", async () => {
    const { api } = platform({ machine: "stopped", polls: ["running"] });
    const error: unknown = await cancel(api).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({
      message: `the machine of ${RUN.id} is not running: a cancel now would mark the run failed for good`,
    });
    expect((error as CliError).hints.map(String)).toEqual([
      expect.stringContaining(`kiloclaw-admin instances open ${RUN.instanceId}`),
      expect.stringContaining("--force"),
    ]);
  });

  it("to a run whose status cannot be read: it is said that nothing was sent", async () => {
    const unread = refusal(500, "fetch failed", { procedure: admin.getKiloCliRunStatus.path });
    const { api, sends } = platform({ polls: [unread] });
    await expect(cancel(api)).rejects.toMatchObject({ message: expect.stringMatching(/nothing was sent$/) });
    expect(sends()).toBe(0);
  });

  it("before its output is kept: what there is of it", async () => {
    const { api, sends } = platform({ polls: ["running", "cancelled"] });
    const kept: [string, number][] = [];
    await cancel(api, { keepOutput: async (output) => void kept.push([output, sends()]) });
    expect(kept).toEqual([["so far", 0]]);
    expect(sends()).toBe(1);
  });

  it("to a run that has ended", async () => {
    const ended = platform({ polls: ["completed"] });
    expect(await cancel(ended.api)).toMatchObject({ run: { status: "completed" }, alreadyEnded: true });
    expect(ended.sends()).toBe(0);
  });

  it("where its output cannot be kept, or somebody wants out meanwhile", async () => {
    const full = new Error("the disk is full");
    const { api, sends } = platform({ polls: ["running"] });
    const keepOutput = async () => {
      throw full;
    };
    await expect(cancel(api, { keepOutput })).rejects.toBe(full);
    const stop = new AbortController();
    const stopping = cancel(api, { stop: stop.signal, keepOutput: async () => stop.abort(full) });
    await expect(stopping).rejects.toBe(full);
    expect(sends()).toBe(0);
  });
});

it("leaves nothing behind on the signal that many cancels share", async () => {
  const { signal } = new AbortController();
  for (let turn = 0; turn < 50; turn++) {
    await cancel(platform({ polls: ["running", busy(10), "cancelled"] }).api, { stop: signal });
  }
  expect(leftOn(signal)).toBe(0);
});

describe("what is said of a cancel", () => {
  it("is the run's status, not the answer to it", async () => {
    const { api } = platform({ polls: ["running", "completed"] });
    const cancellation = await cancel(api);
    expect(cancellation).toMatchObject({ run: { status: "completed" }, alreadyEnded: false });
    expect(cancellation.lost).toBeUndefined();
  });

  it("is what the platform refuses, once nothing was sent before", async () => {
    const error = own(403, "FORBIDDEN");
    const { api, sends } = platform({ polls: ["running"], answers: [error] });
    await expect(cancel(api)).rejects.toBe(error);
    expect(sends()).toBe(1);
  });

  it("is what the platform does not find", async () => {
    const error = own(404, "NOT_FOUND");
    const { api, sends } = platform({ polls: ["running"], answers: [error] });
    await expect(cancel(api)).rejects.toBe(error);
    expect(sends()).toBe(1);
  });

  it("is not a refusal that comes after a cancel that may have been carried out", async () => {
    const refused = own(403, "FORBIDDEN");
    const { api, sends } = platform({ polls: ["running", lost(), "cancelled"], answers: [lost(), refused] });
    const outcome = await cancel(api);
    expect(outcome).toMatchObject({ run: { status: "cancelled" } });
    expect(outcome.lost).toMatchObject({ message: "the connection broke" });
    expect(sends()).toBe(2);
  });

  it("is that it is not known, where nobody can tell any more", async () => {
    const { api, sends } = platform({ polls: ["running", foreign(procedure, 502, "a page")], answers: [lost()] });
    await expect(cancel(api)).rejects.toMatchObject({ kind: "outcome-unknown", retryable: true });
    expect(sends()).toBe(4);
  });

  it("is that the run goes on, where it was still running after the last try", async () => {
    const { api, sends } = platform({ polls: ["running"], answers: [lost(), lost(), lost(), lost()] });
    await expect(cancel(api)).rejects.toMatchObject({ kind: "unreachable", retryable: true });
    expect(sends()).toBe(4);
    // Answered each time, and still running: somebody else's cancel may be under way.
    const answered = platform({ polls: ["running"] });
    expect(await cancel(answered.api)).toMatchObject({ run: { status: "running" }, alreadyEnded: false });
    expect(answered.sends()).toBe(4);
  });

  it("comes five seconds after somebody wants out, if the platform says nothing", async () => {
    const stop = new AbortController();
    const { api, sends } = platform({ polls: ["running", busy(60_000)], answers: [busy(60_000)] });
    const began = performance.now();
    setTimeout(() => stop.abort(), 1_000);
    await expect(cancel(api, { stop: stop.signal })).rejects.toMatchObject({ kind: "outcome-unknown" });
    expect(sends()).toBe(1);
    expect(performance.now() - began).toBe(6_000);
  });

  it("comes without another request once somebody wants out", async () => {
    const stop = new AbortController();
    const polls = ["running", "running", "running", "cancelled"];
    const { api, sends } = platform({ polls, answers: [lost()] });
    setTimeout(() => stop.abort(), 100);
    expect(await cancel(api, { stop: stop.signal })).toMatchObject({ run: { status: "cancelled" } });
    expect([sends(), polls.length]).toEqual([1, 1]);
  });

  it("waits as long as the platform asks, up to half a minute", async () => {
    for (const [asked, waited] of [
      [7_000, 7_000],
      [60_000, 30_000],
    ] as const) {
      const error = busy(asked);
      const { api, sends } = platform({ polls: ["running", "running", "cancelled"], answers: [error] });
      const began = performance.now();
      expect(await cancel(api)).toMatchObject({ run: { status: "cancelled" }, lost: error });
      expect([sends(), performance.now() - began]).toEqual([2, waited]);
    }
  });

  it("is that the run goes on, where none of them left", async () => {
    const answers = [unsent(), unsent(), unsent(), unsent()];
    const { api } = platform({ polls: ["running"], answers });
    await expect(cancel(api)).rejects.toMatchObject({ kind: "unreachable", retryable: true });
  });
});

const record = async (api: Api, options: Partial<CancelOptions> = {}, broken = false) => {
  const records: Record<string, unknown>[] = [];
  const unrecorded: string[] = [];
  const append = async (entry: Record<string, unknown>) => {
    if (broken) throw new Error("the disk is full");
    records.push(entry);
  };
  const ledger = { journal: async () => ({ append }) } as unknown as Ledger;
  const ended: unknown = await endOf(
    cancelOnRecord(api, RUN, ledger, {
      force: false,
      stop: new AbortController().signal,
      keepOutput: async () => undefined,
      onUnrecorded: (why) => unrecorded.push(why),
      ...options,
    }),
  ).catch((error: unknown) => error);
  return { records, unrecorded, ended };
};

describe("on record", () => {
  it.each<[string, Error[], (string | Error)[], Record<string, unknown>]>([
    ["cancelled", [], ["running", "cancelled"], { result: "cancelled", settled: true, code: null }],
    ["ended otherwise", [], ["running", "failed"], { result: "failed", settled: true, code: null }],
    ["lost", [lost()], ["running", "cancelled"], { result: "cancelled", settled: true, code: "no-answer" }],
    ["a 500", [own(500, "X")], ["running", "cancelled"], { result: "cancelled", settled: true, code: "X" }],
    ["refused", [own(401, "X")], ["running"], { result: "refused", settled: true, code: null }],
    ["broken", [new TypeError("x")], ["running"], { result: "unknown", settled: false, code: null }],
    ["not found", [own(404, "NOT_FOUND")], ["running"], { result: "refused", settled: true, code: null }],
    ["in vain", Array.from({ length: 4 }, lost), ["running"], { result: "running", settled: true, code: null }],
    [
      "unseen",
      [lost()],
      ["running", foreign(procedure, 502, "a page")],
      { result: "unknown", settled: false, code: null },
    ],
  ])("before it is sent, and what became of it: %s", async (_, answers, polls, outcome) => {
    const { api } = platform({ polls, answers });
    const { records } = await record(api);
    const { id: runId, userId, instanceId } = RUN;
    expect(records).toMatchObject([
      { kind: "intent", runId, userId, instanceId },
      { kind: "outcome", runId, ...outcome },
    ]);
    expect(records[0]?.op).toBe(records[1]?.op);
  });

  it("is nothing of what was not sent", async () => {
    expect(await record(platform({ polls: ["completed"] }).api)).toMatchObject({ records: [], unrecorded: [] });
    const full = new Error("the disk is full");
    const keepOutput = async () => {
      throw full;
    };
    expect(await record(platform({ polls: ["running"] }).api, { keepOutput })).toEqual({
      records: [],
      unrecorded: [],
      ended: full,
    });
  });

  it("a journal that takes nothing does not keep it from being sent: it is said", async () => {
    const { api, sends } = platform({ polls: ["running", "cancelled"] });
    const { unrecorded, ended } = await record(api, {}, true);
    expect(ended).toMatchObject({ run: { status: "cancelled" } });
    expect(unrecorded).toEqual(["the disk is full", "the disk is full"]);
    expect(sends()).toBe(1);
  });
});

describe("an earlier cancel whose end is not known", () => {
  const reconcile = async (told: Told, runId: string | null = RUN.id) => {
    const settled: unknown[] = [];
    const ledger = { settle: async (_: OpenIntent, finding: unknown) => void settled.push(finding) };
    const { api, asked } = platform(told);
    const run = await reconcileCancel(api, ledger as unknown as Ledger, { intent: { runId } } as unknown as OpenIntent);
    return { status: run?.status, settled, polled: asked.includes(admin.getKiloCliRunStatus.path) };
  };

  it.each<[string, Told]>([
    ["cancelled", { polls: ["cancelled"] }],
    ["running", { polls: ["running"] }],
    // Asking does no harm to one that has ended, wherever its machine is.
    ["cancelled", { polls: ["cancelled"], listed: "cancelled", machine: "stopped" }],
  ])("is settled by what the run is now: %s", async (status, told) => {
    expect(await reconcile(told)).toEqual({ status, settled: [{ runId: RUN.id, result: status }], polled: true });
  });

  it("is left open where asking would do harm, or there is nothing to ask about", async () => {
    const open = { status: undefined, settled: [], polled: false };
    expect(await reconcile({ polls: ["failed"], machine: "stopped" })).toEqual(open);
    expect(await reconcile({ polls: ["failed"], listed: "nowhere" })).toEqual(open);
    expect(await reconcile({ polls: ["failed"] }, null)).toEqual(open);
    await expect(reconcile({ polls: ["failed"] }, "no ID")).rejects.toMatchObject({ kind: "usage" });
  });
});
