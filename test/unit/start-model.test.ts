/**
 * Every interleaving, up to a bound, of what the platform, the network and others can do while a run is started: whatever the
 * order, nothing is sent twice, no run is taken for ours that is not, and nobody is told "not started" where it was, or still
 * could be.
 */
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { ApiError, foreign, refusal } from "../../src/api/api-error.ts";
import type { Api } from "../../src/api/api.ts";
import { admin, UPSTREAM_CODES } from "../../src/contract/procedures.ts";
import { startRun, type StartOutcome } from "../../src/runs/start/start.ts";
import { SYSTEM_TIMING } from "../../src/timing.ts";

const INSTANCE = "d0000000-0000-4000-8000-000000000001";
const CUSTOMER = "c0000000-0000-4000-8000-000000000001";
const ME = "a0000000-0000-4000-8000-000000000001";
const COLLEAGUE = "a0000000-0000-4000-8000-000000000002";
const PROMPT = "gateway crash-loops";
const NIL = "00000000-0000-0000-0000-000000000000";
/** A run of ours just like the one to come, which was over before. */
const BEFORE = "b0000000-0000-4000-8000-0000000000ff";

/** How far a model goes: more kinds of answers leave room for fewer events in the same time. */
interface Bounds {
  /** How many things may happen beside the calls themselves. */
  readonly events: number;
  /** Answers that nobody has to give: 429, and what something in between makes of an answer. */
  readonly oddAnswers: boolean;
}

type Owner = "ours" | "other";
interface ModelRun {
  readonly id: string;
  readonly owner: Owner;
  /** What the row says; absent: there is no row (yet). */
  row: "running" | "completed" | undefined;
  /** The machine's process. */
  alive: boolean;
}

/** One delivery of the start request to the platform. */
interface Delivery {
  stage: "on its way" | "between process and row" | "answered" | "lost on its way";
  run?: ModelRun;
  answer?: { id: string } | ApiError;
}

/** The platform with one instance, its network and its other users. `choose(n)` decides what happens next. */
class World {
  readonly runs: ModelRun[] = [];
  readonly deliveries: Delivery[] = [];
  sends = 0;
  /** Of those, how many were answered with 429. */
  throttled = 0;
  /** How many requests had left when the intent was written down. */
  writtenDownAfter = Infinity;
  foreignPollsWhileDeciding = 0;
  #machineRuns = true;
  #events = 0;
  readonly #choose: (options: number) => number;

  readonly #bounds: Bounds;

  constructor(choose: (options: number) => number, bounds: Bounds) {
    this.#choose = choose;
    this.#bounds = bounds;
  }

