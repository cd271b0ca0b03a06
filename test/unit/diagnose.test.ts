/** What is made of the evidence about a run, whatever it may be. */
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { AuditRecord } from "../../src/audit/records.ts";
import { verdictOf, type Evidence, type Look, type Verdict } from "../../src/diagnose/judge.ts";
import type { Run } from "../../src/runs/run.ts";
import { diagnosisShape } from "../../src/shapes/diagnosis.ts";
import { formatDuration } from "../../src/terminal/time.ts";

const VERDICTS = diagnosisShape.shape.verdict.options;
const NOW = new Date("2026-11-22T12:00:00Z");
const UNSETTLED = { op: "0a000000-0000-4000-8000-000000000001", at: NOW };
const ago = (minutes: number) => new Date(NOW.getTime() - minutes * 60_000);
const RUN = "3f2a91c4-0000-4000-8000-000000000001";
const NEWER = "3f2a91c4-0000-4000-8000-000000000002";
const INSTANCE = "d0000000-0000-4000-8000-000000000027";

const running: Run = {
  id: RUN,
  status: "running",
  bucket: "pending",
  userId: "c0000000-0000-4000-8000-000000000001",
  userEmail: "jane@example.com",
  instanceId: INSTANCE,
  initiatedBy: "admin",
  initiatedByAdminId: "a0000000-0000-4000-8000-000000000001",
  initiatedByAdminEmail: "ada.admin@kilocode.ai",
  prompt: "gateway crash-loops",
  exitCode: null,
  startedAt: ago(12),
  completedAt: null,
  durationMs: null,
  outcomeUnknown: false,
};
const over = (status: Run["status"], exitCode: number | null = null, outcomeUnknown = false): Run => ({
  ...running,
  status,
  exitCode,
  outcomeUnknown,
  completedAt: ago(2),
  durationMs: 600_000,
});
const newer: Run = { ...running, id: NEWER, startedAt: ago(1) };

const look = (given: Partial<Look> = {}): Look => ({
  at: NOW,
  answer: "running",
  outputLength: 100,
  grewBy: null,
  problem: null,
  controllerFailed: false,
  ...given,
});
const trouble = (problem: string, controllerFailed = false) =>
  look({ answer: "trouble", outputLength: null, problem, controllerFailed });
const start: AuditRecord = {
  id: "1",
  action: "kiloclaw.cli_run.start",
  actorId: "a0000000-0000-4000-8000-000000000001",
  actorEmail: "ada.admin@kilocode.ai",
  targetUserId: running.userId,
  runId: NEWER,
  instanceId: INSTANCE,
  message: "CLI run started",
  createdAt: ago(1),
  metadata: null,
  userEmail: null,
};

const evidence = (given: Partial<Evidence> = {}): Evidence => ({
  at: NOW,
  userId: running.userId,
  userEmail: running.userEmail,
  run: running,
  recordedStatus: given.run === null ? null : (given.run?.status ?? "running"),
  ageMs: 720_000,
  instanceId: INSTANCE,
  instanceDestroyed: false,
  machine: "up",
  machineStatus: "running",
  looks: [],
  silentMs: null,
  lost: null,
  newerRun: null,
  otherRunning: null,
  audit: [],
  unrecordedStart: null,
  startRefusedAt: null,
  unstorable: false,
  ownCancel: null,
  unsettledStart: null,
  ...given,
});

