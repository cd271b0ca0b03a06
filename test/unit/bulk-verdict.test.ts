/** What a start that was tried means for its target: whether it may be sent again, and what is said of it. */
import { describe, expect, it } from "vitest";
import { ApiError, refusal } from "../../src/api/api-error.ts";
import { judge, judgeFailure, judgeLeftBehind } from "../../src/bulk/execute/verdict.ts";
import { admin, UPSTREAM_CODES } from "../../src/contract/procedures.ts";
import { CliError } from "../../src/errors.ts";
import { HeldError } from "../../src/journal/claim.ts";
import type { IntentRecord } from "../../src/journal/record.ts";
import { startedRun, type Run } from "../../src/runs/run.ts";
import type { RecordedOutcome } from "../../src/runs/start/on-record.ts";

const run = (id: string): Run =>
  startedRun({
    id,
    userId: "user",
    userEmail: null,
    instanceId: "instance",
    initiatedBy: "admin",
    initiatedByAdminId: "a1",
    initiatedByAdminEmail: "ann@example.com",
    prompt: "p",
    startedAt: new Date("2026-11-30T08:00:00Z"),
  });
const RUN = run("run-1");
const procedure = admin.startKiloCliRun.path;
const lost = (message = "the connection broke") =>
  new ApiError("unreachable", message, { procedure, sent: true, transient: true });
const page = (retryAfterMs?: number) =>
  new ApiError("unreachable", "bad gateway", {
    procedure,
    sent: true,
    transient: true,
    httpStatus: 502,
    retryAfterMs,
  });
const notSent = () => new ApiError("unreachable", "refused", { procedure, sent: false, transient: true });
const tooMany = () => refusal(429, "slow down", { procedure, trpcCode: "TOO_MANY_REQUESTS", retryAfterMs: 7_000 });
const intents = (...ops: string[]) => ops.map((op) => ({ op })) as unknown as IntentRecord[];

const interrupted = () => new ApiError("interrupted", "stopped", { procedure, sent: true, transient: false });
const aborted = () => new DOMException("aborted", "AbortError");
const verdictOf = (error: ApiError) => judgeFailure(error, false).verdict;

describe("a start's verdict", () => {
  it.each<[RecordedOutcome, attached: boolean, adopted: boolean]>([
    [{ state: "started", run: RUN }, false, false],
    [{ state: "found", run: RUN }, false, false],
    [{ state: "found-earlier", run: RUN, earlier: {} as IntentRecord }, false, false],
    [{ state: "adopted", run: RUN }, false, true],
    // Seen, not taken for this job's: the same admin may have started it from elsewhere.
    [{ state: "alike", run: RUN }, true, false],
  ])("is a run: $state", (outcome, attached, adopted) => {
    expect(judge(outcome)).toEqual({
      verdict: { is: "started", run: RUN, attached, adopted, problem: null },
      pressure: "answered",
      sent: true,
    });
  });
  it.each([true, false])("is a run that was there already, found by a request: %s", (sent) => {
    const { verdict, ...rest } = judge({ state: "already-started", run: RUN, sent });
    expect(rest).toMatchObject({ pressure: "answered", sent });
    expect(verdict).toMatchObject({ is: "started", run: RUN, attached: true, adopted: false });
    expect(verdict).toHaveProperty("problem", expect.stringMatching(/^already started by .+ at \d{4}-/));
  });

  it.each<[RecordedOutcome, says: RegExp, pressure: string | undefined]>([
    [
      { state: "unknown", error: lost() },
      /^no record of a run was found, which is no proof \([^;]*broke\)$/,
      "unreached",
    ],
    [{ state: "unknown", error: page() }, /no proof \(bad gateway\)$/, "failed"],
    [
      { state: "unknown", error: lost("kilo-cli-run start failed") },
      /start failed; .*, which is not proof\)$/,
      "unreached",
    ],
    [
      { state: "possible-orphan", error: refusal(409, "no", { procedure }) },
      /a run that no row records; it may be ours$/,
      undefined,
    ],
    [{ state: "alarm", runs: [run("r1"), run("r2")] }, /^several runs match the one start: r1, r2$/, undefined],
    [{ state: "several", runs: [run("r1"), run("r2")] }, /nothing was sent now; .*--adopt RUN: r1, r2$/, undefined],
    [
      { state: "unsettled", intents: intents("op1") },
      /may have happened, nothing was sent now: operation op1$/,
      undefined,
    ],
    [{ state: "unsettled", intents: intents("op1", "op2", "op3") }, /: operation op1 and 2 more$/, undefined],
  ])("is that nobody knows, and that a request may have left: %j", (outcome, says, pressure) => {
    const judged = judge(outcome);
    expect(judged.verdict).toEqual({ is: "decided", state: "unknown", problem: expect.stringMatching(says) });
    expect(judged).toMatchObject({ sent: true, pressure });
  });

  it("hands on how long the platform asked to be left alone, also where the outcome is unknown", () => {
    expect(judge({ state: "unknown", error: page(9_000) }).retryAfterMs).toBe(9_000);
    expect(judge({ state: "refused", error: tooMany() }).retryAfterMs).toBe(7_000);
    expect(judgeFailure(page(8_000), false).retryAfterMs).toBe(8_000);
  });

  it.each([
    [false, "stopped", "stopped"],
    [false, null, "no machine"],
    [true, "running", "the platform says that it is not running"],
  ])("is a machine that is down, with a request sent (%s): its status %s", (sent, machineStatus, problem) => {
    expect(judge({ state: "machine-down", sent, machineStatus })).toEqual({
      verdict: { is: "decided", state: "machine-down", problem },
      pressure: "answered",
      sent,
    });
  });

  it.each([true, false])("is a run in the way, and whose: found out by a request (%s)", (sent) => {
    expect(judge({ state: "conflict", inTheWay: RUN, sent })).toEqual({
      verdict: {
        is: "in-the-way",
        run: RUN,
        sent,
        problem: "run run-1 of ann@example.com is in progress since 2026-11-30T08:00:00.000Z",
      },
      pressure: "answered",
      sent,
    });
  });

  it.each([
    ["was never sent", notSent(), "unreached", false],
    ["was refused for now", tooMany(), "pushed-back", true],
    // No request of the platform's own refused it for good, so that it stays a start to be tried.
    [
      "was not sent, for a reason that stays",
      new ApiError("incompatible", "no", { procedure, sent: false, transient: false, httpStatus: 400 }),
      undefined,
      false,
    ],
  ])("is to try again where it %s", (_, error, pressure, sent) => {
    expect(judge({ state: "refused", error })).toMatchObject({
      verdict: { is: "again", ours: false, error },
      pressure,
      sent,
    });
  });

  it("is a refusal where the platform says no for good, and a controller that is too old only where it says that", () => {
    const gone = refusal(404, "no instance", { procedure, upstreamCode: UPSTREAM_CODES.instanceNotFound });
    const old = refusal(412, "no route", { procedure, upstreamCode: UPSTREAM_CODES.routeUnavailable });
    expect([gone, old].map((error) => judge({ state: "refused", error }))).toEqual(
      ["no instance", "the controller on its machine is too old: no route"].map((problem) => ({
        verdict: { is: "decided", state: "refused", problem },
        pressure: "answered",
        sent: true,
      })),
    );
  });

  it("is the end of the job where the token is refused, with nothing sent", () => {
    const error = refusal(403, "no", { procedure });
    expect(judge({ state: "refused", error })).toMatchObject({ verdict: { is: "over", error }, sent: false });
  });
});