  /** The client's view of it. */
  readonly api = {
    query: async ({ path }: { path: string }, input: { runId?: string }) => {
      this.#letOneThingHappen();
      switch (path) {
        case admin.get.path:
          return instanceRow(this.#machineRuns ? "running" : "stopped");
        case admin.listAllCliRuns.path: {
          // Once the request is out, a look may fail too.
          if (this.sends > 0 && this.#events < this.#bounds.events && this.#choose(2) === 1) {
            this.#events++;
            throw refusal(500, "no database", { procedure: path });
          }
          const before = listedRow({ id: BEFORE, owner: "ours", row: "completed", alive: false }, "completed");
          const rows = [
            before,
            ...this.runs.flatMap((run) => (run.row === undefined ? [] : [listedRow(run, run.row)])),
          ];
          return { runs: rows, pagination: { offset: 0, limit: 100, total: rows.length, totalPages: 1 } };
        }
        case admin.getKiloCliRunStatus.path: {
          const run = this.runs.find(({ id }) => id === input.runId);
          if (!run?.row) throw new Error("only a run with a row can be polled");
          if (this.sends > 0 && run.owner === "other") this.foreignPollsWhileDeciding++;
          if (!run.alive) run.row = "completed";
          return statusOf(run.row);
        }
        default:
          throw new Error(path);
      }
    },
    mutate: async ({ path }: { path: string }) => {
      if (this.#choose(2) === 1) throw lost(path, { sent: false });
      this.sends++;
      const earlier = this.deliveries.length;
      this.deliveries.push({ stage: "on its way" });
      for (;;) {
        const answered = this.deliveries.slice(earlier).find(({ answer }) => answer !== undefined)?.answer;
        if (answered instanceof ApiError && answered.httpStatus === 429) this.throttled++;
        if (answered instanceof ApiError) throw answered;
        if (answered) return { ok: true as const, id: answered.id, startedAt: new Date(0) };
        const events = this.#possibleEvents();
        // The last choice: the client stops waiting, because of a time-out, a reset or somebody's Ctrl-C.
        const choice = this.#choose(events.length + 1);
        const event = events[choice];
        if (!event) throw lost(path, { sent: true });
        this.#events++;
        event();
      }
    },
    timing: SYSTEM_TIMING,
  } as unknown as Api;

  #letOneThingHappen(): void {
    const events = this.#possibleEvents();
    const event = events[this.#choose(events.length + 1) - 1];
    if (!event) return;
    this.#events++;
    event();
  }

  #possibleEvents(): (() => void)[] {
    if (this.#events >= this.#bounds.events) return [];
    const busy = this.runs.find(({ alive }) => alive);
    const other = this.runs.find(({ owner }) => owner === "other");
    const events: (() => void)[] = [];
    if (!busy && !other && this.#machineRuns) events.push(() => this.#begin("other"));
    if (busy) events.push(() => (busy.alive = false));
    if (other && other.row === undefined) events.push(() => (other.row = "running"));
    if (this.#machineRuns && !busy) events.push(() => (this.#machineRuns = false));
    for (const delivery of this.deliveries) {
      if (delivery.stage === "on its way") {
        events.push(
          () => this.#arrive(delivery),
          () => (delivery.stage = "lost on its way"),
        );
        // An edge that tries again on its own.
        if (this.deliveries.length === 1) events.push(() => this.deliveries.push({ stage: "on its way" }));
      }
      const { run } = delivery;
      if (delivery.stage === "between process and row" && run) {
        events.push(
          () => {
            run.row = "running";
            this.#answer(delivery, { id: run.id });
          },
          () => this.#answer(delivery, refused(500)),
        );
        if (!this.#bounds.oddAnswers) continue;
        // Something in between answers in the platform's name, or in its own.
        events.push(
          () => this.#answer(delivery, { id: this.#choose(2) === 0 ? BEFORE : NIL }),
          () => this.#answer(delivery, CONTRADICTION),
        );
      }
    }
    return events;
  }

  #arrive(delivery: Delivery): void {
    if (!this.#machineRuns) return this.#answer(delivery, refused(409, UPSTREAM_CODES.instanceNotRunning));
    if (this.runs.some(({ alive }) => alive)) {
      return this.#answer(delivery, refused(409, UPSTREAM_CODES.alreadyActive));
    }
    switch (this.#choose(this.#bounds.oddAnswers ? 3 : 2)) {
      case 1:
        return this.#answer(delivery, refused(412, UPSTREAM_CODES.routeUnavailable));
      case 2:
        return this.#answer(delivery, refused(429));
    }
    delivery.run = this.#begin("ours");
    delivery.stage = "between process and row";
  }

  #answer(delivery: Delivery, answer: { id: string } | ApiError): void {
    delivery.stage = "answered";
    delivery.answer = answer;
  }

  #begin(owner: Owner): ModelRun {
    const id = `b0000000-0000-4000-8000-00000000000${this.runs.length}`;
    const run: ModelRun = { id, owner, row: undefined, alive: true };
    this.runs.push(run);
    return run;
  }
}

function refused(httpStatus: number, upstreamCode?: string): ApiError {
  const codes: Record<number, string> = { 409: "CONFLICT", 412: "PRECONDITION_FAILED", 429: "TOO_MANY_REQUESTS" };
  const trpcCode = codes[httpStatus] ?? "INTERNAL_SERVER_ERROR";
  const retryAfterMs = httpStatus === 429 ? 0 : undefined;
  return refusal(httpStatus, "no", { procedure: admin.startKiloCliRun.path, trpcCode, upstreamCode, retryAfterMs });
}

/** An HTTP 404 that is not the platform's: nothing in it says what became of the request. */
const CONTRADICTION = foreign(admin.startKiloCliRun.path, 404, "a page");

function lost(procedure: string, { sent }: { sent: boolean }): ApiError {
  return new ApiError("unreachable", "the connection broke", { procedure, sent, transient: true });
}

function instanceRow(machine: string) {
  return {
    id: INSTANCE,
    user_id: CUSTOMER,
    user_email: "alice@example.com",
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

function listedRow(run: ModelRun, status: "running" | "completed") {
  return {
    id: run.id,
    user_id: CUSTOMER,
    user_email: "alice@example.com",
    instance_id: INSTANCE,
    initiated_by_admin_id: run.owner === "ours" ? ME : COLLEAGUE,
    initiated_by_admin_email: null,
    prompt: PROMPT,
    status,
    exit_code: status === "completed" ? 0 : null,
    started_at: new Date(0),
    completed_at: null,
  };
}

function statusOf(status: "running" | "completed") {
  return {
    hasRun: true,
    status,
    output: "",
    exitCode: status === "completed" ? 0 : null,
    startedAt: new Date(0),
    completedAt: null,
    prompt: PROMPT,
    initiatedBy: "admin" as const,
  };
}

/** What becomes of `work`, without the time that it waits: whatever is waited for comes once there is nothing else to do. */
async function withoutWaits<T>(work: Promise<T>): Promise<T> {
  let over = false;
  const ended = work.finally(() => (over = true));
  ended.catch(() => undefined);
  for (;;) {
    await new Promise(setImmediate);
    if (over) return ended;
    vi.advanceTimersToNextTimer();
  }
}

/** Runs `scenario` once for every sequence of choices that it can make. */
async function explore(scenario: (choose: (options: number) => number) => Promise<void>): Promise<number> {
  let path: number[] = [];
  for (let count = 1; ; count++) {
    const taken: { choice: number; options: number }[] = [];
    await scenario((options) => {
      const choice = path[taken.length] ?? 0;
      taken.push({ choice, options });
      return choice;
    });
    const last = taken.findLastIndex(({ choice, options: of }) => choice + 1 < of);
    if (last === -1) return count;
    path = taken.slice(0, last + 1).map(({ choice }, at) => (at === last ? choice + 1 : choice));
  }
}

/** What is wrong with what the user is told. */
function lies(world: World, outcome: StartOutcome): string[] {
  const ours = world.runs.filter(({ owner }) => owner === "ours");
  const couldStillStart = world.deliveries.some(
    ({ stage }) => stage === "on its way" || stage === "between process and row",
  );
  const found: string[] = [];
  const must = (holds: boolean, rule: string) => {
    if (!holds) found.push(`${outcome.state}: ${rule}`);
  };
  must(world.sends <= 1 + world.throttled, "one request at most, but for what was refused with 429");
  must(world.sends <= 3, "three requests at most");
  must(world.sends === 0 || world.writtenDownAfter === 0, "written down before it is sent");
  must(world.foreignPollsWhileDeciding === 0, "nobody else's run is asked about while deciding");
  switch (outcome.state) {
    case "started":
    case "found":
      must(ours.map(({ id }) => id).includes(outcome.run.id), "the run is ours");
      break;
    case "refused": {
      // The one gap: the platform's definite refusal, and a second delivery that somebody in between made of the request.
      const { httpStatus } = outcome.error;
      const doubled = (httpStatus === 412 || httpStatus === 429) && world.deliveries.length > world.sends;
      must(doubled || (ours.length === 0 && !couldStillStart), "nothing started, and nothing can");
      break;
    }
    case "machine-down":
    case "conflict":
      must(outcome.sent || (world.sends === 0 && ours.length === 0), "nothing was sent");
      break;
    case "alarm":
      must(ours.filter(({ row }) => row !== undefined).length > 1, "there are several rows");
      break;
    case "alike":
      must(world.sends > 0 && outcome.run.id !== BEFORE, "a run that came after the request");
      break;
    case "unknown":
    case "possible-orphan":
      must(world.sends > 0, "something was sent");
  }
  return found;
}

const REQUEST = {
  userId: CUSTOMER,
  userEmail: "alice@example.com",
  instance: { id: INSTANCE },
  prompt: PROMPT,
  admin: { userId: ME, email: "ada.admin@kilocode.ai" },
};

beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] }));
afterEach(() => void vi.useRealTimers());

it.each([
  { events: 4, oddAnswers: false, orders: 5_000, states: ["alike"] },
  { events: 3, oddAnswers: true, orders: 3_000, states: [] },
])(
  "never says more than can be known, in any order of $events events (odd answers: $oddAnswers)",
  async ({ orders, states: more, ...bounds }) => {
    const states = new Set<string>();
    const found = new Set<string>();
    const explored = await explore(async (choose) => {
      const world = new World(choose, bounds);
      const starting = startRun(world.api, REQUEST, {
        stop: new AbortController().signal,
        lookAfterMs: [0, 0],
        beforeSending: async () => void (world.writtenDownAfter = world.sends),
      });
      const outcome = await withoutWaits(starting);
      for (const lie of lies(world, outcome)) found.add(lie);
      states.add(outcome.state);
    });
    expect([...found]).toEqual([]);
    expect(explored).toBeGreaterThan(orders);
    expect([...states].toSorted()).toEqual(
      [...more, "conflict", "found", "machine-down", "possible-orphan", "refused", "started", "unknown"].toSorted(),
    );
  },
);

it("raises the alarm when two rows fit the one request", async () => {
  let sent = false;
  const rows = () =>
    (sent ? [0, 1] : []).map((n) =>
      listedRow(
        { id: `b0000000-0000-4000-8000-00000000000${n}`, owner: "ours", row: "running", alive: true },
        "running",
      ),
    );
  const api = {
    query: async ({ path }: { path: string }) =>
      path === admin.get.path
        ? instanceRow("running")
        : { runs: rows(), pagination: { offset: 0, limit: 100, total: rows().length, totalPages: 1 } },
    mutate: async ({ path }: { path: string }) => {
      sent = true;
      throw lost(path, { sent: true });
    },
    timing: SYSTEM_TIMING,
  } as unknown as Api;
  const stop = new AbortController().signal;
  const outcome = await startRun(api, REQUEST, { stop, lookAfterMs: [0], beforeSending: async () => undefined });
  expect(outcome).toMatchObject({ state: "alarm", runs: rows().map(({ id }) => ({ id })) });
});
