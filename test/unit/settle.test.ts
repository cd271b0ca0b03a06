/** Runs shown as running, brought up to date against a platform that is made up: who is asked, what it brings, what is left alone. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { foreign, refusal, type ApiError } from "../../src/api/api-error.ts";
import type { Api } from "../../src/api/api.ts";
import { admin } from "../../src/contract/procedures.ts";
import { startedRun, type Run } from "../../src/runs/run.ts";
import { settleRun, settleRuns, UNSTORABLE, withoutStatus, pollRun } from "../../src/runs/settle/settle.ts";
import { SYSTEM_TIMING } from "../../src/timing.ts";

const procedure = admin.getKiloCliRunStatus.path;
const RUN: Run = startedRun({
  id: "f1fadb86-559e-4c1e-a8db-5fc7a1dc3f60",
  userId: "f0000000-0000-4000-8000-000000000001",
  userEmail: null,
  instanceId: "d0000000-0000-4000-8000-000000000015",
  initiatedBy: "admin",
  initiatedByAdminId: null,
  initiatedByAdminEmail: "ada@kilo.example",
  prompt: "fix it",
  startedAt: new Date(0),
});

const named = (id: string, given: Partial<Run> = {}): Run => ({ ...RUN, id, ...given });

type Answer = "running" | "completed" | "failed" | "nowhere" | Error;
interface Told {
  /** By run ID; one that is not named is running. */
  readonly answers?: Readonly<Record<string, Answer>>;
  readonly output?: string | null;
  readonly machine?: string;
  readonly machineError?: string | null;
}

function platform({ answers = {}, output = null, machine = "running", machineError = null }: Told = {}) {
  const asked: string[] = [];
  const signals: unknown[] = [];
  const query = async (
    { path }: { path: string },
    { runId }: { runId?: string },
    options: { signal?: AbortSignal } = {},
  ) => {
    asked.push(runId ?? "machine");
    signals.push(options.signal);
    if (path !== procedure) {
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
        workerStatus: machineError === null ? { status: machine } : null,
        workerStatusError: machineError,
      };
    }
    const answer = answers[runId ?? ""] ?? "running";
    if (answer instanceof Error) throw answer;
    const hasRun = answer !== "nowhere";
    return {
      hasRun,
      status: hasRun ? answer : null,
      output: hasRun ? output : null,
      exitCode: answer === "completed" ? 0 : null,
      startedAt: hasRun ? new Date(0) : null,
      completedAt: answer === "completed" ? new Date(60_000) : null,
      prompt: hasRun ? RUN.prompt : null,
      initiatedBy: hasRun ? "admin" : null,
    };
  };
  return { api: { query, timing: SYSTEM_TIMING } as unknown as Api, asked, signals };
}

const about = (answer: Answer, told: Told = {}) => platform({ ...told, answers: { [RUN.id]: answer } });
const own = (httpStatus: number, trpcCode: string) => refusal(httpStatus, "no", { procedure, trpcCode });
const unstorable = ({ id, userId, instanceId }: Run) =>
  own500(
    `Failed query: update "kiloclaw_cli_runs" set "status" = $1, "exit_code" = $2, "output" = $3, "completed_at" = $4 where x\nparams: completed,0,a\0b,2026-11-30T20:09:57.486Z,${id},${userId},running,${instanceId}`,
  );
const own500 = (message: string) => refusal(500, message, { procedure, trpcCode: "INTERNAL_SERVER_ERROR" });

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** What comes of it, without the waits in between. */
async function endOf<T>(work: Promise<T>): Promise<T> {
  work.catch(() => undefined);
  await vi.runAllTimersAsync();
  return work;
}

