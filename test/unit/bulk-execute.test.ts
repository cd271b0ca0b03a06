/** How a job is done, against a platform that is scripted start by start. */
import { randomUUID } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { ApiError, refusal } from "../../src/api/api-error.ts";
import type { Api } from "../../src/api/api.ts";
import { Adopter } from "../../src/bulk/execute/adoption.ts";
import { execute, type ExecuteOptions } from "../../src/bulk/execute/execution.ts";
import type { JobEvent } from "../../src/bulk/execute/job-event.ts";
import { planned, type Item, type Target } from "../../src/bulk/item.ts";
import { admin, UPSTREAM_CODES } from "../../src/contract/procedures.ts";
import { CliError } from "../../src/errors.ts";
import { claimInstance } from "../../src/journal/claim.ts";
import { allJournals } from "../../src/journal/folder.ts";
import type { Invocation } from "../../src/journal/journal.ts";
import { Ledger } from "../../src/journal/ledger.ts";
import { readJournal } from "../../src/journal/read.ts";
import { NO_PROMPT, type JournalRecord } from "../../src/journal/record.ts";
import type { JobTiming, Timing } from "../../src/timing.ts";
import { SYSTEM_TIMING } from "../../src/timing.ts";

const ME = "a0000000-0000-4000-8000-000000000001";
const instanceOf = (index: number) => `20000000-0000-4000-8000-${String(index).padStart(12, "0")}`;
const indexOf = (instanceId: string) => Number(instanceId.slice(-12));

/** What a start is answered with. */
type Script = (index: number, tries: number) => ApiError | undefined | Promise<ApiError | undefined>;

/** A platform whose runs go on for ever. */
class Platform {
  readonly sent: number[] = [];
  underWay = 0;
  mostUnderWay = 0;
  /** Instances on which somebody else's run goes on. */
  readonly busy = new Set<number>();
  readonly down = new Set<number>();
  /** What the question for an instance is answered with. */
  reads: Script = () => undefined;
  readonly reading: number[] = [];
  /** What the question for a run's status is answered with. */
  polls: () => ApiError | undefined = () => undefined;
  /** What is said of a run that is asked about, otherwise than that it goes on. */
  told: (runId: string) => object = () => ({});
  /** Further rows, by instance. */
  readonly rows = new Map<number, ReturnType<typeof runRow>[]>();
  readonly #script: Script;

  constructor(script: Script = () => undefined) {
    this.#script = script;
  }

  readonly api = {
    query: async ({ path }: { path: string }, input: { id?: string; search?: string; runId?: string }) => {
      switch (path) {
        case admin.get.path: {
          const id = input.id ?? "";
          const index = indexOf(id);
          this.reading.push(index);
          const failure = await this.reads(index, this.reading.filter((one) => one === index).length);
          if (failure) throw failure;
          const status = this.down.has(indexOf(id)) ? "stopped" : "running";
          return { ...instanceRow(id), workerStatus: { status }, workerStatusError: null };
        }
        case admin.listAllCliRuns.path: {
          const instance = input.search;
          if (instance === undefined) return listOf([...this.rows.values()].flat());
          const runs = this.busy.has(indexOf(instance)) ? [runRow(instance)] : (this.rows.get(indexOf(instance)) ?? []);
          return listOf(runs);
        }
        case admin.getKiloCliRunStatus.path: {
          const failure = this.polls();
          if (failure) throw failure;
          return { ...RUNNING, startedAt: null, prompt: "theirs", ...this.told(input.runId ?? "") };
        }
        default:
          throw new Error(path);
      }
    },
    mutate: async (_: unknown, { instanceId }: { instanceId: string }) => {
      const index = indexOf(instanceId);
      this.sent.push(index);
      this.underWay += 1;
      this.mostUnderWay = Math.max(this.mostUnderWay, this.underWay);
      await new Promise((resolve) => setImmediate(resolve));
      const failure = await this.#script(index, this.sent.filter((one) => one === index).length);
      this.underWay -= 1;
      if (failure) throw failure;
      return { ok: true as const, id: randomUUID(), startedAt: new Date() };
    },
    timing: SYSTEM_TIMING,
  } as unknown as Api;
}

const RUNNING = {
  hasRun: true,
  status: "running",
  output: "",
  exitCode: null,
  completedAt: null,
  initiatedBy: "admin",
};

function instanceRow(id: string) {
  const created = new Date(0);
  return {
    id,
    user_id: `user-${indexOf(id)}`,
    user_email: null,
    organization_id: null,
    sandbox_id: "ki",
    lifecycle_state: "active",
    tracked_image_tag: null,
    created_at: created,
    destroyed_at: null,
  };
}

function listOf(runs: readonly ReturnType<typeof runRow>[]) {
  return { runs, pagination: { offset: 0, limit: 100, total: runs.length, totalPages: 1 } };
}

function runRow(instanceId: string) {
  return {
    id: `33333333-3333-4333-8333-${instanceId.slice(-12)}`,
    user_id: `user-${indexOf(instanceId)}`,
    user_email: null,
    instance_id: instanceId,
    initiated_by_admin_id: null as string | null,
    initiated_by_admin_email: null,
    prompt: "theirs",
    status: "running",
    exit_code: null,
    started_at: new Date(0),
    completed_at: null,
  };
}

function target(index: number): Target {
  return {
    index,
    named: `user${index}`,
    instance: null,
    line: index,
    fields: {},
    userId: `user-${index}`,
    userEmail: null,
    instanceId: instanceOf(index),
    planned: "startable",
    detail: null,
  };
}

