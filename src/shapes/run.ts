import * as z from "zod";
import { runStatus } from "../contract/procedures.ts";

/** A recovery run as the tool shows it. */
export const runShape = z
  .object({
    id: z.string(),
    status: runStatus,
    bucket: z
      .enum(["pending", "pass", "fail", "cancel", "unknown"])
      .meta({ description: "the status for scripts; `unknown`: how the run really ended is lost" }),
    userId: z.string(),
    userEmail: z.string().nullable(),
    instanceId: z.string().nullable(),
    initiatedBy: z.enum(["admin", "user"]),
    initiatedByAdminId: z.string().nullable(),
    initiatedByAdminEmail: z.string().nullable(),
    prompt: z.string(),
    exitCode: z.int().nullable(),
    startedAt: z.date(),
    completedAt: z.date().nullable(),
    durationMs: z.number().nullable().meta({ description: "from start to end; null while the run is in progress" }),
    outcomeUnknown: z.boolean(),
  })
  .meta({ description: "a recovery run" });

export const runDetailsShape = runShape
  .extend({
    retryOf: z.string().nullable().meta({ description: "the run that it repeats" }),
    retriedAs: z.array(z.string()).readonly().meta({ description: "the runs that repeat it" }),
    playbook: z
      .string()
      .nullable()
      .meta({ description: "what its prompt comes from, as this machine has it on record" }),
    playbookSha256: z.string().nullable(),
  })
  .meta({ description: "a recovery run, with its playbook, what it repeats and what repeats it" });

export const runOutputShape = runShape
  .extend({ output: z.string() })
  .meta({ description: "a recovery run with its output" });
