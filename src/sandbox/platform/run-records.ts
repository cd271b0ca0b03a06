/**
 * The records of recovery runs, for admins and for users alike: made at the start, brought up to date by whoever asks for the
 * status or cancels. Nothing else ends a record: a run that nobody polls stays `running` in every list.
 */
import { and, eq } from "drizzle-orm";
import { UNKNOWN_OUTCOME_OUTPUTS } from "../../contract/procedures.ts";
import { parseTimestamp } from "../../contract/timestamp.ts";
import type { Database } from "../database/database.ts";
import { type CliRun, cliRuns, type Instance, type User } from "../database/schema.ts";
import type { FaultTarget, Faults } from "../faults.ts";
import type { ControllerRun } from "../machines/controller.ts";
import type { Worker } from "../machines/worker.ts";
import type { AuditLog } from "./audit-log.ts";
import { findInstance, findPersonalInstance } from "./instances.ts";
import { commandFailed, instanceNotFound, memberCommandFailed, statusFailed } from "./platform-error.ts";

/** Who asks, through which procedure, about whose runs. An admin leaves his name; a user acts for himself. */
export interface Caller {
  readonly procedure: string;
  readonly userId: string;
  readonly admin?: User | undefined;
  /** For an organization: its members are told less of what failed. */
  readonly asMember?: boolean;
}

export interface RunStatus {
  readonly hasRun: boolean;
  readonly status: CliRun["status"] | null;
  readonly output: string | null;
  readonly exitCode: number | null;
  readonly startedAt: string | null;
  readonly completedAt: string | null;
  readonly prompt: string | null;
  readonly initiatedBy: "admin" | "user" | null;
}

const NO_RUN: RunStatus = {
  hasRun: false,
  status: null,
  output: null,
  exitCode: null,
  startedAt: null,
  completedAt: null,
  prompt: null,
  initiatedBy: null,
};

const [LOST = "", SUPERSEDED = ""] = UNKNOWN_OUTCOME_OUTPUTS;

/** What the machine's newest run says about a record. */
type Sighting =
  | { readonly kind: "live"; readonly run: ControllerRun }
  | { readonly kind: "ended"; readonly run: ControllerRun }
  | { readonly kind: "unknown"; readonly output: string };

export class RunRecords {
  readonly #database: Database;
  readonly #worker: Worker;
  readonly #audit: AuditLog;
  readonly #faults: Faults;

  constructor(dependencies: { database: Database; worker: Worker; audit: AuditLog; faults: Faults }) {
    this.#database = dependencies.database;
    this.#worker = dependencies.worker;
    this.#audit = dependencies.audit;
    this.#faults = dependencies.faults;
  }