const INVOCATION: Invocation = {
  action: "start",
  tool: "0.0.0-test",
  pid: process.pid,
  profile: "test",
  origin: "https://app.kilo.ai",
  adminId: ME,
  ticket: null,
  reason: null,
};

let state: string;
let ledger: Ledger;
beforeEach(async () => {
  state = await mkdtemp(join(tmpdir(), "kiloclaw-execute-"));
  ledger = new Ledger(state, INVOCATION, { timing: SYSTEM_TIMING });
});
afterEach(async () => {
  await ledger.close();
  await rm(state, { recursive: true, force: true });
});

const SETTINGS: ExecuteOptions["settings"] = {
  concurrency: 4,
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

const MARK: ExecuteOptions["mark"] = { journal: "job", since: new Date(0), adminIds: new Set(), handedOver: false };

interface Done {
  readonly items: Item[];
  readonly events: JobEvent[];
  readonly failure: unknown;
}

const jobWaits = (job: Partial<JobTiming>): Partial<Timing> => ({ job: { ...SYSTEM_TIMING.job, ...job } });

/** Does a job of so many targets to its end. */
async function doJob(
  platform: Platform,
  count: number,
  given: Partial<Omit<ExecuteOptions, "settings">> & {
    settings?: Partial<ExecuteOptions["settings"]>;
    timing?: Partial<Timing>;
  } = {},
  onEvent: (event: JobEvent) => void = () => undefined,
): Promise<Done> {
  const items = Array.from({ length: count }, (_, at) => planned(target(at + 1)));
  const events: JobEvent[] = [];
  let failure: unknown;
  const { settings, timing, ...rest } = given;
  const api = { ...platform.api, timing: { ...SYSTEM_TIMING, ...timing } } as unknown as Api;
  const options: ExecuteOptions = {
    admin: {
      userId: ME,
      email: null,
    },
    prompt: () => "fix it",
    mark: MARK,
    stop: new AbortController().signal,
    timeoutMs: null,
    resendUnknown: false,
    ...rest,
    settings: {
      ...SETTINGS,
      ...settings,
    },
  };
  try {
    for await (const event of execute(api, ledger, items, options)) {
      events.push(event);
      onEvent(event);
    }
  } catch (error) {
    failure = error;
  }
  return { items, events, failure };
}

const pacesOf = ({ events }: Done) => events.flatMap((event) => (event.type === "pace" ? [event] : []));
const states = ({ items }: Done) => items.map(({ state: one }) => one);
const problem = ({ items }: Done, index: number) => items[index - 1]?.problem;
const tooMany = (retryAfterMs?: number) =>
  refusal(429, "slow down", { procedure: "start", trpcCode: "TOO_MANY_REQUESTS", retryAfterMs });
const badGateway = () =>
  new ApiError("unreachable", "bad gateway", { procedure: "get", sent: true, transient: true, httpStatus: 502 });
const never = () => new Promise<undefined>(() => undefined);
const refused = () => new ApiError("unreachable", "refused", { procedure: "start", sent: false, transient: true });

describe("a job", () => {
  it("starts every target once, a few at a time", async () => {
    const platform = new Platform();
    const done = await doJob(platform, 50);
    expect(done.failure).toBeUndefined();
    expect(states(done)).toEqual(Array.from({ length: 50 }, () => "running"));
    expect(platform.sent.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 50 }, (_, at) => at + 1));
    expect(platform.mostUnderWay).toBe(4);
    expect(new Set(done.items.map(({ runId }) => runId)).size).toBe(50);
  });

  it("sends nothing to a target that is not waiting", async () => {
    const platform = new Platform();
    const items = [
      planned(target(1)),
      { ...planned(target(2)), state: "completed" as const },
      planned({ ...target(3), planned: "machine-down" }),
    ];
    for await (const _ of execute(platform.api, ledger, items, {
      settings: SETTINGS,
      admin: {
        userId: ME,
        email: null,
      },
      prompt: () => "p",
      mark: MARK,
      timeoutMs: null,
      stop: new AbortController().signal,
      resendUnknown: false,
    }));
    expect(platform.sent).toEqual([1]);
  });

  it("waits as long as the platform asks, with all, and then starts what was refused", async () => {
    const at: number[] = [];
    const platform = new Platform((index, tries) => {
      at.push(performance.now());
      return index === 3 && tries === 1 ? tooMany(1_000) : undefined;
    });
    const done = await doJob(platform, 20);
    expect(new Set(states(done))).toEqual(new Set(["running"]));
    expect(platform.sent.filter((index) => index === 3)).toHaveLength(2);
    const gaps = at.slice(1).map((time, index) => time - (at[index] ?? 0));
    expect(Math.max(...gaps)).toBeGreaterThan(950);
    expect(done.events.some((event) => event.type === "pace" && event.pausedMs > 0 && event.limit === 2)).toBe(true);
  });

  it("says how many starts go at a time only where that changes, and not that it is as it was asked for", async () => {
    expect(pacesOf(await doJob(new Platform(), 20))).toEqual([]);
    const platform = new Platform((index, tries) => (index === 3 && tries === 1 ? tooMany(50) : undefined));
    const paces = pacesOf(await doJob(platform, 60)).map(({ limit, pausedMs }) => ({ limit, paused: pausedMs > 0 }));
    // Slowed down and paused, then neither.
    expect(paces[0]?.paused).toBe(true);
    expect(paces[0]?.limit).toBeLessThan(SETTINGS.concurrency);
    expect(paces.some(({ paused }) => !paused)).toBe(true);
    for (const [at, pace] of paces.slice(1).entries()) expect(pace).not.toEqual(paces[at]);
  });

  it("starts nothing more once it is called off, asks each time, and leaves what runs to itself", async () => {
    const platform = new Platform();
    let asked = 0;
    const isCalledOff = async () => {
      asked += 1;
      return platform.sent.length >= 4;
    };
    const settings = { concurrency: 1, wait: true };
    const done = await doJob(platform, 10, { isCalledOff, settings });
    expect(done.failure).toBeUndefined();
    expect(platform.sent).toEqual([1, 2, 3, 4]);
    expect(states(done)).toEqual([...Array<string>(4).fill("running"), ...Array<string>(6).fill("waiting")]);
    expect(asked).toBeGreaterThanOrEqual(5);
    expect(done.events).toContainEqual({ type: "stopping", why: "it was cancelled with jobs cancel" });
    // What was kept from being sent is not open.
    expect((await ledger.open()).length).toBe(0);
  });

  it("starts nothing where it cannot be found out whether it was called off", async () => {
    const platform = new Platform();
    const gone = new CliError("local-state", "the disk is gone");
    const done = await doJob(platform, 3, { isCalledOff: () => Promise.reject(gone) });
    expect(done.failure).toMatchObject({ kind: "local-state" });
    expect(platform.sent).toEqual([]);
  });

  it("sends no start a fourth time that is refused with 429 each time, and ends", async () => {
    const platform = new Platform((index) => (index === 2 ? tooMany(1) : undefined));
    const done = await doJob(platform, 3, { lookAfterMs: [0, 1] });
    expect(done.failure).toBeUndefined();
    expect(states(done)).toEqual(["running", "refused", "running"]);
    expect(problem(done, 2)).toBe("the platform answered 429: slow down");
    expect(platform.sent.filter((index) => index === 2)).toHaveLength(3);
  });

  it("comes back to targets that could not be reached", async () => {
    const platform = new Platform((_, tries) => (tries === 1 ? refused() : undefined));
    const done = await doJob(platform, 6);
    expect(new Set(states(done))).toEqual(new Set(["running"]));
    expect(platform.sent).toHaveLength(12);
  });

  it("waits out a storm of 502 before anything is sent, and refuses nobody", async () => {
    const platform = new Platform();
    const began = performance.now();
    platform.reads = () => (performance.now() - began < 2_500 ? badGateway() : undefined);
    const done = await doJob(platform, 12, { settings: { maxErrors: { count: 0 } } });
    expect(done.failure).toBeUndefined();
    expect(new Set(states(done))).toEqual(new Set(["running"]));
    expect(platform.sent).toHaveLength(12);
    // Paused, not asked again and again.
    expect(platform.reading.length).toBeLessThan(12 + 3 * 4);
    expect(done.events.some((event) => event.type === "pace" && event.pausedMs > 0)).toBe(true);
  });

  it("stops where the platform fails for long, with every target as it was", async () => {
    const platform = new Platform();
    platform.reads = badGateway;
    const done = await doJob(platform, 6, { timing: jobWaits({ patienceMs: 500 }) });
    expect(done.failure).toMatchObject({ kind: "unreachable", httpStatus: 502 });
    expect(new Set(states(done))).toEqual(new Set(["waiting"]));
    expect(done.events.map(({ type }) => type)).not.toContain("sent");
    expect(platform.sent).toEqual([]);
  });

  it("starts the others first where one target alone fails, and leaves that one waiting", async () => {
    const platform = new Platform();
    platform.reads = (index) => (index === 2 ? badGateway() : undefined);
    const timing = jobWaits({ patienceMs: 500 });
    const done = await doJob(platform, 6, { settings: { concurrency: 1 }, timing });
    expect(states(done)).toEqual(["running", "waiting", "running", "running", "running", "running"]);
    expect(done.failure).toMatchObject({ httpStatus: 502 });
    expect(done.events.filter(({ type }) => type === "sent")).toHaveLength(1);
  });

  it("gives up a target whose machine alone does not answer, and no other", async () => {
    const platform = new Platform();
    platform.busy.add(2);
    platform.polls = () => refusal(500, "fetch failed", { procedure: admin.getKiloCliRunStatus.path });
    const done = await doJob(platform, 4, { timing: jobWaits({ pauseMs: 1 }) });
    expect(done.failure).toBeUndefined();
    expect(states(done)).toEqual(["running", "refused", "running", "running"]);
    expect(problem(done, 2)).toMatch(/^run 33333333-\S+ of customer is shown as running and its status cannot be read/);
    expect(platform.reading.filter((index) => index === 2)).toHaveLength(6);
  });

  it("does not take a failure after the send for anything but an unknown outcome", async () => {
    const platform = new Platform((index) => (index === 1 ? badGateway() : undefined));
    const done = await doJob(platform, 3, { lookAfterMs: [0] });
    expect(states(done)).toEqual(["unknown", "running", "running"]);
    expect(platform.sent.filter((index) => index === 1)).toHaveLength(1);
  });

  it("ends an attempt whose answer never comes: its outcome is unknown, and nothing is sent there again", async () => {
    const platform = new Platform((index) => (index === 1 ? never() : undefined));
    const timing = jobWaits({ attemptMs: 300, endMs: 100 });
    const done = await doJob(platform, 4, { settings: { concurrency: 1 }, timing });
    expect(done.failure).toBeUndefined();
    expect(states(done)).toEqual(["unknown", "running", "running", "running"]);
    expect(platform.sent).toEqual([1, 2, 3, 4]);
    // Whoever comes meanwhile finds it claimed, and whoever comes later an open start.
    expect((await ledger.open()).map(({ intent }) => intent.instanceId)).toEqual([instanceOf(1)]);
  });

  it("ends an attempt that never gets as far as its send, with nothing sent", async () => {
    const platform = new Platform();
    platform.reads = (index) => (index === 1 ? never() : undefined);
    const timing = jobWaits({ attemptMs: 300, endMs: 100 });
    const done = await doJob(platform, 2, { settings: { concurrency: 1 }, timing });
    expect(states(done)).toEqual(["waiting", "running"]);
    expect(problem(done, 1)).toBe("no answer came");
    expect(platform.sent).toEqual([2]);
  });

  it.each(["send", "read"] as const)("ends on Ctrl-C while a %s never settles", async (what) => {
    const stopping = new AbortController();
    const stopSoon = () => {
      setTimeout(() => stopping.abort("SIGINT"), 50);
      return never();
    };
    const platform = new Platform(what === "send" ? stopSoon : undefined);
    if (what === "read") platform.reads = stopSoon;
    const timing = jobWaits({ drainMs: 100, endMs: 100 });
    const began = performance.now();
    const done = await doJob(platform, 3, { settings: { concurrency: 1 }, timing, stop: stopping.signal });
    expect(performance.now() - began).toBeLessThan(3_000);
    expect(done.failure).toBeUndefined();
    expect(states(done)).toEqual([what === "send" ? "unknown" : "waiting", "waiting", "waiting"]);
  });

  it("stops, and can be gone on with, when the token is refused", async () => {
    const platform = new Platform((index) =>
      index === 5 ? refusal(401, "no", { procedure: "start", trpcCode: "UNAUTHORIZED" }) : undefined,
    );
    const done = await doJob(platform, 30);
    expect(done.failure).toMatchObject({ kind: "auth" });
    expect(states(done).slice(0, 5)).toEqual(["running", "running", "running", "running", "waiting"]);
    expect(states(done).slice(12)).toEqual(Array.from({ length: 18 }, () => "waiting"));
    expect(done.events.at(-1)).not.toMatchObject({ type: "item", item: { state: "starting" } });
  });

  it("brings what is under way to its end when it is told to stop, and starts nothing more", async () => {
    const stopping = new AbortController();
    const platform = new Platform((index) => {
      if (index === 6) stopping.abort("SIGINT");
      return undefined;
    });
    const done = await doJob(platform, 30, { stop: stopping.signal });
    expect(done.failure).toBeUndefined();
    const started = states(done).filter((one) => one === "running").length;
    expect(started).toBe(platform.sent.length);
    expect(started).toBeLessThanOrEqual(10);
    expect(new Set(states(done).slice(10))).toEqual(new Set(["waiting"]));
    expect(done.events).toContainEqual({ type: "stopping", why: "interrupted" });
  });

  it("starts nothing more once too much has gone wrong", async () => {
    const platform = new Platform((index) =>
      index <= 3 ? refusal(404, "gone", { procedure: "start", trpcCode: "NOT_FOUND" }) : undefined,
    );
    const done = await doJob(platform, 30, {
      settings: { concurrency: 1, maxErrors: { count: 2 } },
      timing: { doubtMs: 0 },
    });
    expect(platform.sent).toEqual([1, 2, 3]);
    expect(states(done).slice(0, 4)).toEqual(["refused", "refused", "refused", "waiting"]);
    expect(done.events).toContainEqual({ type: "stopping", why: "3 errors, more than --max-errors 2 allows" });
  });

  it("never has more runs in progress than it may", async () => {
    const done = await doJob(new Platform(), 10, { settings: { maxRunning: 3, wait: true }, timeoutMs: 300 });
    expect(states(done).filter((one) => one === "running")).toHaveLength(3);
  });

  it("says of a target whose machine is down that nothing was sent", async () => {
    const platform = new Platform();
    platform.down.add(2);
    const done = await doJob(platform, 3);
    expect(states(done)).toEqual(["running", "machine-down", "running"]);
    expect(platform.sent).not.toContain(2);
  });

  it.each([
    ["skip", "skipped"],
    ["fail", "conflict"],
  ] as const)("has its way with a run in progress: %s", async (onConflict, expected) => {
    const platform = new Platform();
    platform.busy.add(1);
    const done = await doJob(platform, 2, { settings: { onConflict } });
    expect(states(done)).toEqual([expected, "running"]);
    expect(problem(done, 1)).toMatch(/^run 33333333-\S+ of customer is in progress since 1970-/);
    expect(platform.sent).toEqual([2]);
  });

  it("keeps to itself what it does not know, and sends nothing there a second time", async () => {
    const platform = new Platform((index) =>
      index === 1 ? refusal(500, "fetch failed", { procedure: "start", trpcCode: "INTERNAL_SERVER_ERROR" }) : undefined,
    );
    const stopping = new AbortController();
    // The look for its row takes half a minute, and less once nobody wants to wait.
    const timing = { ...jobWaits({ drainMs: 100 }), afterStopMs: 100 };
    const done = await doJob(platform, 2, { stop: stopping.signal, timing }, (event) => {
      if (event.type === "item" && event.item.state === "running") stopping.abort("SIGINT");
    });
    expect(states(done)).toEqual(["unknown", "running"]);
    expect(platform.sent.filter((index) => index === 1)).toHaveLength(1);
    const again = await doJob(platform, 1);
    expect(states(again)).toEqual(["unknown"]);
    expect(problem(again, 1)).toMatch(/an earlier start may have happened, nothing was sent now/);
    expect(platform.sent.filter((index) => index === 1)).toHaveLength(1);
    const resent = await doJob(new Platform(), 1, { resendUnknown: true });
    expect(states(resent)).toEqual(["running"]);
  });

  it("ends at once where nobody looks any more", async () => {
    const platform = new Platform();
    const items = Array.from({ length: 100 }, (_, at) => planned(target(at + 1)));
    for await (const event of execute(platform.api, ledger, items, {
      settings: SETTINGS,
      admin: {
        userId: ME,
        email: null,
      },
      prompt: () => "p",
      mark: MARK,
      timeoutMs: null,
      stop: new AbortController().signal,
      resendUnknown: false,
    })) {
      if (event.type === "item" && event.item.state === "running") break;
    }
    expect(platform.underWay).toBe(0);
    expect(platform.sent.length).toBeLessThan(20);
  });
});

