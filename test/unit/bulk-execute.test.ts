/** How a job is done, against a platform that is scripted start by start. */
import { randomUUID } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ApiError, refusal } from "../../src/api/api-error.ts";
import type { Api } from "../../src/api/api.ts";
import { execute, type ExecuteOptions, type JobEvent } from "../../src/bulk/execute.ts";
import type { Item, Target } from "../../src/bulk/item.ts";
import { planned } from "../../src/bulk/job.ts";
import { admin } from "../../src/contract/procedures.ts";
import { Ledger } from "../../src/journal/ledger.ts";

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
  readonly #script: Script;

  constructor(script: Script = () => undefined) {
    this.#script = script;
  }

  readonly api = {
    query: async ({ path }: { path: string }, input: { id?: string; search?: string }) => {
      switch (path) {
        case admin.get.path: {
          const id = input.id ?? "";
          const status = this.down.has(indexOf(id)) ? "stopped" : "running";
          return { ...instanceRow(id), workerStatus: { status }, workerStatusError: null };
        }
        case admin.listAllCliRuns.path: {
          const instance = input.search ?? "";
          const runs = this.busy.has(indexOf(instance)) ? [runRow(instance)] : [];
          return { runs, pagination: { offset: 0, limit: 100, total: runs.length, totalPages: 1 } };
        }
        case admin.getKiloCliRunStatus.path:
          return { ...RUNNING, startedAt: null, prompt: "theirs" };
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

function runRow(instanceId: string) {
  return {
    id: `33333333-3333-4333-8333-${instanceId.slice(-12)}`,
    user_id: `user-${indexOf(instanceId)}`,
    user_email: null,
    instance_id: instanceId,
    initiated_by_admin_id: null,
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

let state: string;
let ledger: Ledger;
beforeEach(async () => {
  state = await mkdtemp(join(tmpdir(), "kiloclaw-execute-"));
  const why = { ticket: null, reason: null };
  const place = { profile: "test", origin: "https://app.kilo.ai", adminId: ME };
  ledger = new Ledger(state, { action: "start", tool: "0.0.0-test", pid: process.pid, ...place, ...why });
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
};

interface Done {
  readonly items: Item[];
  readonly events: JobEvent[];
  readonly failure: unknown;
}

/** Does a job of so many targets to its end. */
async function doJob(
  platform: Platform,
  count: number,
  given: Partial<Omit<ExecuteOptions, "settings">> & { settings?: Partial<ExecuteOptions["settings"]> } = {},
  onEvent: (event: JobEvent) => void = () => undefined,
): Promise<Done> {
  const items = Array.from({ length: count }, (_, at) => planned(target(at + 1)));
  const events: JobEvent[] = [];
  let failure: unknown;
  const { settings, ...rest } = given;
  const options: ExecuteOptions = {
    admin: {
      userId: ME,
      email: null,
    },
    prompt: () => "fix it",
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
    for await (const event of execute(platform.api, ledger, items, options)) {
      events.push(event);
      onEvent(event);
    }
  } catch (error) {
    failure = error;
  }
  return { items, events, failure };
}

const states = ({ items }: Done) => items.map(({ state: one }) => one);
const problem = ({ items }: Done, index: number) => items[index - 1]?.problem;
const tooMany = (retryAfterMs?: number) =>
  refusal(429, "slow down", { procedure: "start", trpcCode: "TOO_MANY_REQUESTS", retryAfterMs });
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
    const gaps = at.slice(1).map((time, place) => time - (at[place] ?? 0));
    expect(Math.max(...gaps)).toBeGreaterThan(950);
    expect(done.events.some((event) => event.type === "pace" && event.pausedMs > 0 && event.limit === 2)).toBe(true);
  });

  it("comes back to targets that could not be reached", async () => {
    const platform = new Platform((_, tries) => (tries === 1 ? refused() : undefined));
    const done = await doJob(platform, 6);
    expect(new Set(states(done))).toEqual(new Set(["running"]));
    expect(platform.sent).toHaveLength(12);
  });

  it("takes an error of one target's own for a refusal after three tries, and goes on", async () => {
    const platform = new Platform((index) =>
      index === 2
        ? new ApiError("unreachable", "no", { procedure: "start", sent: false, transient: true, httpStatus: 502 })
        : undefined,
    );
    const done = await doJob(platform, 3);
    expect(states(done)).toEqual(["running", "refused", "running"]);
    expect(platform.sent.filter((index) => index === 2)).toHaveLength(3);
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
    const done = await doJob(platform, 30, { settings: { concurrency: 1, maxErrors: { count: 2 } } });
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
    // The look for its row takes half a minute, and five seconds once nobody wants to wait.
    const done = await doJob(platform, 2, { stop: stopping.signal }, (event) => {
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
