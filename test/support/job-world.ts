/** A platform and processes of a job that are made up: each can be killed at any of its steps, and leaves what was on the disk. */
import { randomUUID } from "node:crypto";
import { cpSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { ApiError, refusal } from "../../src/api/api-error.ts";
import type { Api } from "../../src/api/api.ts";
import { execute } from "../../src/bulk/execute/execution.ts";
import type { JobEvent } from "../../src/bulk/execute/job-event.ts";
import type { Target } from "../../src/bulk/item.ts";
import { Results, writePlan } from "../../src/bulk/job/files.ts";
import { assemble, findJob } from "../../src/bulk/job/job.ts";
import { JobRecords } from "../../src/bulk/job/records.ts";
import { reconcileItems } from "../../src/bulk/job/resume.ts";
import { toRecorded, type JobSettings } from "../../src/bulk/job/settings.ts";
import { admin, UPSTREAM_CODES } from "../../src/contract/procedures.ts";
import { Ledger } from "../../src/journal/ledger.ts";
import { SYSTEM_TIMING, type Timing } from "../../src/timing.ts";
import { Dice } from "../faults/dice.ts";
import { IMPATIENT } from "./timing.ts";

const ME = "a0000000-0000-4000-8000-000000000001";
const COLLEAGUE = "a0000000-0000-4000-8000-000000000002";
const PROMPT = "gateway crash-loops";
const ORIGIN = "https://app.kilo.ai";
/** The processes wait for each other, and for a platform that fails, as briefly as they can. */
const TIMING: Timing = {
  ...SYSTEM_TIMING,
  ...IMPATIENT,
  job: { ...SYSTEM_TIMING.job, patienceMs: 50, pauseMs: 1 },
};
const SETTINGS: JobSettings = {
  concurrency: 3,
  rate: null,
  maxRunning: null,
  canary: null,
  maxErrors: null,
  onConflict: "skip",
  wait: false,
  runTimeoutMs: null,
  unlessStartedSince: null,
  playbook: null,
};
export const instanceOf = (index: number) => `d0000000-0000-4000-8000-${String(index).padStart(12, "0")}`;
const userOf = (index: number) => `c0000000-0000-4000-8000-${String(index).padStart(12, "0")}`;

export function target(index: number): Target {
  const userEmail = `customer${index}@example.com`;
  return {
    index,
    line: index,
    named: userEmail,
    instance: null,
    fields: {},
    userId: userOf(index),
    userEmail,
    instanceId: instanceOf(index),
    planned: "startable",
    detail: null,
  };
}

export interface Row {
  readonly id: string;
  readonly admin: string;
  readonly instance_id: string;
  readonly started_at: Date;
  /** It came long after its request. */
  readonly late: boolean;
  status: "running" | "completed";
}

/** The platform, and the way there. */
export class World {
  readonly rows: Row[] = [];
  /** Requests that may have reached the platform, by instance. */
  readonly sends = new Map<string, number>();
  /** Instances to which a start was sent although the rows that were read before it had one of ours. */
  readonly sentInSpite: string[] = [];
  /** Whether the rows of an instance had one of ours when they were last read. */
  readonly #shown = new Map<string, boolean>();
  /** Nothing but an edge answers, for so many calls. */
  storm = 0;
  /** The token is refused. */
  refused = false;
  /** What the platform will do only later, and after how many calls. */
  late: { after: number; readonly instanceId: string }[] = [];
  faulty = true;
  readonly dice: Dice;

  constructor(seed: number) {
    this.dice = new Dice("job model", seed);
  }

  get ours(): Row[] {
    return this.rows.filter(({ admin }) => admin === ME);
  }

  tick(): void {
    for (const one of this.late) if ((one.after -= 1) === 0) this.start(one.instanceId, ME, true);
    this.late = this.late.filter(({ after }) => after > 0);
  }

  settle(): void {
    this.faulty = false;
    for (const { instanceId } of this.late.splice(0)) this.start(instanceId, ME, true);
  }

  /** `undefined`: the machine is busy. */
  start(instanceId: string, by = ME, late = false): Row | undefined {
    if (this.rows.some((row) => row.instance_id === instanceId && row.status === "running")) return undefined;
    const row: Row = {
      id: randomUUID(),
      admin: by,
      instance_id: instanceId,
      started_at: new Date(),
      late,
      status: "running",
    };
    this.rows.unshift(row);
    return row;
  }

  /** What stands in the way of every call. */
  #meet(procedure: string): void {
    if (this.refused) throw refusal(401, "no", { procedure, trpcCode: "UNAUTHORIZED" });
    if (!this.faulty) return;
    if (this.storm === 0 && this.dice.hits(0.01)) this.storm = this.dice.between(1, 30);
    if (this.storm === 0) return;
    this.storm -= 1;
    throw new ApiError("unreachable", "bad gateway", { procedure, sent: true, transient: true, httpStatus: 502 });
  }

  query(path: string, input: { id?: string; runId?: string; search?: string }): unknown {
    this.#meet(path);
    switch (path) {
      case admin.get.path:
        if (this.faulty && this.dice.hits(0.05)) throw refusal(500, "no database", { procedure: path });
        if (this.faulty && this.dice.hits(0.05)) this.start(input.id ?? "", COLLEAGUE);
        return instanceRow(input.id ?? "", this.faulty && this.dice.hits(0.05) ? "stopped" : "running");
      case admin.listAllCliRuns.path: {
        const rows = this.rows.filter((row) => row.instance_id === input.search);
        this.#shown.set(
          input.search ?? "",
          rows.some((row) => row.admin === ME),
        );
        const runs = rows.map(listed);
        return { runs, pagination: { offset: 0, limit: 100, total: runs.length, totalPages: 1 } };
      }
      case admin.getKiloCliRunStatus.path: {
        const row = this.rows.find(({ id }) => id === input.runId);
        if (!row) throw new Error("only a run with a row can be polled");
        row.status = "completed";
        return statusOf(row);
      }
      default:
        throw new Error(path);
    }
  }

  mutate({ instanceId = "" }: { instanceId?: string }): unknown {
    const procedure = admin.startKiloCliRun.path;
    this.#meet(procedure);
    if (this.#shown.get(instanceId) !== false) this.sentInSpite.push(instanceId);
    const lost = (sent: boolean) =>
      new ApiError("unreachable", "the connection broke", { procedure, sent, transient: true });
    const fate = this.faulty
      ? this.dice.pick("done", "done", "done", "not sent", "lost before", "lost after", "late", "429", "500", "409")
      : "done";
    if (fate === "not sent") throw lost(false);
    if (fate === "429") {
      throw refusal(429, "slow down", { procedure, trpcCode: "TOO_MANY_REQUESTS", retryAfterMs: 1 });
    }
    this.sends.set(instanceId, (this.sends.get(instanceId) ?? 0) + 1);
    if (fate === "lost before") throw lost(true);
    if (fate === "late") {
      this.late.push({ after: this.dice.between(1, 12), instanceId });
      throw lost(true);
    }
    const row = this.start(instanceId);
    if (!row)
      throw refusal(409, "busy", { procedure, trpcCode: "CONFLICT", upstreamCode: UPSTREAM_CODES.alreadyActive });
    if (fate === "lost after") throw lost(true);
    if (fate === "500") throw refusal(500, "no", { procedure, trpcCode: "INTERNAL_SERVER_ERROR" });
    if (fate === "409") throw refusal(409, "no", { procedure, trpcCode: "CONFLICT" });
    return { ok: true, id: row.id, startedAt: row.started_at };
  }
}