async function passTime({ signal }: AbortController): Promise<void> {
  while (!signal.aborted) {
    await new Promise((resolve) => setImmediate(resolve));
    await vi.advanceTimersByTimeAsync(5);
  }
}

/** Lets the time of the tests around it pass as fast as they get on: nobody sits through the pauses between polls. */
function hurry(): void {
  let over: AbortController;
  let passing: Promise<void>;
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "setInterval", "clearInterval", "performance"] });
    over = new AbortController();
    passing = passTime(over);
  });
  afterEach(async () => {
    over.abort();
    await passing;
    vi.useRealTimers();
  });
}

/** The run of somebody else that is in progress on a busy instance. */
const theirs = (index: number) => runRow(instanceOf(index)).id;
const COMPLETED = { status: "completed", exitCode: 0, startedAt: new Date(0), completedAt: new Date(1_000) };
const UNAVAILABLE = "[run state unavailable: controller has moved on to a newer run]";
const alreadyActive = () =>
  refusal(409, "busy", { procedure: "start", trpcCode: "CONFLICT", upstreamCode: UPSTREAM_CODES.alreadyActive });
const changesOf = ({ events }: Done, index: number) =>
  events.flatMap((event) => (event.type === "item" && event.item.target.index === index ? [event.item] : []));

describe("a run in progress", () => {
  hurry();

  it("is waited for where that was asked for, and the start follows its end, but not a run that cannot be asked about", async () => {
    const platform = new Platform();
    for (const index of [1, 2]) platform.busy.add(index);
    const polls = new Map<string, number>();
    platform.told = (runId) => {
      polls.set(runId, (polls.get(runId) ?? 0) + 1);
      if (polls.get(runId) === 1) return {};
      if (runId === theirs(2)) return { hasRun: false, status: null, prompt: null, initiatedBy: null };
      // The others do not wait.
      return platform.sent.includes(3) ? COMPLETED : {};
    };
    const done = await doJob(platform, 3, { settings: { onConflict: "wait" } });
    expect(done.failure).toBeUndefined();
    expect(states(done)).toEqual(["running", "skipped", "running"]);
    expect(changesOf(done, 1).map(({ state: one }) => one)).toEqual(["starting", "waiting", "starting", "running"]);
    expect(changesOf(done, 1)[1]?.problem).toMatch(/^waiting for it to end: run 33333333-/);
    expect(done.items[0]).toMatchObject({ problem: null, attached: false });
    expect(problem(done, 2)).toBe(
      `the run in progress, ${theirs(2)}, did not answer: the platform does not know this run any more`,
    );
    expect(platform.sent).toEqual([3, 1]);
  });

  it("is waited for no longer than until everything is to stop", async () => {
    const platform = new Platform();
    platform.busy.add(1);
    const stopping = new AbortController();
    const done = await doJob(
      platform,
      1,
      { settings: { onConflict: "wait" }, stop: stopping.signal },
      (event) => event.type === "item" && event.item.state === "waiting" && stopping.abort("SIGINT"),
    );
    expect(done.failure).toBeUndefined();
    expect(states(done)).toEqual(["waiting"]);
    expect(platform.sent).toEqual([]);
  });

  it("that a request has met is not waited for: another request would need a person", async () => {
    for (const [onConflict, expected] of [
      ["wait", "skipped"],
      ["skip", "skipped"],
      ["fail", "conflict"],
    ] as const) {
      const platform = new Platform((index) => {
        platform.busy.add(index);
        return alreadyActive();
      });
      const done = await doJob(platform, 1, { settings: { onConflict } });
      expect(states(done)).toEqual([expected]);
      expect(problem(done, 1)).toMatch(/^run 33333333-/);
      expect(platform.sent).toEqual([1]);
      expect(done.events.filter(({ type }) => type === "sent")).toHaveLength(1);
      await ledger.close();
      ledger = new Ledger(state, INVOCATION, { timing: SYSTEM_TIMING });
    }
  });

  it("is attached to and followed to its end where that was asked for, although own runs are not", async () => {
    const platform = new Platform();
    platform.busy.add(1);
    let polls = 0;
    platform.told = (runId) => (runId === theirs(1) && polls++ > 0 ? COMPLETED : {});
    const done = await doJob(platform, 2, { settings: { onConflict: "attach" } });
    expect(states(done)).toEqual(["completed", "running"]);
    expect(done.items[0]).toMatchObject({ runId: theirs(1), attached: true, exitCode: 0, problem: null });
    expect(done.items[1]).toMatchObject({ attached: false });
    expect(platform.sent).toEqual([2]);
    expect(done.events.filter(({ type }) => type === "run-end")).toMatchObject([{ item: { runId: theirs(1) } }]);
  });
});