  /**
   * Starts a run and records it, in this order: what fails in between leaves a run without a record.
   *
   * @throws {PlatformError} when there is no such active instance, or as the worker refuses.
   */
  async create(caller: Caller, { instanceId, prompt }: { instanceId?: string | undefined; prompt: string }) {
    const instance = await this.#activeInstance(caller.userId, instanceId);
    const call = target(caller, instance.id);
    let startedAt: string | undefined;
    try {
      startedAt = await this.#worker.start(instance, prompt, call);
    } catch (error) {
      throw failed(caller, error, "start");
    }
    const id = await this.#record(caller, { instance, prompt, startedAt }, call);
    if (caller.admin) {
      await this.#audit.write(
        {
          action: "kiloclaw.cli_run.start",
          actor: caller.admin,
          targetUserId: caller.userId,
          message: `CLI run started on instance ${instance.id}`,
          metadata: { runId: id, instanceId: instance.id, promptLength: prompt.length },
        },
        call,
      );
    }
    return startedAt === undefined ? { id } : { ok: true, startedAt, id };
  }

  /**
   * What became of a run. While the record says `running` the machine is asked, and what it says of the end is recorded.
   *
   * @returns all nulls when the user has no such run (on the instance that the call is about).
   */
  async status(
    caller: Caller,
    { runId, instanceId }: { runId: string; instanceId?: string | undefined },
  ): Promise<RunStatus> {
    const { row, filter } = await this.#find(caller.userId, runId, instanceId);
    if (!row) return NO_RUN;
    if (row.status !== "running") return recorded(row);
    const sighting = await this.#look(row, target(caller, row.instance_id));
    return this.#settle(row, filter, sighting);
  }

  /**
   * Cancels a run that has not ended.
   *
   * @returns ok: the run is not running any more as far as the record knows, cancelled or not; not ok: the machine had
   *   nothing to cancel although it had a moment before.
   * @throws {PlatformError} as the worker refuses; `undefined` is returned when there is no such run.
   */
  async cancel(
    caller: Caller,
    { runId, instanceId }: { runId: string; instanceId?: string | undefined },
  ): Promise<{ ok: boolean } | undefined> {
    const { row, filter } = await this.#find(caller.userId, runId, instanceId);
    if (!row) return undefined;
    if (row.status !== "running") return { ok: true };
    const call = target(caller, row.instance_id);
    const instance = await this.#instanceOf(row);
    if (!instance) {
      await this.#settle(row, filter, { kind: "unknown", output: LOST });
      return { ok: true };
    }
    const { run, cancelled } = await this.#worker
      .cancel(instance, call, (seen) => sight(row, seen).kind === "live")
      .catch((error: unknown) => {
        throw failed(caller, error, "cancel");
      });
    if (cancelled === undefined) {
      await this.#settle(row, filter, sight(row, run)).catch((error: unknown) => {
        throw failed(caller, error, "cancel");
      });
      return { ok: true };
    }
    if (!cancelled) return { ok: false };
    const changed = await this.#finish(row, { status: "cancelled", completed_at: new Date().toISOString() });
    if (changed && caller.admin) {
      await this.#audit.write(
        {
          action: "kiloclaw.cli_run.cancel",
          actor: caller.admin,
          targetUserId: caller.userId,
          message: "CLI run cancelled",
          metadata: {
            runId,
            instanceId: row.instance_id,
            requestedInstanceId: instanceId ?? null,
            usedFallback: instanceId !== undefined && filter === undefined,
          },
        },
        call,
      );
    }
    return { ok: true };
  }

  /** The instance a start is for: the named one if it is active and the user's, else his personal one. */
  async #activeInstance(userId: string, instanceId: string | undefined): Promise<Instance> {
    if (instanceId === undefined) {
      const personal = await findPersonalInstance(this.#database, userId);
      if (!personal) throw instanceNotFound();
      return personal;
    }
    const instance = await findInstance(this.#database, instanceId);
    if (!instance || instance.destroyed_at !== null) throw instanceNotFound(`Instance ${instanceId} not found`);
    if (instance.user_id !== userId) throw instanceNotFound();
    return instance;
  }

  async #record(
    { userId, admin }: Caller,
    { instance, prompt, startedAt }: { instance: Instance; prompt: string; startedAt: string | undefined },
    call: FaultTarget,
  ): Promise<string> {
    // No such instance: the database itself refuses the row.
    const instanceId = this.#faults.take(["insert-failure"], call) ? crypto.randomUUID() : instance.id;
    const [row] = await this.#database
      .insert(cliRuns)
      .values({
        user_id: userId,
        instance_id: instanceId,
        initiated_by_admin_id: admin?.id ?? null,
        prompt,
        ...(startedAt !== undefined && { started_at: startedAt }),
      })
      .returning({ id: cliRuns.id });
    if (!row) throw new Error("the inserted run was not returned");
    return row.id;
  }

  /**
   * The user's run. With an active instance of his own only that instance's runs are looked at, without a name the active
   * personal one's; the id of an unknown or destroyed instance lifts the filter, so that its runs can still be reached.
   */
  async #find(userId: string, runId: string, instanceId: string | undefined) {
    const filter = await this.#filter(userId, instanceId);
    const [row] = await this.#database
      .select()
      .from(cliRuns)
      .where(
        and(
          eq(cliRuns.id, runId),
          eq(cliRuns.user_id, userId),
          filter === undefined ? undefined : eq(cliRuns.instance_id, filter),
        ),
      );
    return { row, filter };
  }

  async #filter(userId: string, instanceId: string | undefined): Promise<string | undefined> {
    if (instanceId === undefined) return (await findPersonalInstance(this.#database, userId))?.id;
    const instance = await findInstance(this.#database, instanceId);
    if (!instance || instance.destroyed_at !== null) return undefined;
    if (instance.user_id !== userId) throw instanceNotFound();
    return instance.id;
  }

  async #instanceOf(row: CliRun): Promise<Instance | undefined> {
    return row.instance_id === null ? undefined : findInstance(this.#database, row.instance_id);
  }

  async #look(row: CliRun, call: FaultTarget): Promise<Sighting> {
    const instance = await this.#instanceOf(row);
    if (!instance) return { kind: "unknown", output: LOST };
    try {
      return sight(row, await this.#worker.status(instance, call));
    } catch (error) {
      throw statusFailed(error);
    }
  }

  /**
   * Records what was seen, and answers it: the machine's own timestamps are ISO, the record's are PostgreSQL text. Of two
   * polls that see the end at once both answer what they saw.
   *
   * @throws DrizzleQueryError when the output cannot be stored (a NUL). Its message, with the statement and its parameters in
   *   the platform's order, is what the platform answers.
   */
  async #settle(row: CliRun, filter: string | undefined, sighting: Sighting): Promise<RunStatus> {
    if (sighting.kind === "live") return seen(row, sighting.run);
    if (sighting.kind === "ended") {
      const { run } = sighting;
      await this.#database
        .update(cliRuns)
        .set({
          status: run.status,
          exit_code: run.exitCode,
          output: run.output,
          completed_at: run.completedAt ?? new Date().toISOString(),
        })
        .where(
          and(
            eq(cliRuns.id, row.id),
            eq(cliRuns.user_id, row.user_id),
            eq(cliRuns.status, "running"),
            filter === undefined ? undefined : eq(cliRuns.instance_id, filter),
          ),
        );
      return seen(row, run);
    }
    const completed_at = new Date().toISOString();
    const changed = await this.#finish(row, { status: "failed", output: sighting.output, completed_at });
    return changed ? recorded({ ...row, status: "failed", output: sighting.output, completed_at }) : this.#again(row);
  }

  /** Ends a record that is still running; whoever comes second changes nothing. */
  async #finish(row: CliRun, values: Partial<typeof cliRuns.$inferInsert>): Promise<boolean> {
    const changed = await this.#database
      .update(cliRuns)
      .set(values)
      .where(and(eq(cliRuns.id, row.id), eq(cliRuns.status, "running")))
      .returning({ id: cliRuns.id });
    return changed.length > 0;
  }

  /** Somebody else ended the record in the meantime: his word stands. */
  async #again(row: CliRun): Promise<RunStatus> {
    const [current] = await this.#database.select().from(cliRuns).where(eq(cliRuns.id, row.id));
    return current ? recorded(current) : NO_RUN;
  }
}

