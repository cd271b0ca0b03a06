/** What a test writes into journals of its own. */
import { randomUUID } from "node:crypto";
import type { Invocation } from "../../src/journal/journal.ts";
import { promptFacts, type Entry } from "../../src/journal/record.ts";

export const invocation: Invocation = {
  action: "start",
  profile: "default",
  origin: "https://app.kilo.ai",
  adminId: "admin-1",
  ticket: null,
  reason: null,
  tool: "0.0.0-test",
  pid: process.pid,
};

export const instanceOf = (index: number) => `20000000-0000-4000-8000-${String(index).padStart(12, "0")}`;

/** A start of this operation is about to be sent to customer `index`. */
export const intent = (op: string, index: number): Entry => {
  const target = { userId: `user-${index}`, instanceId: instanceOf(index), runId: null };
  return { kind: "intent", op, ...target, ...promptFacts("repair it"), knownRunIds: [] };
};

/** It has started this run. */
export const outcome = (op: string, runId = randomUUID()): Entry => {
  return { kind: "outcome", op, runId, result: "started", settled: true, code: null };
};