describe("a job that follows its runs", () => {
  hurry();

  it("says how they ended, each for itself", async () => {
    const platform = new Platform();
    const ends = new Map<number, object>([
      [1, COMPLETED],
      [2, { ...COMPLETED, status: "failed", exitCode: 3, output: "so far\nno such file\n" }],
      [3, { ...COMPLETED, status: "failed", exitCode: null, output: UNAVAILABLE }],
      [4, { hasRun: false, status: null, prompt: null, initiatedBy: null }],
    ]);
    const items: Item[] = [];
    platform.told = (runId) => ends.get(items.find((item) => item.runId === runId)?.target.index ?? 0) ?? {};
    const done = await doJob(platform, 4, { settings: { wait: true } }, (event) => {
      if (event.type === "item" && event.item.state === "running") items.push(event.item);
    });
    expect(done.failure).toBeUndefined();
    expect(states(done)).toEqual(["completed", "failed", "lost", "running"]);
    expect(done.items.map(({ problem: why }) => why)).toEqual([
      null,
      "no such file",
      "its outcome is lost",
      "no longer followed: the platform does not know this run any more",
    ]);
    expect(done.items[1]).toMatchObject({ exitCode: 3, startedAt: new Date(0), completedAt: new Date(1_000) });
    expect(done.events.filter(({ type }) => type === "run-end")).toHaveLength(4);
    expect(done.events).toContainEqual(
      expect.objectContaining({ type: "output-line", line: "no such file", item: expect.objectContaining({}) }),
    );
  });

  it("leaves them where they take too long, and ends", async () => {
    const done = await doJob(new Platform(), 2, { settings: { wait: true, runTimeoutMs: 1 } });
    expect(done.failure).toBeUndefined();
    expect(states(done)).toEqual(["running", "running"]);
    expect(done.items.map(({ problem: why }) => why)).toEqual(Array(2).fill("still running at the timeout"));
  });

  it("says that its own time is up where something is left to start, and only there", async () => {
    const limited = { settings: { wait: true, maxRunning: 1 }, timeoutMs: 100 };
    const done = await doJob(new Platform(), 2, limited);
    expect(states(done)).toEqual(["running", "waiting"]);
    expect(done.events).toContainEqual({ type: "stopping", why: "the job's timeout was reached" });
    const all = await doJob(new Platform(), 1, limited);
    expect(all.events.map(({ type }) => type)).not.toContain("stopping");
  });
});