function failed({ asMember = false }: Caller, error: unknown, doing: "start" | "cancel"): unknown {
  return asMember ? memberCommandFailed(error, doing) : commandFailed(error, doing);
}

function target({ procedure, userId }: Caller, instanceId: string | null): FaultTarget {
  return { procedure, userId, instanceId: instanceId ?? undefined };
}

/** A run is the record's when both started in the same millisecond. */
function sight(row: CliRun, run: ControllerRun | null): Sighting {
  if (!run) return { kind: "unknown", output: LOST };
  if (parseTimestamp(row.started_at)?.getTime() !== Date.parse(run.startedAt))
    return { kind: "unknown", output: SUPERSEDED };
  return { kind: run.status === "running" ? "live" : "ended", run };
}

function initiator(row: CliRun): "admin" | "user" {
  return row.initiated_by_admin_id === null ? "user" : "admin";
}

function recorded(row: CliRun): RunStatus {
  return {
    hasRun: true,
    status: row.status,
    output: row.output,
    exitCode: row.exit_code,
    startedAt: row.started_at,
    completedAt: row.completed_at,
    prompt: row.prompt,
    initiatedBy: initiator(row),
  };
}

function seen(row: CliRun, run: ControllerRun): RunStatus {
  return {
    hasRun: true,
    status: run.status,
    output: run.output,
    exitCode: run.exitCode,
    startedAt: run.startedAt,
    completedAt: run.completedAt,
    prompt: row.prompt,
    initiatedBy: initiator(row),
  };
}
