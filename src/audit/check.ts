/**
 * Compares this machine's journal with the platform's audit log, which is the independent witness: what one of them has and
 * the other has not, and where they contradict each other. Changes nothing, and asks no run for its status.
 */
import type { Api } from "../api/api.ts";
import { CONCURRENCY, pooled } from "../async/pool.ts";
import { isSeen } from "../journal/record.ts";
import { listRuns } from "../runs/list.ts";
import type { Run } from "../runs/run.ts";
import type { LoggedOperation } from "./operation.ts";
import { listAudit, MAX_AUDIT_RECORDS, type AuditRecord } from "./records.ts";

/**
 * - `verified`: the platform has an audit record of it, and that says the same.
 * - `nothing-to-compare`: it left no audit record, and should not have: it was refused, not sent, or nothing came of it; or it
 *   is an example run that a sandbox came with.
 * - `under-way`: a process is at it.
 * - `unchecked`: the platform does not give its records back that far, or the journal cannot be read that far.
 * - `open`: nobody knows what became of it.
 * - `no-audit-record`, `mismatch`, `not-in-journal`: findings.
 */
type Verdict =
  | "verified"
  | "nothing-to-compare"
  | "under-way"
  | "unchecked"
  | "open"
  | "no-audit-record"
  | "mismatch"
  | "not-in-journal";

/** An operation of the journal, or a trace of one that is not in it, with what the platform says of it. */
export interface Check {
  readonly at: Date;
  readonly action: string;
  readonly runId: string | null;
  readonly userId: string;
  readonly instanceId: string | null;
  readonly adminId: string | null;
  readonly verdict: Verdict;
  /** Whether somebody should look into it. */
  readonly finding: boolean;
  readonly detail: string | null;
  readonly operation: LoggedOperation | null;
  readonly record: AuditRecord | null;
}

export interface CompareOptions {
  /** The operations that this machine's journals have about this platform, as they are now. */
  readonly read: () => AsyncIterable<LoggedOperation>;
  /** Who we are to the platform; absent: nothing can be told to be ours, so that what the journal has not is not looked for. */
  readonly adminId: string | undefined;
  /** When the platform, a sandbox, began: its runs from before are examples that came with it. Absent: it has none. */
  readonly madeAt?: Date | undefined;
  /** Leaves out what is older. */
  readonly since?: Date | undefined;
}

/** What the audit log calls the actions that it has records of, and what became of those that leave one. */
const AUDITED: Readonly<Record<string, { readonly action: string; readonly leavesRecord: readonly string[] }>> = {
  start: { action: "kiloclaw.cli_run.start", leavesRecord: ["started", "found", "adopted"] },
  cancel: { action: "kiloclaw.cli_run.cancel", leavesRecord: ["cancelled"] },
};

/** As long as the platform may take to write down a run that was started: after that somebody has to look. */
const OPEN_TOO_LONG_MS = 6 * 60_000;
/** How far this machine's clock may be off. */
const CLOCK_SLACK_MS = 60_000;

/**
 * Compares every operation with the platform's audit records about its user, and the records and runs that are ours with the
 * operations. The users are those of the journal, and those of the runs that we started.
 *
 * @returns what the journal has, in its order, then what it has not, by time.
 * @throws ApiError
 */
export async function compareWithPlatform(api: Api, options: CompareOptions): Promise<Check[]> {
  const { read, adminId, since } = options;
  const operations = await all(read());
  // The journal's times are this machine's.
  const theirs = ({ at }: LoggedOperation) => api.clock.toPlatform(at);
  const chosen = operations.filter((operation) => since === undefined || theirs(operation) >= since);
  const ours = { initiatedBy: "admin", adminId, since: since && (() => since) } as const;
  const runs = adminId === undefined ? [] : await all(listRuns(api, ours, Number.MAX_SAFE_INTEGER));
  const log = await AuditLog.of(
    api,
    [...chosen, ...runs].map(({ userId }) => userId),
  );
  const claims = claimsOf(operations);
  const known = chosen.map((operation) => judge(operation, log, claims));

  const strangers = (have: readonly LoggedOperation[]) => notInJournal(have, log, runs, { ...options, theirs });
  // What was started while the platform was asked is in the journal by now.
  const missing = strangers(operations).length > 0 ? strangers(await all(read())) : [];
  return [...known, ...missing];
}

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const item of items) found.push(item);
  return found;
}