/** A job of two whose canary completes. */
const afterCanary = async (letFollow: ExecuteOptions["letFollow"]) => {
  const platform = new Platform();
  platform.told = () => COMPLETED;
  const done = await doJob(platform, 2, { settings: { canary: 1 }, letFollow });
  const types = done.events.map(({ type }) => type);
  return { done, sent: platform.sent, isPassed: types.includes("canary-passed"), stops: types.includes("stopping") };
};

describe("what follows the canary", () => {
  hurry();

  it.each([
    ["nobody wants to be asked", undefined],
    ["somebody says so", async () => true],
  ])("is started where %s", async (_, letFollow) => {
    const { done, ...became } = await afterCanary(letFollow);
    expect(became).toEqual({ sent: [1, 2], isPassed: true, stops: false });
    expect(states(done)).toEqual(["completed", "running"]);
    expect(done.failure).toBeUndefined();
  });

  it.each([
    ["somebody says no", async () => false, "the canary completed, and the rest was declined", undefined],
    ["nobody can be asked", () => Promise.reject(new Error("no terminal")), "no terminal", new Error("no terminal")],
  ])("is not started where %s", async (_, letFollow, why, failure) => {
    const { done, ...became } = await afterCanary(letFollow);
    expect(became).toEqual({ sent: [1], isPassed: false, stops: true });
    expect(states(done)).toEqual(["completed", "waiting"]);
    expect(done.events).toContainEqual({ type: "stopping", why });
    expect(done.failure).toEqual(failure);
  });

  it("is not asked about again where the question was broken off, nor where everything is to stop", async () => {
    const platform = new Platform();
    platform.told = () => COMPLETED;
    const stopping = new AbortController();
    let asked = 0;
    const letFollow = () => {
      asked += 1;
      stopping.abort("SIGINT");
      return Promise.reject(new CliError("interrupted", "interrupted"));
    };
    const done = await doJob(platform, 2, { settings: { canary: 1 }, letFollow, stop: stopping.signal });
    expect(done.failure).toMatchObject({ kind: "interrupted" });
    expect(platform.sent).toEqual([1]);
    expect(asked).toBe(1);
  });

  it("is not asked about where nothing would follow", async () => {
    const platform = new Platform();
    platform.told = () => COMPLETED;
    let asked = 0;
    const letFollow = async () => (asked += 1) > 0;
    const done = await doJob(platform, 1, { settings: { canary: 1 }, letFollow });
    expect(states(done)).toEqual(["completed"]);
    expect(asked).toBe(0);
  });

  it("is not started while it runs, or where it has failed", async () => {
    const platform = new Platform();
    platform.told = () => ({ ...COMPLETED, status: "failed", exitCode: 1 });
    const done = await doJob(platform, 3, { settings: { canary: 1 }, letFollow: async () => expect.unreachable() });
    expect(platform.sent).toEqual([1]);
    expect(states(done)).toEqual(["failed", "waiting", "waiting"]);
    expect(done.events).toContainEqual({
      type: "stopping",
      why: `the canary's run ${done.items[0]?.runId} did not complete: failed`,
    });
  });
});