function instanceRow(id: string, machine: string) {
  return {
    id,
    user_id: id.replace("d", "c"),
    user_email: null,
    organization_id: null,
    sandbox_id: "s",
    lifecycle_state: "active",
    tracked_image_tag: null,
    created_at: new Date(0),
    destroyed_at: null,
    workerStatus: { status: machine },
    workerStatusError: null,
  };
}

function listed(row: Row) {
  return {
    id: row.id,
    user_id: row.instance_id.replace("d", "c"),
    user_email: null,
    instance_id: row.instance_id,
    initiated_by_admin_id: row.admin,
    initiated_by_admin_email: null,
    prompt: PROMPT,
    status: row.status,
    exit_code: row.status === "completed" ? 0 : null,
    started_at: row.started_at,
    completed_at: null,
  };
}

function statusOf({ started_at: startedAt }: Row) {
  return {
    hasRun: true,
    status: "completed",
    output: "",
    exitCode: 0,
    startedAt,
    completedAt: new Date(startedAt.getTime() + 1),
    prompt: PROMPT,
    initiatedBy: "admin",
  };
}

/** One process: it works on the job until nothing is left, until it is told to stop, or until it is killed. */
export interface Life {
  /** At which of its steps, counting from 0, it is killed or told to stop; steps are taken before a call and after it. */
  readonly endsAt: number;
  readonly how: "killed" | "stopped";
  readonly resendUnknown: boolean;
}

/** Nothing comes between. */
const QUIET: Life = { endsAt: Infinity, how: "stopped", resendUnknown: false };

