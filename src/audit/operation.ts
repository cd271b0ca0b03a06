import { isSamePlatform, platformOf, type PlatformIdentity } from "../api/origin.ts";
import { allOperations, type Operation } from "../journal/operations.ts";
import type { ScanOptions } from "../journal/scan.ts";

/** An operation of this machine's journal as the tool shows it: what was done to whom, by whom, why, and what became of it. */
export interface LoggedOperation {
  readonly at: Date;
  readonly action: string;
  readonly state: Operation["state"];
  /** What became of it as far as is known, in a word; `null` before anything is. */
  readonly result: string | null;
  readonly runId: string | null;
  readonly userId: string;
  readonly instanceId: string | null;
  readonly adminId: string | null;
  /** As it is on record; `null` in what older versions wrote. */
  readonly adminEmail: string | null;
  readonly ticket: string | null;
  readonly reason: string | null;
  /** What a person had to decide, such as `resend-unknown` or `close`. */
  readonly decision: string | null;
  readonly code: string | null;
  readonly promptLength: number | null;
  readonly promptSha256: string | null;
  /** When what became of it was written down. */
  readonly endedAt: Date | null;
  /** The admin who settled it later, with another command, and why. */
  readonly settledBy: string | null;
  readonly settledTicket: string | null;
  readonly settledReason: string | null;
  readonly profile: string;
  readonly origin: string;
  readonly tool: string;
  readonly op: string;
  /** The journal's file name, which it keeps when it is closed and moved. */
  readonly journal: string;
  /** Which record of the journal it begins with, counted from 0, and that record's hash. */
  readonly record: number;
  readonly recordHash: string;
  /** The hash of the record that says what became of it. */
  readonly endHash: string | null;
  /** The ID of the sandbox that it was done to; `null` on any other platform. */
  readonly sandbox: string | null;
  /** Of a call by name (`api`): what was called. */
  readonly procedure: string | null;
  /** Of a start: the playbook that its prompt comes from, and the hash of its file. */
  readonly playbook: string | null;
  readonly playbookSha256: string | null;
}

export const OPERATION_FIELDS = [
  "at",
  "action",
  "state",
  "result",
  "runId",
  "userId",
  "instanceId",
  "adminId",
  "ticket",
  "reason",
  "decision",
  "code",
  "promptLength",
  "promptSha256",
  "endedAt",
  "settledBy",
  "settledTicket",
  "settledReason",
  "profile",
  "origin",
  "tool",
  "op",
  "journal",
  "record",
  "recordHash",
  "endHash",
  "sandbox",
  "procedure",
  "adminEmail",
  "playbook",
  "playbookSha256",
] as const satisfies readonly (keyof LoggedOperation)[];

function loggedOperation({ journal, op, first, decisions, ending, playbook, state }: Operation): LoggedOperation {
  const later = ending?.kind === "reconcile" ? ending : null;
  const about = first.kind === "reconcile" ? first.adopted : first;
  const prompt = "promptSha256" in about ? about : later?.adopted;
  return {
    at: new Date(first.at),
    action: first.action,
    state,
    result: ending?.result ?? null,
    runId: ending?.runId ?? first.runId,
    userId: about.userId,
    instanceId: about.instanceId,
    adminId: later?.adopted ? later.adopted.adminId : first.adminId,
    adminEmail: later?.adopted ? null : (first.adminEmail ?? null),
    ticket: first.ticket,
    reason: first.reason,
    decision: decisions.at(-1)?.decision ?? null,
    code: ending?.code ?? null,
    promptLength: prompt?.promptLength ?? null,
    promptSha256: prompt?.promptSha256 ?? null,
    endedAt: ending ? new Date(ending.at) : null,
    settledBy: later?.adminId ?? null,
    settledTicket: later?.ticket ?? null,
    settledReason: later?.reason ?? null,
    profile: first.profile,
    origin: first.origin,
    tool: first.tool,
    op,
    journal: journal.name,
    record: first.seq,
    recordHash: first.hash,
    endHash: ending?.hash ?? null,
    sandbox: first.sandbox ?? null,
    procedure: (first.kind === "intent" && first.call?.procedure) || null,
    playbook: playbook?.name ?? null,
    playbookSha256: playbook?.sha256 ?? null,
  };
}

/**
 * The operations of this machine that pass the filter, in the order in which they were begun.
 *
 * @throws CliError `local-state` where a journal cannot be read, unless there is an `onDamaged`.
 */
export async function* loggedOperations(
  stateDirectory: string,
  filter: OperationFilter,
  options: Pick<ScanOptions, "onDamaged">,
): AsyncGenerator<LoggedOperation, void, undefined> {
  for await (const found of allOperations(stateDirectory, options)) {
    const operation = loggedOperation(found);
    if (passes(operation, filter)) yield operation;
  }
}

export interface OperationFilter {
  readonly userId?: string | undefined;
  /** Beginnings of IDs, in lower case. */
  readonly run?: string | undefined;
  readonly instance?: string | undefined;
  readonly op?: string | undefined;
  readonly ticket?: string | undefined;
  readonly action?: string | undefined;
  readonly origin?: string | undefined;
  readonly platform?: PlatformIdentity | undefined;
  readonly since?: Date | undefined;
  readonly until?: Date | undefined;
  /** Only what is not settled. */
  readonly open?: boolean | undefined;
}

function passes(
  operation: LoggedOperation,
  { userId, run, instance, op, ticket, action, origin, platform, since, until, open }: OperationFilter,
): boolean {
  const { state } = operation;
  return (
    (userId === undefined || operation.userId === userId) &&
    (run === undefined || operation.runId?.startsWith(run) === true) &&
    (instance === undefined || operation.instanceId?.startsWith(instance) === true) &&
    (op === undefined || operation.op.startsWith(op)) &&
    (ticket === undefined || operation.ticket === ticket || operation.settledTicket === ticket) &&
    (action === undefined || operation.action === action) &&
    (origin === undefined || platformOf(operation.origin) === platformOf(origin)) &&
    (platform === undefined || isSamePlatform(operation, platform)) &&
    (since === undefined || operation.at >= since) &&
    (until === undefined || operation.at < until) &&
    (open !== true || (state !== "settled" && state !== "not-sent"))
  );
}