/** Another command begins its work on the first target. */
const claimFirst = () =>
  claimInstance(
    state,
    { origin: INVOCATION.origin, instanceId: instanceOf(1) },
    { pid: process.pid, op: randomUUID() },
  );

describe("a target that another command of this machine is at", () => {
  const impatient = { timing: { ...SYSTEM_TIMING, claim: { patienceMs: -1, pauseMs: 1 } } };
  beforeEach(() => {
    ledger = new Ledger(state, INVOCATION, impatient);
  });

  it.each([
    ["skip", "skipped"],
    ["wait", "skipped"],
    ["attach", "skipped"],
    ["fail", "conflict"],
  ] as const)("comes after the others, and is left alone in the end: %s", async (onConflict, expected) => {
    await claimFirst();
    const platform = new Platform();
    const done = await doJob(platform, 3, { settings: { onConflict, concurrency: 1 } });
    expect(done.failure).toBeUndefined();
    expect(states(done)).toEqual([expected, "running", "running"]);
    expect(problem(done, 1)).toMatch(new RegExp(`^another command is at work on instance ${instanceOf(1)}`));
    expect(platform.sent).toEqual([2, 3]);
    const tries = ["starting", "waiting", "starting", "waiting", "starting", expected];
    expect(changesOf(done, 1).map(({ state: one }) => one)).toEqual(tries);
  });

  it("is started once that one is done", async () => {
    const claim = await claimFirst();
    const platform = new Platform(async (index) => {
      if (index === 3) await claim.release();
      return undefined;
    });
    const done = await doJob(platform, 3, { settings: { concurrency: 1 } });
    expect(states(done)).toEqual(["running", "running", "running"]);
    expect(platform.sent).toEqual([2, 3, 1]);
    expect(problem(done, 1)).toBeNull();
  });
});

