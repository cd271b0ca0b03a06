/** What this machine has on record, and how it compares with the platform. */
import * as z from "zod";
import { runShape } from "./run.ts";

const count = z.int().nonnegative();
const text = z.string().nullable();

export const settledRunShape = runShape
  .pick({
    id: true,
    userId: true,
    userEmail: true,
    instanceId: true,
    exitCode: true,
    startedAt: true,
    completedAt: true,
  })
  .extend({
    became: z
      .enum(["running", "completed", "failed", "cancelled", "unknown", "left-alone", "no-answer"])
      .nullable()
      .meta({ description: "null in a dry run" }),
    problem: text,
  })
  .meta({ description: "a run as `runs settle` left it" });

export const reconciledShape = z
  .object({
    op: z.string(),
    action: z.string(),
    sentAt: z.date(),
    userId: z.string(),
    instanceId: text,
    ticket: text,
    result: z.enum(["open", "under-way", "found", "alarm", "closed", "running", "completed", "failed", "cancelled"]),
    runId: text,
  })
  .meta({ description: "an operation whose outcome was unknown" });

export const operationShape = z
  .object({
    at: z.date(),
    action: z.string(),
    state: z.enum(["settled", "open", "under-way", "not-sent", "unreadable"]),
    result: text,
    runId: text,
    userId: z.string(),
    instanceId: text,
    adminId: text,
    ticket: text,
    reason: text,
    decision: text.meta({ description: "what a person decided, such as `resend-unknown` or `close`" }),
    code: text,
    promptLength: count.nullable(),
    promptSha256: text,
    endedAt: z.date().nullable(),
    settledBy: text,
    settledTicket: text,
    settledReason: text,
    profile: z.string(),
    origin: z.string(),
    tool: z.string(),
    op: z.string(),
    journal: z.string(),
    record: count,
    recordHash: z.string(),
    endHash: text,
    sandbox: text,
    procedure: text.meta({ description: "what `api` called" }),
    adminEmail: text,
    playbook: text.meta({ description: "of a start: what its prompt comes from" }),
    playbookSha256: text,
  })
  .meta({ description: "an operation of this machine's journal" });

const verdict = z.enum([
  "verified",
  "nothing-to-compare",
  "under-way",
  "unchecked",
  "open",
  "no-audit-record",
  "mismatch",
  "not-in-journal",
]);

export const accountShape = z
  .object({
    at: z.date(),
    action: z.string(),
    state: operationShape.shape.state.nullable(),
    result: text,
    runId: text,
    instanceId: text,
    userId: z.string(),
    userEmail: text,
    adminId: text,
    adminEmail: text,
    ticket: text,
    reason: text,
    decision: text,
    endedAt: z.date().nullable(),
    settledBy: text,
    settledTicket: text,
    settledReason: text,
    code: text,
    promptLength: count.nullable(),
    promptSha256: text,
    verified: z.boolean().meta({ description: "the platform's audit log says the same" }),
    verdict,
    detail: text,
    auditId: text,
    auditAt: z.date().nullable(),
    origin: z.string(),
    op: text,
    journal: text,
    record: count.nullable(),
    recordHash: text,
    endHash: text,
    procedure: text,
    playbook: text,
    playbookSha256: text,
  })
  .meta({ description: "an operation for an auditor, joined with the platform's record" });

export const openPointShape = z
  .object({
    kind: z.enum(["open-start", "unknown", "running", "failed", "job"]),
    at: z.date().meta({ description: "when it was started, sent or begun" }),
    userId: text,
    userEmail: text,
    instanceId: text,
    runId: text,
    jobId: text,
    op: text.meta({ description: "the operation, of a start with unknown outcome" }),
    by: text.meta({ description: "the admin's e-mail address, or ID" }),
    ticket: text.meta({ description: "as this machine has it on record" }),
    detail: z.string(),
    next: z.string().meta({ description: "the next command" }),
  })
  .meta({ description: "what one shift leaves to the next" });

export const verificationShape = z
  .object({
    subject: z.enum(["journal", "operation"]),
    verdict: z.enum([...verdict.options, "ended", "not-ended", "damaged"]),
    finding: z.boolean(),
    at: z.date().nullable(),
    action: text,
    runId: text,
    userId: text,
    instanceId: text,
    op: text,
    auditId: text,
    journal: text,
    detail: text,
    userEmail: text,
  })
  .meta({ description: "a journal or an operation, verified" });