const TABLE: ReadonlyArray<readonly [Verdict, Partial<Evidence>, says: string | RegExp, first: string]> = [
  ["working", { looks: [look(), look({ grewBy: 40 })] }, "40 more characters", `runs watch ${RUN}`],
  [
    "working",
    { looks: [trouble("fetch failed"), look(), look({ grewBy: 1 })] },
    "running for 12m 00s",
    `runs watch ${RUN}`,
  ],
  [
    "silent",
    { looks: [look(), look({ grewBy: 0 })], silentMs: 4_000 },
    "wrote nothing for the 4s it was watched; how long before that is not known",
    `runs watch ${RUN}`,
  ],
  [
    "silent",
    { looks: [look({ outputLength: 0 }), look({ outputLength: 0, grewBy: 0 })], silentMs: 720_000 },
    "nothing since it started 12m 00s ago",
    `runs watch ${RUN}`,
  ],
  [
    "finished-unrecorded",
    { run: over("failed", 3), recordedStatus: "running", looks: [look({ answer: "ended" })] },
    "it had ended (failed with exit code 3) and had not been polled; its outcome is now recorded",
    `runs logs ${RUN}`,
  ],
  [
    "outcome-unknown",
    { run: over("failed", null, true), lost: "controller-lost-it" },
    "restarted or stopped before it was polled",
    `instances show ${INSTANCE}`,
  ],
  [
    "outcome-unknown",
    { run: over("failed", null, true), lost: "superseded", newerRun: newer, otherRunning: newer },
    `before run ${NEWER} started`,
    `runs watch ${NEWER}`,
  ],
  [
    "possible-orphan",
    { run: over("failed", null, true), lost: "superseded" },
    "no newer run is on record",
    `runs diagnose ${RUN}`,
  ],
  ["possible-orphan", { run: over("completed", 0), startRefusedAt: NOW }, "a start is refused", `runs diagnose ${RUN}`],
  ["possible-orphan", { run: over("completed", 0), unrecordedStart: start }, NEWER, `runs diagnose ${RUN}`],
  ["possible-orphan", { run: null, startRefusedAt: NOW }, "refuses a start as busy", "runs diagnose --user c0000000"],
  ["possible-orphan", { run: null, unrecordedStart: start }, NEWER, "runs diagnose --user c0000000"],
  ["possible-orphan", { run: null, unsettledStart: UNSETTLED }, "was never answered", `runs reconcile ${UNSETTLED.op}`],
  [
    "possible-orphan",
    { run: over("completed", 0), unsettledStart: UNSETTLED },
    "was never answered",
    `runs reconcile ${UNSETTLED.op}`,
  ],
  ["possible-orphan", { run: over("cancelled"), startRefusedAt: NOW }, "a start is refused", `runs diagnose ${RUN}`],
  [
    "cancelled",
    { run: over("cancelled"), ownCancel: UNSETTLED },
    `from this machine at ${NOW.toISOString()}: the answer was lost`,
    `runs logs ${RUN}`,
  ],
  [
    "cancelled",
    { run: over("cancelled"), audit: [{ ...start, action: "kiloclaw.cli_run.cancel", runId: RUN }] },
    "by ada.admin@kilocode.ai",
    `runs logs ${RUN}`,
  ],
  ["cancelled", { run: over("cancelled"), startRefusedAt: ago(3) }, "it was cancelled", `runs logs ${RUN}`],
  [
    "cancelled",
    { run: over("cancelled"), startRefusedAt: NOW, otherRunning: newer },
    "it was cancelled",
    `runs logs ${RUN}`,
  ],
  [
    "machine-down",
    { machine: "down", machineStatus: "stopped" },
    "is not running (stopped). It was not polled: that would mark it failed for good",
    `instances open ${INSTANCE}`,
  ],
  [
    "machine-down",
    { machine: "down", machineStatus: null, instanceDestroyed: true },
    "its instance was destroyed",
    `runs settle --instance ${INSTANCE} --force`,
  ],
  [
    "machine-down",
    { machine: null, machineStatus: null, instanceId: null },
    "no machine",
    "instances list --user c0000000",
  ],
  [
    "controller-silent",
    { looks: [1, 2, 3].map(() => trouble("the platform answered 500: KiloClaw API error (500)", true)) },
    "too old, or out of reach",
    `instances show ${INSTANCE}`,
  ],
  [
    "output-unstorable",
    { run: over("completed", 0), recordedStatus: "running", unstorable: true, otherRunning: newer },
    "it has ended (completed with exit code 0)",
    `runs logs ${RUN}`,
  ],
  [
    "no-answer",
    { looks: [trouble("fetch failed"), trouble("KiloClaw API error (500)", true)] },
    "the run is not affected",
    `runs diagnose ${RUN}`,
  ],
  ["no-answer", { machine: "unknown", machineStatus: null }, "no answer about its machine", `runs diagnose ${RUN}`],
  ["completed", { run: over("completed", 0) }, "it completed with exit code 0", `runs logs ${RUN}`],
  ["failed", { run: over("failed", 137) }, "it failed with exit code 137", `runs logs ${RUN}`],
  ["failed", { run: over("failed") }, "without an exit code", `runs logs ${RUN}`],
  ["no-run", { run: null }, "no run of jane@example.com is on record", "runs start --user c0000000"],
  ["no-run", { run: null, machine: "down" }, "no run", `instances open ${INSTANCE}`],
  ["no-run", { looks: [look({ answer: "not-found" })] }, "does not find it", "runs list --user c0000000"],
];

