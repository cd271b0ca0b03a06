import * as z from "zod";

const text = z.string().nullable();
const count = z.int().nonnegative().nullable();

export const journalRecordShape = z
  .object({
    at: z.date(),
    kind: z.enum(["job", "intent", "outcome", "reconcile", "override", "end"]),
    action: text,
    op: text,
    result: text,
    settled: z.boolean().nullable(),
    runId: text,
    userId: text,
    instanceId: text,
    decision: text,
    code: text,
    ticket: text,
    reason: text,
    promptSha256: text,
    promptLength: count,
    knownRunIds: z.array(z.string()).readonly().nullable(),
    adminId: text,
    profile: text,
    origin: text,
    tool: text,
    monotonicMs: z.number().nullable(),
    total: count,
    settings: z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.null()])).nullable(),
    intents: count,
    open: count,
    journal: z.string(),
    seq: count,
    batch: count,
    prev: text,
    hash: text,
    sandbox: text,
    call: z.object({ procedure: z.string(), inputSha256: z.string() }).nullable(),
    playbook: z.object({ name: z.string(), sha256: z.string() }).nullable(),
  })
  .meta({ description: "a record of this machine's journal; what its kind does not have is null" });