describe("a run shown as running", () => {
  it.each([
    ["stopped", null, "machine-down", "its machine is not running"],
    ["running", "the worker does not answer", "unanswered", "cannot tell whether its machine is running"],
  ])("on a machine that is %s (%s) is not asked about", async (machine, machineError, state, problem) => {
    const { api, asked } = about("completed", { machine, machineError });
    expect(await settleRun(api, RUN)).toEqual({ run: RUN, state, problem });
    expect(asked).toEqual(["machine"]);
  });

  it("is asked about by force, without a look at the machine", async () => {
    const { api, asked } = about("completed", { machine: "stopped" });
    expect(await settleRun(api, RUN, { force: true })).toMatchObject({ state: "ended", run: { status: "completed" } });
    expect(asked).toEqual([RUN.id]);
  });

  it("is asked about when its machine runs: it goes on, or its end is told with its last line", async () => {
    const goesOn = about("running", { output: "so far" });
    expect(await settleRun(goesOn.api, RUN)).toEqual({
      run: RUN,
      state: "running",
      problem: null,
      unstorable: false,
      lastLine: null,
    });
    expect(goesOn.asked).toEqual(["machine", RUN.id]);
    const ended = about("completed", { output: "one\nall is well\n" });
    expect(await settleRun(ended.api, RUN)).toMatchObject({
      state: "ended",
      problem: null,
      unstorable: false,
      lastLine: "all is well",
      run: { status: "completed", exitCode: 0 },
    });
    expect(await settleRun(about("completed").api, RUN)).toMatchObject({ state: "ended", lastLine: null });
  });

  it("is not asked about where nobody wants to: only its machine is looked at", async () => {
    const { api, asked } = about("completed");
    expect(await settleRun(api, RUN, { ask: false })).toEqual({ run: RUN, state: "unasked", problem: null });
    expect(asked).toEqual(["machine"]);
  });

  it("is said not to be found any more, and stays as it was", async () => {
    expect(await settleRun(about("nowhere").api, RUN)).toEqual({
      run: RUN,
      state: "unanswered",
      problem: "the platform does not find it any more",
    });
  });

  it("has no answer when the platform has none, and the reason is said", async () => {
    const error = own(503, "SERVICE_UNAVAILABLE");
    expect(await settleRun(about(error).api, RUN)).toEqual({
      run: RUN,
      state: "unanswered",
      problem: error.message,
      error,
    });
  });

  it("is no answer by itself when the token is refused, or this tool is at fault", async () => {
    await expect(settleRun(about(own(401, "UNAUTHORIZED")).api, RUN)).rejects.toMatchObject({ kind: "auth" });
    await expect(settleRun(about(new TypeError("a bug")).api, RUN)).rejects.toThrow("a bug");
  });

  it("hands on the signal to stop, to the look at the machine and to the question", async () => {
    const { signal } = new AbortController();
    const { api, signals } = about("running");
    await settleRun(api, RUN, { signal });
    expect(signals).toEqual([signal, signal]);
  });

  it("has ended although the platform cannot store that", async () => {
    const { api } = about(unstorable(RUN), { machine: "running" });
    expect(await endOf(settleRun(api, RUN))).toMatchObject({
      state: "ended",
      problem: UNSTORABLE,
      unstorable: true,
      lastLine: "a\0b",
      run: { status: "completed" },
    });
  });
});

it("a poll that is answered at once is storable", async () => {
  expect(await pollRun(about("completed").api, RUN)).toMatchObject({ unstorable: false, run: { status: "completed" } });
});

it("a poll is not asked again while it waits to be sure, once it is told to stop", async () => {
  const stop = new AbortController();
  const { api, asked } = about(unstorable(RUN));
  const polling = pollRun(api, RUN, { signal: stop.signal });
  polling.catch(() => undefined);
  await vi.advanceTimersByTimeAsync(1_000);
  stop.abort();
  await expect(endOf(polling)).rejects.toMatchObject({ httpStatus: 500 });
  expect(asked).toEqual([RUN.id]);
});

describe("a list", () => {
  it("keeps its order, brings up to date what is unclear, and says what was left", async () => {
    const [ended, goes, silent, broken] = ["ended", "goes", "silent", "broken"].map((id) => named(id));
    const [done, failed] = [
      named("done", { status: "completed", exitCode: null }),
      named("failed", { status: "failed", exitCode: 3 }),
    ];
    const { api, asked } = platform({
      answers: {
        ended: "completed",
        silent: own(503, "SERVICE_UNAVAILABLE"),
        broken: unstorable(named("broken")),
      },
    });
    const runs = [ended, done, goes, failed, silent, broken].flatMap((run) => run ?? []);
    const settled = await endOf(settleRuns(api, runs));
    expect(settled.runs.map(({ id, status }) => `${id} ${status}`)).toEqual([
      "ended completed",
      "done completed",
      "goes running",
      "failed failed",
      "silent running",
      "broken completed",
    ]);
    expect(settled.machineDown).toEqual([]);
    expect(settled.unanswered).toEqual([silent]);
    expect(settled.unstorable.map(({ id }) => id)).toEqual(["broken"]);
    // Those that have ended for certain are asked about by nobody.
    expect(asked).not.toContain("done");
    expect(asked).not.toContain("failed");
  });

  it("names the runs on machines that are down: nobody asked about them", async () => {
    const { api, asked } = platform({ machine: "stopped" });
    expect(await settleRuns(api, [RUN])).toEqual({ runs: [RUN], machineDown: [RUN], unanswered: [], unstorable: [] });
    expect(asked).toEqual(["machine"]);
  });
});

describe("a status that cannot be read", () => {
  it("is said with the run in the way, both causes, and that nothing was sent", () => {
    const cause = refusal(500, "fetch failed", { procedure, trpcCode: "INTERNAL_SERVER_ERROR" });
    const error = withoutStatus(cause, RUN) as ApiError;
    expect(error).toMatchObject({
      kind: "unreachable",
      message: `run ${RUN.id} of ada@kilo.example is shown as running and its status cannot be read; nothing was sent`,
      procedure,
      httpStatus: 500,
      trpcCode: "INTERNAL_SERVER_ERROR",
      own: true,
      sent: true,
      transient: cause.transient,
      cause,
    });
    expect(error.hints.map(String)).toEqual([
      "the controller on its machine is too old, or out of reach: the platform does not say which",
      expect.stringContaining(`kiloclaw-admin runs diagnose ${RUN.id}`),
    ]);
  });

  it.each([
    ["another status of the platform's", own(503, "SERVICE_UNAVAILABLE")],
    ["what stands in between", foreign(procedure, 500, "a page")],
    ["this tool's own fault", new TypeError("a bug")],
    ["something like an answer that is none", Object.assign(new Error("no"), { own: true, httpStatus: 500 })],
  ])("is not taken for %s", (_what, error) => {
    expect(withoutStatus(error, RUN)).toBe(error);
  });
});