/** The action that a record of the platform is about, in the journal's word. */
function actionOf(record: AuditRecord): string | undefined {
  return Object.keys(AUDITED).find((action) => AUDITED[action]?.action === record.action);
}

/** The audit records about some users, as far as the platform gives them. */
class AuditLog {
  readonly records: readonly AuditRecord[];
  readonly #byKey: ReadonlyMap<string, AuditRecord>;
  /** The oldest record that is given of a user who has more. */
  readonly #cutAt: ReadonlyMap<string, Date>;

  private constructor(byUser: ReadonlyMap<string, readonly AuditRecord[]>) {
    this.records = [...byUser.values()].flat();
    this.#byKey = new Map(this.records.map((record) => [keyOf(record.action, record.runId), record]));
    this.#cutAt = new Map(
      [...byUser].flatMap(([userId, records]) => {
        const oldest = records.at(-1);
        return oldest && records.length >= MAX_AUDIT_RECORDS ? [[userId, oldest.createdAt]] : [];
      }),
    );
  }

  static async of(api: Api, userIds: readonly string[]): Promise<AuditLog> {
    const byUser = new Map<string, AuditRecord[]>();
    const ask = async (userId: string) => [userId, await listAudit(api, userId, MAX_AUDIT_RECORDS)] as const;
    // A call by name may be about nobody.
    const users = new Set(userIds.filter((userId) => userId !== ""));
    for await (const [userId, records] of pooled(users, CONCURRENCY, ask)) byUser.set(userId, records);
    return new AuditLog(byUser);
  }

  find(action: string, runId: string | null): AuditRecord | undefined {
    return this.#byKey.get(keyOf(action, runId));
  }

  /** Whether a record of that time may be there without being given. */
  isCut(userId: string, at: Date): boolean {
    const oldest = this.#cutAt.get(userId);
    return oldest !== undefined && at.getTime() < oldest.getTime() + CLOCK_SLACK_MS;
  }
}

function keyOf(action: string, runId: string | null): string {
  return `${action} ${runId}`;
}

/**
 * The operations that say of a run that they started it, by run. One that was refused as busy and saw a run just like its own
 * (`alike`) does not.
 */
function claimsOf(operations: readonly LoggedOperation[]): ReadonlyMap<string, readonly LoggedOperation[]> {
  const claims = new Map<string, LoggedOperation[]>();
  for (const operation of operations) {
    const { action, runId, result } = operation;
    if (action !== "start" || runId === null || !AUDITED.start?.leavesRecord.includes(result ?? "")) continue;
    claims.set(runId, [...(claims.get(runId) ?? []), operation]);
  }
  return claims;
}

function judge(operation: LoggedOperation, log: AuditLog, claims: ReturnType<typeof claimsOf>): Check {
  const { state, action, result, code, runId, userId, instanceId, adminId, at } = operation;
  const say = (verdict: Verdict, detail: string | null = null, record: AuditRecord | null = null): Check => {
    const finding = verdict === "no-audit-record" || verdict === "mismatch";
    return { at, action, runId, userId, instanceId, adminId, verdict, finding, detail, operation, record };
  };
  if (state === "under-way") return say("under-way");
  if (state === "unreadable") return say("unchecked", "its outcome is in the damaged part of the journal");
  if (state === "open") {
    const finding = Date.now() - at.getTime() > OPEN_TOO_LONG_MS;
    return { ...say("open", "outcome unknown"), finding };
  }
  const audited = AUDITED[action];
  if (isSeen(result)) {
    return say("nothing-to-compare", "refused as busy; a matching run was seen, perhaps its own");
  }
  if (state === "not-sent" || !audited || runId === null || !audited.leavesRecord.includes(result ?? "")) {
    return say("nothing-to-compare");
  }
  const rivals = action === "start" ? (claims.get(runId) ?? []).filter(({ op }) => op !== operation.op) : [];
  if (rivals.length > 0) {
    const ops = rivals.map(({ op }) => op).join(", ");
    return say("mismatch", `another start has the same run on record as its own: operation ${ops}`);
  }
  const record = log.find(audited.action, runId);
  if (!record && log.isCut(userId, at)) {
    return say(
      "unchecked",
      `older than the newest ${MAX_AUDIT_RECORDS} audit records of its user, which is all that the platform returns`,
    );
  }
  if (!record) {
    if (action === "cancel" && code !== null) {
      return say(
        "nothing-to-compare",
        `its answer was lost (${code}): the platform keeps no audit record of such a cancel`,
      );
    }
    // Only the cancel that took effect leaves a record.
    const others = action === "cancel" ? ": perhaps the customer cancelled it first" : "";
    return say("no-audit-record", `the platform has no audit record of it${others}`);
  }
  if (action === "cancel" && adminId !== null && record.actorId !== adminId) {
    return say("nothing-to-compare", `${record.actorEmail ?? record.actorId ?? "another"} cancelled it first`, record);
  }
  const differences = differencesBetween(operation, record);
  return differences.length === 0 ? say("verified", null, record) : say("mismatch", differences.join("; "), record);
}