describe("a verdict", () => {
  it.each(TABLE)("%s of %j", (verdict, given, says, first) => {
    const judged = verdictOf(evidence(given), formatDuration);
    expect(judged.verdict).toBe(verdict);
    expect(judged.summary).toMatch(says);
    expect(String(judged.next[0]?.command)).toContain(`kiloclaw-admin ${first}`);
  });

  it("can be any of those there are", () => {
    expect(new Set(TABLE.map(([verdict]) => verdict))).toEqual(new Set(VERDICTS));
  });

  const anyRun = fc
    .record({
      status: fc.constantFrom("running", "completed", "failed", "cancelled"),
      exitCode: fc.option(fc.integer({ min: 0, max: 255 })),
      outcomeUnknown: fc.boolean(),
      completedAt: fc.option(fc.date({ noInvalidDate: true })),
      userEmail: fc.option(fc.constant("jane@example.com")),
    })
    .map((given): Run => ({ ...running, ...given }));
  const anyLook = fc.record({
    at: fc.constant(NOW),
    answer: fc.constantFrom("running", "ended", "not-found", "trouble"),
    outputLength: fc.option(fc.nat()),
    grewBy: fc.option(fc.nat()),
    problem: fc.option(fc.constantFrom("fetch failed", "a database query failed", "KiloClaw API error (500)")),
    controllerFailed: fc.boolean(),
  }) satisfies fc.Arbitrary<Look>;
  const anyEvidence = fc.record({
    at: fc.constant(NOW),
    userId: fc.constant(running.userId),
    userEmail: fc.option(fc.constant("jane@example.com")),
    run: fc.option(anyRun),
    recordedStatus: fc.option(fc.constantFrom("running", "completed", "failed", "cancelled")),
    ageMs: fc.option(fc.nat()),
    instanceId: fc.option(fc.constant(INSTANCE)),
    instanceDestroyed: fc.boolean(),
    machine: fc.option(fc.constantFrom("up", "down", "unknown")),
    machineStatus: fc.option(fc.constantFrom("running", "stopped")),
    looks: fc.array(anyLook, { maxLength: 4 }),
    silentMs: fc.option(fc.nat()),
    lost: fc.option(fc.constantFrom("controller-lost-it", "superseded")),
    newerRun: fc.option(fc.constant(newer)),
    otherRunning: fc.option(fc.constant(newer)),
    audit: fc.option(fc.constant([start])),
    unrecordedStart: fc.option(fc.constant(start)),
    startRefusedAt: fc.option(fc.constant(NOW)),
    unstorable: fc.boolean(),
    ownCancel: fc.option(fc.constant(UNSETTLED)),
    unsettledStart: fc.option(fc.constant(UNSETTLED)),
  }) satisfies fc.Arbitrary<Evidence>;

  it("is there for any evidence, in words and with a whole command to type next", () => {
    fc.assert(
      fc.property(anyEvidence, (given) => {
        const { verdict, summary, next } = verdictOf(given, formatDuration);
        expect(VERDICTS).toContain(verdict);
        expect(summary).not.toMatch(/undefined|null|NaN/);
        expect(next.length).toBeGreaterThan(0);
        for (const { what, command } of next) {
          expect(what).not.toBe("");
          expect(String(command)).toMatch(/^kiloclaw-admin (runs|instances) [a-z]+ \S/);
          expect(String(command)).not.toMatch(/undefined|null|RUN/);
        }
      }),
      { numRuns: 2_000 },
    );
  });

  it("never calls a run failed whose outcome nobody can know", () => {
    const lost = anyEvidence.filter(({ run }) => run !== null && run.status !== "running" && run.outcomeUnknown);
    fc.assert(
      fc.property(lost, (given) => {
        const { verdict } = verdictOf(given, formatDuration);
        expect(["outcome-unknown", "possible-orphan"]).toContain(verdict);
      }),
    );
  });

  it("offers a start only to a customer without any run", () => {
    fc.assert(
      fc.property(anyEvidence, (given) => {
        const { verdict, next } = verdictOf(given, formatDuration);
        const offersStart = next.some(({ command }) => String(command).includes("runs start"));
        expect(offersStart && !(verdict === "no-run" && given.run === null)).toBe(false);
      }),
    );
  });
});