it("says so where what became of a start cannot be written down, and goes on", async () => {
  const platform = new Platform(() => {
    vi.spyOn(ledger, "journal").mockRejectedValueOnce(new Error("the disk is full"));
    return undefined;
  });
  const done = await doJob(platform, 1);
  expect(done.failure).toBeUndefined();
  expect(states(done)).toEqual(["running"]);
  expect(done.events).toContainEqual({ type: "unrecorded", why: "the disk is full" });
  expect(await ledger.open()).toHaveLength(1);
});

it("ends with what keeps the journal from being written, with nothing sent", async () => {
  vi.spyOn(ledger, "journal").mockRejectedValue(new CliError("local-state", "the disk is full"));
  const platform = new Platform();
  const done = await doJob(platform, 3, { settings: { concurrency: 1 } });
  vi.restoreAllMocks();
  expect(done.failure).toMatchObject({ kind: "local-state" });
  expect(states(done)).toEqual(["waiting", "waiting", "waiting"]);
  expect(problem(done, 1)).toBe("the disk is full");
  expect(platform.sent).toEqual([]);
});

const FORGOTTEN = {
  journal: "none of this machine's",
  since: new Date("2026-11-30T08:00:00Z"),
  adminIds: new Set(["colleague"]),
  handedOver: false,
};
const started = async () => (await ledger.knownRuns()).map(({ runId }) => runId);
/** One that waits, one that has a run, and another that waits. */
const threeItems = (): Item[] => [
  planned(target(1)),
  { ...planned(target(2)), state: "running", runId: randomUUID() },
  planned(target(3)),
];
const adopt = async (platform: Platform, known: Item[], ...runs: string[]) =>
  new Adopter(ledger, FORGOTTEN, ME).adopt(platform.api, runs, known, () => "fix it");