function differencesBetween(operation: LoggedOperation, record: AuditRecord): string[] {
  const pairs = [
    ["user", operation.userId, record.targetUserId],
    ["instance", operation.instanceId, record.instanceId],
    ["admin", operation.adminId, record.actorId],
    ["prompt's length", operation.promptLength, record.metadata?.promptLength ?? null],
  ] as const;
  return pairs.flatMap(([what, here, there]) =>
    // The journal of an admin whose token does not say who he is has nothing to compare.
    here === null || here === there ? [] : [`${what}: ${here} in the journal, ${String(there)} on the platform`],
  );
}

/** What is ours by the platform's account, and in no journal. */
function notInJournal(
  operations: readonly LoggedOperation[],
  log: AuditLog,
  runs: readonly Run[],
  { adminId, since, madeAt, theirs }: CompareOptions & Pick<Strangers, "theirs">,
): Check[] {
  if (adminId === undefined) return [];
  const known = new Set(operations.flatMap(({ action, runId }) => (runId === null ? [] : [keyOf(action, runId)])));
  const found: Check[] = [];
  for (const record of log.records) {
    const { actorId, runId, instanceId, targetUserId: userId, createdAt: at, metadata } = record;
    const action = actionOf(record);
    if (action === undefined || actorId !== adminId || known.has(keyOf(action, runId))) continue;
    if (since !== undefined && at < since) continue;
    const stranger = { at, action, runId, userId, instanceId, adminId, record };
    found.push(...strange({ operations, theirs }, stranger, metadata?.promptLength));
  }
  for (const { id: runId, userId, instanceId, startedAt: at, prompt } of runs) {
    if (known.has(keyOf("start", runId)) || log.find("kiloclaw.cli_run.start", runId)) continue;
    const stranger = { at, action: "start", runId, userId, instanceId, adminId, record: null };
    if (madeAt !== undefined && at < madeAt) found.push(exampleRun(stranger));
    else found.push(...strange({ operations, theirs }, stranger, prompt.length));
  }
  return found.toSorted((a, b) => a.at.getTime() - b.at.getTime() || `${a.runId}`.localeCompare(`${b.runId}`));
}

/** Nobody started it: the sandbox was made with it. */
function exampleRun(run: Omit<Check, "verdict" | "finding" | "detail" | "operation">): Check {
  const detail = "older than the sandbox: an example run that came with it";
  return { ...run, verdict: "nothing-to-compare", finding: false, detail, operation: null };
}

interface Strangers {
  readonly operations: readonly LoggedOperation[];
  /** When an operation was, by the platform's clock. */
  readonly theirs: (operation: LoggedOperation) => Date;
}

/** Nothing where a process of this machine is about to write it down. */
function strange(
  { operations, theirs }: Strangers,
  stranger: Omit<Check, "verdict" | "finding" | "detail" | "operation">,
  promptLength: unknown,
): Check[] {
  const perhaps = operations.filter(
    (operation) =>
      operation.action === stranger.action &&
      operation.instanceId === stranger.instanceId &&
      operation.runId === null &&
      operation.promptLength === promptLength &&
      stranger.at.getTime() > theirs(operation).getTime() - CLOCK_SLACK_MS &&
      stranger.at.getTime() < theirs(operation).getTime() + OPEN_TOO_LONG_MS,
  );
  if (perhaps.some(({ state }) => state === "under-way")) return [];
  const likely = perhaps.find(({ state }) => state !== "settled") ?? perhaps[0];
  const detail = likely
    ? `perhaps what became of operation ${likely.op}, which is ${likely.state === "settled" ? `down as ${likely.result}` : likely.state}`
    : "done elsewhere (web app, another machine), or its journal is gone";
  return [{ ...stranger, verdict: "not-in-journal", finding: true, detail, operation: null }];
}
