import * as z from "zod";
import { auditRecordShape } from "./platform.ts";
import { runShape } from "./run.ts";

const operation = z.object({ op: z.string(), at: z.date() }).nullable();

const look = z.object({
  at: z.date(),
  answer: z.enum(["running", "ended", "not-found", "trouble"]),
  outputLength: z.int().nullable(),
  grewBy: z.int().nullable(),
  problem: z.string().nullable(),
  controllerFailed: z.boolean(),
});

const evidence = z.object({
  at: z.date(),
  userId: z.string(),
  userEmail: z.string().nullable(),
  run: runShape.nullable(),
  recordedStatus: runShape.shape.status.nullable().meta({ description: "what the row said before it was polled" }),
  ageMs: z.number().nullable(),
  instanceId: z.string().nullable(),
  instanceDestroyed: z.boolean(),
  machine: z.enum(["up", "down", "unknown"]).nullable(),
  machineStatus: z.string().nullable(),
  looks: z.array(look).readonly(),
  silentMs: z.number().nullable(),
  lost: z.enum(["controller-lost-it", "superseded"]).nullable(),
  newerRun: runShape.nullable(),
  otherRunning: runShape.nullable(),
  audit: z.array(auditRecordShape).readonly().nullable(),
  unrecordedStart: auditRecordShape.nullable(),
  startRefusedAt: z.date().nullable(),
  unstorable: z.boolean(),
  ownCancel: operation,
  unsettledStart: operation,
});

export const diagnosisShape = z
  .object({
    runId: z.string().nullable(),
    verdict: z.enum([
      "working",
      "silent",
      "finished-unrecorded",
      "outcome-unknown",
      "possible-orphan",
      "machine-down",
      "controller-silent",
      "output-unstorable",
      "no-answer",
      "completed",
      "failed",
      "cancelled",
      "no-run",
    ]),
    summary: z.string(),
    next: z.array(z.object({ what: z.string(), command: z.string() })).readonly(),
    evidence,
  })
  .meta({ description: "what a run is doing" });