describe("what kept a start from being sent", () => {
  it("is never a request that was sent: what was asked before it only read", () => {
    expect(judgeFailure(page(), false)).toMatchObject({ verdict: { is: "again" }, pressure: "failed", sent: false });
    expect(judgeFailure(refusal(401, "no", { procedure }), true)).toMatchObject({
      verdict: { is: "over", error: { kind: "auth" } },
      sent: false,
    });
  });

  it("is another command's claim, also where everything is to stop", () => {
    const holder = { pid: 7, host: "h", since: new Date(0), op: "op", seen: true } as HeldError["holder"];
    const held = new HeldError("it is claimed", holder, [] as never);
    for (const stopped of [true, false]) {
      expect(judgeFailure(held, stopped)).toEqual({
        verdict: { is: "held", problem: held.message },
        pressure: undefined,
        sent: false,
      });
    }
  });

  it("is a stop where one was asked for, and says no reason", () => {
    for (const error of [aborted(), interrupted()]) {
      expect(judgeFailure(error, true)).toEqual({ verdict: { is: "over" }, pressure: undefined, sent: false });
    }
  });

  it("is an error that ends the job: one of the journal also during a stop, anything else where nobody asked for one", () => {
    const disk = new CliError("local-state", "the disk is full");
    for (const [error, stopped] of [
      [disk, true],
      [disk, false],
      [aborted(), false],
    ] as const) {
      expect(judgeFailure(error, stopped)).toEqual({
        verdict: { is: "over", error },
        pressure: undefined,
        sent: false,
      });
    }
  });

  it("has to do with the target alone only where the platform itself says that a run's status cannot be read", () => {
    const status = { procedure: admin.getKiloCliRunStatus.path };
    expect(verdictOf(refusal(500, "fetch failed", status))).toMatchObject({ ours: true });
    const others = [
      refusal(500, "fetch failed", { procedure: admin.get.path }),
      refusal(503, "fetch failed", status),
      new ApiError("unreachable", "a page", { ...status, sent: true, transient: true, httpStatus: 500 }),
    ];
    for (const error of others) expect(verdictOf(error)).toMatchObject({ ours: false });
  });
});

describe("a start that was left behind", () => {
  it("is unknown where its request may have been sent, and else as it was", () => {
    expect(judgeLeftBehind(true)).toMatchObject({ verdict: { is: "decided", state: "unknown" }, sent: true });
    expect(judgeLeftBehind(false)).toEqual({
      verdict: { is: "decided", state: "waiting", problem: "no answer came" },
      pressure: "unreached",
      sent: false,
    });
  });
});