class Process {
  readonly stop = new AbortController();
  /** What was on the disk when it was killed. */
  left: string | undefined;
  readonly #world: World;
  readonly #state: string;
  readonly #life: Life;
  #steps = 0;

  constructor(world: World, state: string, life: Life) {
    this.#world = world;
    this.#state = state;
    this.#life = life;
  }

  readonly api = {
    query: (procedure: { path: string }, input: object) =>
      this.#call(procedure.path, () => this.#world.query(procedure.path, input)),
    mutate: (procedure: { path: string }, input: object) => this.#call(procedure.path, () => this.#world.mutate(input)),
    timing: TIMING,
  } as unknown as Api;

  async #call(procedure: string, work: () => unknown): Promise<unknown> {
    await this.#step(procedure);
    let answer: { readonly value: unknown } | { readonly error: unknown };
    try {
      answer = { value: work() };
    } catch (error) {
      answer = { error };
    }
    this.#world.tick();
    await this.#step(procedure);
    if ("error" in answer) throw answer.error;
    return answer.value;
  }

  async #step(procedure: string): Promise<void> {
    await new Promise(setImmediate);
    if (this.left === undefined && this.#steps++ === this.#life.endsAt) {
      if (this.#life.how === "killed") this.#die();
      this.stop.abort("SIGINT");
    }
    // What a dead process does is done to a disk that nobody looks at again.
    if (this.left !== undefined) {
      throw new ApiError("interrupted", "dead", { procedure, sent: true, transient: false });
    }
  }

  #die(): void {
    this.left = `${this.#state}+`;
    cpSync(this.#state, this.left, { recursive: true });
    // Its claims are those of a process that is gone.
    for (const name of readdirSync(this.left, { recursive: true, encoding: "utf8" })) {
      if (name.startsWith("claims/") || name.endsWith(".claim")) rmSync(join(this.left, name));
    }
  }
}

export const invocation = {
  action: "start",
  profile: "default",
  origin: ORIGIN,
  adminId: ME,
  ticket: null,
  reason: null,
  tool: "0.0.0-test",
  pid: process.pid,
};

/** Begins a job: as `runs start` does. */
export async function begin(
  state: string,
  targets: readonly Target[],
  given: Partial<JobSettings> = {},
): Promise<void> {
  const ledger = new Ledger(state, invocation, { timing: TIMING });
  const journal = await ledger.journal();
  const source = { kind: "users", path: null, sha256: null } as const;
  const plan = await writePlan(state, journal.id, { prompt: PROMPT, source, targets });
  await journal.append({
    kind: "job",
    total: targets.length,
    settings: { ...toRecorded({ ...SETTINGS, ...given }), plan },
  });
  await ledger.close();
}

/** Goes on with a job: as `jobs resume` does. Returns the folder to go on with after that. */
export async function live(
  world: World,
  state: string,
  life: Life = QUIET,
  { wait = false, see }: { readonly wait?: boolean; readonly see?: (event: JobEvent) => void } = {},
): Promise<string> {
  const one = new Process(world, state, life);
  const { api, stop } = one;
  const file = await findJob(state, "@latest");
  const records = new JobRecords();
  const ledger = new Ledger(state, invocation, { timing: TIMING, resumed: { file, onRecord: records.note } });
  await ledger.journal();
  const { items, settings, mark } = await assemble(state, file, records, true);
  const look = { stop: stop.signal, lookAfterMs: [0, 1] };
  try {
    for await (const _ of reconcileItems(api, ledger, items, look));
    if (life.resendUnknown) {
      for (const [index, item] of items.entries()) {
        if (item.state === "unknown") items[index] = { ...item, state: "waiting" };
      }
    }
    const results = await Results.open(state, file.id);
    const options = {
      settings: { ...settings, wait },
      mark,
      admin: { userId: ME, email: null },
      prompt: () => PROMPT,
      stop: stop.signal,
      timeoutMs: null,
      resendUnknown: life.resendUnknown,
      lookAfterMs: [0, 1],
    };
    try {
      for await (const event of execute(api, ledger, items, options)) {
        see?.(event);
        if (event.type === "item" && !["waiting", "starting"].includes(event.item.state)) results.add(event.item);
      }
    } finally {
      await results.close();
    }
  } catch (error) {
    // Whoever is told that the platform fails goes on with it later.
    const failing = world.faulty && error instanceof ApiError && error.kind === "unreachable";
    const refused = world.refused && error instanceof ApiError && error.kind === "auth";
    if (!stop.signal.aborted && !failing && !refused) throw error;
  } finally {
    await ledger.close();
  }
  return one.left ?? state;
}