describe("a run that is there although the journal does not tell of it", () => {
  const mark = FORGOTTEN;
  const BEGAN = mark.since;
  const oursOn = (index: number, given: Partial<ReturnType<typeof runRow>> = {}) => ({
    ...runRow(instanceOf(index)),
    id: randomUUID(),
    initiated_by_admin_id: ME as string | null,
    prompt: "fix it",
    status: "completed",
    started_at: BEGAN,
    ...given,
  });

  it("is adopted, said and recorded, and nothing is sent", async () => {
    const platform = new Platform();
    const rows = [oursOn(1), oursOn(2, { initiated_by_admin_id: "colleague" })];
    for (const row of rows) platform.rows.set(indexOf(row.instance_id), [row]);
    // Its state does not matter, nor the machine's.
    platform.down.add(1);
    const done = await doJob(platform, 3, { mark, settings: { concurrency: 1 } });
    expect(states(done)).toEqual(["running", "running", "running"]);
    expect(done.items.slice(0, 2).map(({ runId }) => runId)).toEqual(rows.map(({ id }) => id));
    expect(platform.sent).toEqual([3]);
    expect(done.events.filter(({ type }) => type === "adopted")).toHaveLength(2);
    expect(await started()).toEqual(expect.arrayContaining(rows.map(({ id }) => id)));
    const records = await recorded();
    expect(records.filter(({ kind }) => kind === "reconcile")).toMatchObject(
      rows.map(({ id, initiated_by_admin_id: adminId, user_id: userId, instance_id: instanceId }) => ({
        runId: id,
        result: "adopted",
        settled: true,
        adopted: { userId, instanceId, adminId, promptLength: 6 },
      })),
    );
  });

  it("passes a decision to send again, and is adopted instead", async () => {
    const platform = new Platform((index) => (index === 1 ? badGateway() : undefined));
    expect(states(await doJob(platform, 1, { mark, lookAfterMs: [0] }))).toEqual(["unknown"]);
    const row = oursOn(1);
    platform.rows.set(1, [row]);
    const again = await doJob(platform, 1, { mark, resendUnknown: true });
    expect(again.items[0]).toMatchObject({ state: "running", runId: row.id });
    expect(platform.sent).toEqual([1]);
  });

  it.each([
    ["was started before the job began", { started_at: new Date(BEGAN.getTime() - 1) }],
    ["is another admin's", { initiated_by_admin_id: "stranger" }],
    ["is the customer's", { initiated_by_admin_id: null }],
    ["has another prompt", { prompt: "fix it." }],
    ["is another user's", { user_id: "user-9" }],
  ])("is not this job's where it %s", async (_, given) => {
    const platform = new Platform();
    platform.rows.set(1, [oursOn(1, given)]);
    const done = await doJob(platform, 1, { mark });
    expect(platform.sent).toEqual([1]);
    expect(done.events.map(({ type }) => type)).not.toContain("adopted");
  });

  it("is not this job's where another journal of this machine has it, also since the journals were read", async () => {
    const others = new Ledger(state, INVOCATION, { timing: SYSTEM_TIMING });
    const theirs = [oursOn(1), oursOn(2)];
    const note = async (row: { id: string } | undefined) => {
      const ending = { result: "started", settled: true, code: null };
      await (await others.journal()).append({ kind: "outcome", op: randomUUID(), runId: row?.id ?? null, ...ending });
    };
    await note(theirs[0]);
    const platform = new Platform();
    platform.rows.set(1, theirs.slice(0, 1));
    platform.rows.set(2, theirs.slice(1));
    platform.reads = async (index) => {
      if (index === 2) await note(theirs[1]);
      return undefined;
    };
    const done = await doJob(platform, 2, { mark, settings: { concurrency: 1 } });
    await others.close();
    expect(platform.sent).toEqual([1, 2]);
    expect(done.events.map(({ type }) => type)).not.toContain("adopted");
  });

  it("is the job's also where this machine has cancelled it", async () => {
    const row = oursOn(1, { status: "cancelled" });
    const { id: runId, user_id: userId, instance_id: instanceId } = row;
    const others = new Ledger(state, { ...INVOCATION, action: "cancel" }, { timing: SYSTEM_TIMING });
    const op = randomUUID();
    const journal = await others.journal();
    await journal.append({ kind: "intent", op, userId, instanceId, runId, ...NO_PROMPT });
    await journal.append({ kind: "outcome", op, runId, result: "cancelled", settled: true, code: null });
    await others.close();
    const platform = new Platform();
    platform.rows.set(1, [row]);
    const done = await doJob(platform, 1, { mark });
    expect(platform.sent).toEqual([]);
    expect(done.items[0]).toMatchObject({ state: "running", runId });
    expect(await started()).toEqual([runId]);
  });

  it("is the job's where another process has written it into the job's own journal", async () => {
    const row = oursOn(1);
    const journal = await ledger.journal();
    await journal.append({
      kind: "outcome",
      op: randomUUID(),
      runId: row.id,
      result: "started",
      settled: true,
      code: null,
    });
    const platform = new Platform();
    platform.rows.set(1, [row]);
    const done = await doJob(platform, 1, { mark: { ...mark, journal: journal.id } });
    expect(platform.sent).toEqual([]);
    expect(done.items[0]).toMatchObject({ state: "running", runId: row.id });
    expect(await started()).toEqual([row.id]);
  });

  it("is for a person to decide where there are several: nothing is sent, and they are named", async () => {
    const rows = [oursOn(1), oursOn(1, { status: "running" })];
    const platform = new Platform();
    platform.rows.set(1, rows);
    const done = await doJob(platform, 1, { mark, resendUnknown: true });
    expect(states(done)).toEqual(["unknown"]);
    for (const { id } of rows) expect(problem(done, 1)).toContain(id);
    expect(problem(done, 1)).toContain("--adopt");
    expect(platform.sent).toEqual([]);
  });

  describe("and a person names it", () => {
    it("takes it, as a decision on record", async () => {
      const [row, other] = [oursOn(1), oursOn(1)];
      const platform = new Platform();
      platform.rows.set(1, [row, other]);
      const known = threeItems();
      expect(await adopt(platform, known, row.id)).toMatchObject([{ state: "running", runId: row.id }]);
      expect(known[0]).toMatchObject({ state: "running", runId: row.id });
      const records = await recorded();
      expect(records).toMatchObject([
        { kind: "override", decision: "adopt", runId: row.id },
        { kind: "reconcile", result: "adopted", runId: row.id, settled: true },
      ]);
    });

    it.each([
      ["before the job began", 1, { started_at: new Date(0) }],
      ["another prompt", 1, { prompt: "x" }],
      ["was started by stranger", 1, { initiated_by_admin_id: "stranger" }],
      ["its target has the run", 2, {}],
      ["no target of the job is on its instance", 7, {}],
    ])("refuses it, and all with it, where it cannot be: %s", async (why, index, given) => {
      const row = oursOn(index, given);
      const platform = new Platform();
      const good = oursOn(3);
      platform.rows.set(3, [good]);
      platform.rows.set(index, [row]);
      await expect(adopt(platform, threeItems(), good.id, row.id)).rejects.toMatchObject({
        kind: "usage",
        message: expect.stringContaining(why),
      });
      expect(await started()).toEqual([]);
    });

    it("refuses one that is on record", async () => {
      const row = oursOn(1);
      const platform = new Platform();
      platform.rows.set(1, [row]);
      await adopt(platform, threeItems(), row.id);
      await expect(adopt(platform, threeItems(), row.id)).rejects.toThrow(/it is on record as operation/);
    });
  });
});

/** What stands in the journals of this test. */
async function recorded(): Promise<JournalRecord[]> {
  const records: JournalRecord[] = [];
  for (const file of await allJournals(state)) for await (const one of readJournal(file)) records.push(one);
  return records;
}
