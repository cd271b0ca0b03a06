/** One start against a platform that is made up: what counts as an answer, what is read when, and how often it is sent. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { ApiError, foreign, refusal } from "../../src/api/api-error.ts";
import type { Api, CallOptions } from "../../src/api/api.ts";
import { admin, UPSTREAM_CODES } from "../../src/contract/procedures.ts";
import { allJournals } from "../../src/journal/folder.ts";
import { Journal, type Invocation } from "../../src/journal/journal.ts";
import { Ledger } from "../../src/journal/ledger.ts";
import { readJournal } from "../../src/journal/read.ts";
import { NO_PROMPT, promptFacts } from "../../src/journal/record.ts";
import { startOnRecord } from "../../src/runs/start/on-record.ts";
import type { StartMark } from "../../src/runs/start/row-search.ts";
import { startRun, usualCause, type StartOptions } from "../../src/runs/start/start.ts";
import { SYSTEM_TIMING } from "../../src/timing.ts";

const INSTANCE = "d0000000-0000-4000-8000-000000000001";
const CUSTOMER = "c0000000-0000-4000-8000-000000000001";
const ME = "a0000000-0000-4000-8000-000000000001";
const COLLEAGUE = "a0000000-0000-4000-8000-000000000002";
const PROMPT = "gateway crash-loops";
const NEW = "b0000000-0000-4000-8000-000000000001";
const TWIN = "b0000000-0000-4000-8000-000000000002";
const OLD = "b0000000-0000-4000-8000-00000000000f";
const REQUEST = {
  userId: CUSTOMER,
  userEmail: "jane@example.com",
  instance: { id: INSTANCE },
  prompt: PROMPT,
  admin: { userId: ME, email: "ada.admin@kilocode.ai" },
};

interface Row {
  readonly id: string;
  readonly by?: string | null;
  readonly prompt?: string;
  status?: "running" | "completed";
}

/** A platform with one instance: its rows, its machine, and what it answers to starts, one after the other. */
class Platform {
  readonly rows: Row[] = [{ id: OLD, status: "completed" }];
  readonly asked: string[] = [];
  /** What starts were sent with. */
  readonly requests: { readonly input: unknown; readonly options: CallOptions }[] = [];
  machine: string | null = "running";
  /** Why the platform cannot tell whether the machine runs. */
  machineError: string | null = null;
  /** What a poll finds of a run that is shown as running. */
  polled: "running" | "completed" = "completed";
  /** Called before each answer to a list. */
  onList: () => void | Promise<void> = () => undefined;
  onStatus: () => Promise<void> = async () => undefined;
  readonly timing = { ...SYSTEM_TIMING };
  readonly #answers: (() => string | Error)[];

  constructor(...answers: (() => string | Error)[]) {
    this.#answers = answers;
  }

  get sends(): number {
    return this.asked.filter((path) => path === admin.startKiloCliRun.path).length;
  }

  readonly api = {
    query: async ({ path }: { path: string }, input: { runId?: string }) => {
      this.asked.push(path);
      switch (path) {
        case admin.get.path:
          return { ...instanceRow(this.machine), workerStatusError: this.machineError };
        case admin.listAllCliRuns.path: {
          await this.onList();
          const runs = this.rows.map(listedRow);
          return { runs, pagination: { offset: 0, limit: 100, total: runs.length, totalPages: 1 } };
        }
        case admin.getKiloCliRunStatus.path: {
          await this.onStatus();
          const row = this.rows.find(({ id }) => id === input.runId);
          if (row) row.status = this.polled;
          return { ...statusOf(), status: this.polled };
        }
        default:
          throw new Error(path);
      }
    },
    mutate: async ({ path }: { path: string }, input: unknown, options: CallOptions) => {
      this.asked.push(path);
      this.requests.push({ input, options });
      const answer = this.#answers.shift()?.();
      if (typeof answer !== "string") throw answer ?? new Error("no answer is left");
      return { ok: true as const, id: answer, startedAt: new Date(0) };
    },
    timing: this.timing,
  } as unknown as Api;
}

function instanceRow(machine: string | null) {
  return {
    id: INSTANCE,
    user_id: CUSTOMER,
    user_email: "jane@example.com",
    organization_id: null,
    sandbox_id: "s",
    lifecycle_state: "active",
    tracked_image_tag: null,
    created_at: new Date(0),
    destroyed_at: null,
    workerStatus: machine === null ? null : { status: machine },
    workerStatusError: null,
  };
}

function listedRow({ id, by = ME, prompt = PROMPT, status = "running" }: Row) {
  return {
    id,
    user_id: CUSTOMER,
    user_email: "jane@example.com",
    instance_id: INSTANCE,
    initiated_by_admin_id: by,
    initiated_by_admin_email: null,
    prompt,
    status,
    exit_code: status === "completed" ? 0 : null,
    started_at: new Date(0),
    completed_at: null,
  };
}

function statusOf() {
  return {
    hasRun: true,
    status: "completed" as const,
    output: "",
    exitCode: 0,
    startedAt: new Date(0),
    completedAt: null,
    prompt: PROMPT,
    initiatedBy: "admin" as const,
  };
}

const procedure = admin.startKiloCliRun.path;
const own = (httpStatus: number, trpcCode: string, upstreamCode?: string, retryAfterMs?: number) =>
  refusal(httpStatus, "no", { procedure, trpcCode, upstreamCode, retryAfterMs });
const busy = () => own(409, "CONFLICT", UPSTREAM_CODES.alreadyActive);
const throttled = (retryAfterMs = 0) => own(429, "TOO_MANY_REQUESTS", undefined, retryAfterMs);
const silent = () => own(429, "TOO_MANY_REQUESTS");
const lost = () => new ApiError("unreachable", "the connection broke", { procedure, sent: true, transient: true });
const unsent = () => new ApiError("unreachable", "refused", { procedure, sent: false, transient: true });

const start = (platform: Platform, options: Partial<StartOptions> = {}) =>
  startRun(platform.api, REQUEST, {
    stop: new AbortController().signal,
    lookAfterMs: [0, 1],
    beforeSending: async () => undefined,
    ...options,
  });

const record = (platform: Platform, ledger: Ledger, resendUnknown = false) =>
  startOnRecord(platform.api, REQUEST, ledger, {
    stop: new AbortController().signal,
    resendUnknown,
    lookAfterMs: [0, 1],
    onUnrecorded: (why) => expect.unreachable(why),
  });

describe("what counts as started", () => {
  it("is the ID of a new run", async () => {
    const platform = new Platform(() => NEW);
    expect(await start(platform)).toMatchObject({ state: "started", run: { id: NEW } });
    expect(platform.asked).toEqual([admin.get.path, admin.listAllCliRuns.path, procedure]);
  });

  it.each([
    ["of a run that was there before", OLD],
    ["of that run in capitals", OLD.toUpperCase()],
    ["nil", "00000000-0000-0000-0000-000000000000"],
    ["max", "ffffffff-ffff-ffff-ffff-ffffffffffff"],
    ["of a version that is none", NEW.replace("-4", "-9")],
    ["of a variant that is none", NEW.replace("-8", "-c")],
    ["longer at its end", `${NEW}0`],
    ["longer at its beginning", `0${NEW}`],
  ])("is not an ID that is %s: then the row is looked for", async (_, id) => {
    const found = new Platform(() => id);
    found.onList = () => {
      if (found.sends > 0 && found.rows.length === 1) found.rows.push({ id: NEW });
    };
    expect(await start(found)).toMatchObject({ state: "found", run: { id: NEW } });
    const unknown = new Platform(() => id);
    expect(await start(unknown)).toMatchObject({ state: "unknown" });
    expect(unknown.sends).toBe(1);
  });

  it("is told with all that is known of the run", async () => {
    expect(await start(new Platform(() => NEW))).toMatchObject({
      run: {
        status: "running",
        userId: CUSTOMER,
        userEmail: "jane@example.com",
        instanceId: INSTANCE,
        initiatedBy: "admin",
        initiatedByAdminId: ME,
        initiatedByAdminEmail: "ada.admin@kilocode.ai",
        prompt: PROMPT,
        startedAt: new Date(0),
      },
    });
  });

  it("is asked for with user, instance and prompt, for two minutes, or until somebody wants out", async () => {
    const platform = new Platform(() => NEW);
    const { signal } = new AbortController();
    await start(platform, { stop: signal });
    expect(platform.requests).toEqual([
      { input: { userId: CUSTOMER, instanceId: INSTANCE, prompt: PROMPT }, options: { timeoutMs: 120_000, signal } },
    ]);
  });

  it("is nobody's known, where it is not known who asks", async () => {
    const request = { ...REQUEST, admin: { userId: undefined, email: null } };
    const stop = new AbortController().signal;
    const outcome = await startRun(new Platform(() => NEW).api, request, {
      stop,
      beforeSending: async () => undefined,
    });
    expect(outcome).toMatchObject({ run: { id: NEW, initiatedByAdminId: null, initiatedByAdminEmail: null } });
  });

  it("is not what ends the attempt in any other way", async () => {
    const platform = new Platform(() => new TypeError("terminated"));
    expect(await start(platform)).toMatchObject({
      state: "unknown",
      error: {
        kind: "unreachable",
        message: "terminated",
        sent: true,
        transient: true,
        procedure,
        cause: new TypeError("terminated"),
      },
    });
  });
});

describe("a lost answer", () => {
  it("is never followed by another request, also where one would be answered", async () => {
    for (const answer of [lost, () => own(500, "INTERNAL_SERVER_ERROR"), () => new TypeError("terminated")]) {
      const platform = new Platform(answer, () => NEW);
      expect(await start(platform)).toMatchObject({ state: "unknown" });
      expect(platform.sends).toBe(1);
    }
  });

  it("is said before the row is looked for", async () => {
    const error = lost();
    const platform = new Platform(() => error);
    const told: [ApiError, number][] = [];
    await start(platform, { onSearching: (why) => told.push([why, platform.asked.length]) });
    expect(told).toEqual([[error, 3]]);
  });

  it("is found by no row where nobody knows which admin asked", async () => {
    const platform = new Platform(lost);
    platform.onList = () => {
      if (platform.sends > 0 && platform.rows.length === 1) platform.rows.push({ id: NEW, by: null }, { id: TWIN });
    };
    const request = { ...REQUEST, admin: { userId: undefined, email: null } };
    const stop = new AbortController().signal;
    const options = { stop, lookAfterMs: [0, 1], beforeSending: async () => undefined };
    expect(await startRun(platform.api, request, options)).toMatchObject({ state: "unknown" });
  });
});

describe("what was not sent", () => {
  it("is sent again while nothing has left, and by a job at its own pace", async () => {
    vi.spyOn(Math, "random").mockReturnValue(0);
    const platform = new Platform(unsent, unsent, () => NEW);
    expect(await start(platform)).toMatchObject({ state: "started", run: { id: NEW } });
    vi.restoreAllMocks();
    const error = unsent();
    const job = new Platform(
      () => error,
      () => NEW,
    );
    expect(await start(job, { insist: false })).toEqual({ state: "refused", error });
    expect(job.asked.slice(2)).toEqual([procedure]);
  });

  it.each(["before it is prepared", "while it is prepared", "while it is written down"])(
    "does not leave once it is stopped or fails %s",
    async (when) => {
      const platform = new Platform(() => NEW);
      const stop = new AbortController();
      const steps: string[] = [];
      const gone = new Error("enough");
      if (when.startsWith("before")) platform.onList = () => stop.abort(gone);
      const starting = start(platform, {
        stop: stop.signal,
        prepare: async () => {
          steps.push("prepared");
          if (when.endsWith("prepared")) stop.abort(gone);
        },
        beforeSending: async () => {
          steps.push("written down");
          throw gone;
        },
      });
      await expect(starting).rejects.toBe(gone);
      expect(platform.sends).toBe(0);
      const all = ["prepared", "written down"];
      expect(steps).toEqual(when.startsWith("before") ? [] : when.endsWith("down") ? all : ["prepared"]);
    },
  );
});

describe("what counts as refused", () => {
  it.each([
    own(401, "UNAUTHORIZED"),
    refusal(400, "no", { procedure, trpcCode: "BAD_REQUEST", hasZodError: true }),
    own(403, "FORBIDDEN"),
    own(404, "NOT_FOUND", UPSTREAM_CODES.instanceNotFound),
    own(412, "PRECONDITION_FAILED", UPSTREAM_CODES.routeUnavailable),
  ])("at once: $httpStatus $upstreamCode", async (error) => {
    const platform = new Platform(() => error);
    expect(await start(platform)).toEqual({ state: "refused", error });
    expect(platform.asked.at(-1)).toBe(procedure);
  });

  it.each([own(400, "BAD_REQUEST"), own(404, "NOT_FOUND"), own(412, "PRECONDITION_FAILED")])(
    "after looks that found no row: the worker's own $httpStatus",
    async (error) => {
      const platform = new Platform(() => error);
      const began = performance.now();
      expect(await start(platform, { lookAfterMs: [0, 100, 200, 60_000] })).toEqual({ state: "refused", error });
      expect(performance.now() - began).toBeGreaterThanOrEqual(195);
      expect(platform.asked.slice(3)).toEqual(Array(3).fill(admin.listAllCliRuns.path));

      const tried = new Platform(() => error);
      tried.onList = () => {
        if (tried.sends > 0 && tried.rows.length === 1) tried.rows.push({ id: NEW });
      };
      expect(await start(tried)).toMatchObject({ state: "found", run: { id: NEW } });
    },
  );

  it.each([
    ["the worker's own 409", own(409, "CONFLICT")],
    ["a 500", own(500, "INTERNAL_SERVER_ERROR")],
    ["a 404 that is not the platform's", foreign(procedure, 404, "a page")],
    ["a 403 that is not the platform's", foreign(procedure, 403, "a page")],
    ["a 429 that is not the platform's", foreign(procedure, 429, "a page")],
    ["a 408", own(408, "TIMEOUT")],
  ])("is not %s", async (_, error) => {
    const platform = new Platform(() => error);
    expect(await start(platform)).toMatchObject({ state: "unknown" });
    expect(platform.sends).toBe(1);
  });

  it("is not what could not be looked into", async () => {
    const platform = new Platform(() => own(400, "BAD_REQUEST"));
    platform.onList = () => {
      if (platform.sends > 0) throw foreign(procedure, 502, "a page");
    };
    expect(await start(platform)).toMatchObject({ state: "unknown" });
  });
});

describe("a 429", () => {
  it("is waited out and sent again only after a look, three times at most", async () => {
    const platform = new Platform(throttled, throttled, () => NEW);
    expect(await start(platform)).toMatchObject({ state: "started" });
    const look = admin.listAllCliRuns.path;
    expect(platform.asked.slice(2)).toEqual([procedure, look, procedure, look, procedure]);

    const error = throttled();
    const never = new Platform(throttled, throttled, () => error);
    expect(await start(never)).toEqual({ state: "refused", error });
    expect(never.sends).toBe(3);
  });

  it("is sent again where only the second look is answered", async () => {
    const platform = new Platform(throttled, () => NEW);
    let looks = 0;
    platform.onList = () => {
      if (platform.sends > 0 && (looks += 1) === 1) throw throttled();
    };
    expect(await start(platform)).toMatchObject({ state: "started" });
    expect([platform.sends, looks]).toEqual([2, 2]);
  });

  it("is not sent again once a row has appeared, whoever started it", async () => {
    const tried = new Platform(throttled);
    tried.onList = () => void (tried.sends > 0 && tried.rows.push({ id: NEW }));
    expect(await start(tried)).toMatchObject({ state: "found", run: { id: NEW } });
    const taken = new Platform(throttled);
    taken.onList = () => void (taken.sends > 0 && taken.rows.push({ id: NEW, by: COLLEAGUE }));
    expect(await start(taken)).toMatchObject({ state: "conflict", sent: true, inTheWay: { id: NEW } });
  });

  it("is not sent again where nobody can look, where the wait is too long, or by a job", async () => {
    const blind = new Platform(throttled);
    blind.onList = () => {
      if (blind.sends > 0) throw foreign(procedure, 502, "a page");
    };
    expect(await start(blind)).toMatchObject({ state: "unknown" });
    const long = new Platform(() => throttled(60_001));
    expect(await start(long)).toMatchObject({ state: "refused" });
    const job = new Platform(throttled);
    expect(await start(job, { insist: false })).toMatchObject({ state: "refused" });
    expect([blind.sends, long.sends, job.sends]).toEqual([1, 1, 1]);
  });

  it("stays what is said of the start when the next attempt is not sent", async () => {
    const error = throttled();
    const platform = new Platform(() => error, unsent, unsent, unsent);
    expect(await start(platform)).toEqual({ state: "refused", error });
  });
});

/** What is told before the wait, which a stop then cuts short. */
const told = async (error: ApiError) => {
  const platform = new Platform(
    () => error,
    () => NEW,
  );
  const stop = new AbortController();
  const waits: [ApiError, number][] = [];
  const outcome = await start(platform, {
    stop: stop.signal,
    onThrottled: (why, waitMs) => {
      waits.push([why, waitMs]);
      stop.abort();
    },
  });
  // Who wants out sends nothing more.
  expect(outcome).toEqual({ state: "refused", error });
  expect(platform.sends).toBe(1);
  return waits;
};

describe("a 429 that says how long to wait", () => {
  it("is told, up to a minute; where it says nothing it is a second", async () => {
    const [minute, more, silent] = [throttled(60_000), throttled(60_001), own(429, "TOO_MANY_REQUESTS")];
    expect(await told(minute)).toEqual([[minute, 60_000]]);
    expect(await told(more)).toEqual([]);
    expect(await told(silent)).toEqual([[silent, 1_000]]);
  });
});

describe("a 429 that says nothing of a time", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it("is waited out for longer each time", async () => {
    const platform = new Platform(silent, silent, () => NEW);
    const waits: number[] = [];
    const began = performance.now();
    const starting = start(platform, { onThrottled: (_, waitMs) => void waits.push(waitMs) });
    await vi.runAllTimersAsync();
    expect(await starting).toMatchObject({ state: "started" });
    expect(waits).toEqual([1_000, 2_000]);
    expect(performance.now() - began).toBe(3_000);
  });
});

it("what the worker says of any refusal of the controller's is explained, and nothing else", () => {
  expect(usualCause(own(500, "INTERNAL_SERVER_ERROR"))).toBeUndefined();
  expect(usualCause(refusal(500, "kilo-cli-run start failed", { procedure }))).toMatch(/^this usually means/);
  expect(usualCause(refusal(500, "kilo-cli-run start failed, twice", { procedure }))).toBeUndefined();
});

describe("a machine that is busy", () => {
  it("is looked at no longer than until the run in its way has a row", async () => {
    const platform = new Platform(busy);
    platform.onList = () => void (platform.sends > 0 && platform.rows.push({ id: NEW, by: COLLEAGUE }));
    expect(await start(platform, { lookAfterMs: [0, 600_000] })).toMatchObject({ state: "conflict", sent: true });
  });

  it("is told from one that does not run", async () => {
    const platform = new Platform(() => own(409, "CONFLICT", UPSTREAM_CODES.instanceNotRunning));
    expect(await start(platform)).toEqual({ state: "machine-down", machineStatus: null, sent: true });
  });

  it("with a run just like ours: seen, and not taken for ours", async () => {
    const platform = new Platform(busy);
    platform.onList = () => {
      if (platform.sends > 0 && platform.rows.length === 1) platform.rows.push({ id: TWIN });
    };
    expect(await start(platform)).toMatchObject({ state: "alike", run: { id: TWIN } });
  });

  it("with two of them: an alarm; with somebody else's: a conflict; with none on record: perhaps ours", async () => {
    const two = new Platform(busy);
    two.onList = () => void (two.sends > 0 && two.rows.push({ id: NEW }, { id: TWIN }));
    expect(await start(two)).toMatchObject({ state: "alarm", runs: [{ id: NEW }, { id: TWIN }] });
    const other = new Platform(busy);
    other.onList = () => void (other.sends > 0 && other.rows.push({ id: NEW, by: null }));
    expect(await start(other)).toMatchObject({ state: "conflict", sent: true, inTheWay: { id: NEW } });
    expect(await start(new Platform(busy))).toMatchObject({ state: "possible-orphan" });
  });
});

describe("what is read before a start", () => {
  it.each(["starting", "restarting", "recovering", "provisioned", "destroying", "stopped"])(
    "keeps it from being sent while the machine is %s",
    async (status) => {
      const platform = new Platform(() => NEW);
      platform.machine = status;
      expect(await start(platform)).toEqual({ state: "machine-down", machineStatus: status, sent: false });
      expect(platform.sends).toBe(0);
    },
  );

  it("does not keep it from being sent where nobody can tell whether the machine runs: the platform looks again", async () => {
    const platform = new Platform(() => NEW);
    platform.machine = null;
    platform.machineError = "the worker is out of reach";
    expect(await start(platform)).toMatchObject({ state: "started" });
    const none = new Platform(() => NEW);
    none.machine = null;
    expect(await start(none)).toEqual({ state: "machine-down", machineStatus: null, sent: false });
  });

  it("is each run in progress, asked about once: one that goes on is in the way, and nothing is sent", async () => {
    const platform = new Platform(() => NEW);
    platform.rows.push({ id: TWIN, status: "running" });
    platform.polled = "running";
    const outcome = await start(platform, { beforeSending: async () => expect.unreachable() });
    expect(outcome).toMatchObject({ state: "conflict", inTheWay: { id: TWIN }, sent: false });
    expect(platform.asked.slice(2)).toEqual([admin.getKiloCliRunStatus.path]);

    const ended = new Platform(() => NEW);
    ended.rows.push({ id: TWIN, status: "running" });
    const onUnstorable = vi.fn<() => Promise<void>>(async () => undefined);
    expect(await start(ended, { onUnstorable })).toMatchObject({ state: "started" });
    expect(onUnstorable).not.toHaveBeenCalled();
    expect(ended.asked.slice(2)).toEqual([admin.getKiloCliRunStatus.path, procedure]);
  });

  it("is looked through first for a run that is this start's already, whatever the machine does", async () => {
    for (const machine of ["running", "stopped"]) {
      const platform = new Platform(() => NEW);
      platform.machine = machine;
      const outcome = await start(platform, {
        adopt: async (rows) => (rows[0] ? { state: "adopted", run: rows[0] } : undefined),
        beforeSending: async () => expect.unreachable(),
      });
      expect(outcome).toMatchObject({ state: "adopted", run: { id: OLD } });
      expect(platform.sends).toBe(0);
    }
    const none = new Platform(() => NEW);
    expect(await start(none, { adopt: async () => undefined })).toMatchObject({ state: "started" });
  });

  it("is settled once: a run that has ended, and whose row still says otherwise, is not asked about again", async () => {
    const platform = new Platform(() => NEW);
    platform.rows.push({
      id: TWIN,
      get status() {
        return "running" as const;
      },
      set status(_) {},
    });
    const now = vi.spyOn(Date, "now");
    let prepared = 0;
    const prepare = async () => void (prepared++ === 0 && now.mockReturnValueOnce(Date.now() - 3_000));
    expect(await start(platform, { prepare })).toMatchObject({ state: "started" });
    now.mockRestore();
    expect(platform.asked.filter((path) => path === admin.get.path)).toHaveLength(2);
    expect(platform.asked.filter((path) => path === admin.getKiloCliRunStatus.path)).toHaveLength(1);
  });

  it("is read again after a sleep, in which only the wall clock goes on", async () => {
    const platform = new Platform(() => NEW);
    const now = vi.spyOn(Date, "now");
    let prepared = 0;
    const prepare = async () => void (prepared++ === 0 && now.mockReturnValueOnce(Date.now() + 3_000));
    await start(platform, { prepare });
    now.mockRestore();
    expect(platform.asked.filter((path) => path === admin.get.path)).toHaveLength(2);
  });

  it("is the IDs of all rows, also of those that do not fit", async () => {
    const platform = new Platform(() => NEW);
    platform.rows.push({ id: TWIN, by: COLLEAGUE, prompt: "another", status: "completed" });
    let mark: StartMark | undefined;
    await start(platform, { beforeSending: async (given) => void (mark = given) });
    expect(mark?.known).toEqual([OLD, TWIN]);
  });

  it.each(["the poll of a run that has ended", "what is prepared"])(
    "is read again where %s took too long",
    async (what) => {
      const platform = new Platform(() => NEW);
      platform.timing.freshMs = 500;
      const late = async () => {
        await sleep(600);
        platform.rows.push({ id: TWIN, status: "completed" });
      };
      const isPoll = what.startsWith("the poll");
      if (isPoll) platform.rows.push({ id: "b0000000-0000-4000-8000-00000000000e", status: "running" });
      if (isPoll) platform.onStatus = late;
      let mark: StartMark | undefined;
      let prepared = 0;
      const outcome = await start(platform, {
        prepare: async () => {
          if (!isPoll && prepared++ === 0) await late();
        },
        beforeSending: async (given) => void (mark = given),
      });
      expect(outcome).toMatchObject({ state: "started" });
      expect(mark?.known).toContain(TWIN);
      expect(platform.asked.filter((path) => path === admin.get.path)).toHaveLength(2);
    },
  );

  it("is not trusted once it is old: a machine that has stopped meanwhile is not started on", async () => {
    const platform = new Platform(() => NEW);
    platform.timing.freshMs = 500;
    const outcome = await start(platform, {
      prepare: async () => {
        await sleep(600);
        platform.machine = "stopped";
      },
    });
    expect(outcome).toMatchObject({ state: "machine-down", sent: false });
  });
});

describe("on record", () => {
  let state: string;
  const invocation: Invocation = {
    action: "start",
    profile: "default",
    origin: "https://app.kilo.ai",
    adminId: ME,
    ticket: null,
    reason: null,
    tool: "0.0.0-test",
    pid: process.pid,
  };
  beforeEach(async () => {
    state = await mkdtemp(join(tmpdir(), "kiloclaw-start-"));
  });
  afterEach(() => rm(state, { recursive: true }));

  it("a run just like ours closes the start, and no later search takes it for another start's", async () => {
    const first = new Ledger(state, invocation, { timing: SYSTEM_TIMING });
    expect(await record(new Platform(lost), first)).toMatchObject({ state: "unknown" });
    await first.close();
    const second = new Ledger(state, invocation, { timing: SYSTEM_TIMING });
    const platform = new Platform(busy);
    platform.onList = () => {
      if (platform.sends > 0 && platform.rows.length === 1) platform.rows.push({ id: TWIN });
    };
    expect(await record(platform, second, true)).toMatchObject({ state: "alike" });
    await second.close();
    const third = new Ledger(state, invocation, { timing: SYSTEM_TIMING });
    expect(await third.open()).toHaveLength(1);
    expect(await record(platform, third)).toMatchObject({ state: "unsettled", intents: [{}] });
    await third.close();
  });

  it("a run that was cancelled from here before it was found is its start's all the same", async () => {
    const first = new Ledger(state, invocation, { timing: SYSTEM_TIMING });
    expect(await record(new Platform(lost), first)).toMatchObject({ state: "unknown" });
    await first.close();
    const cancel = await Journal.create(state, { ...invocation, action: "cancel" });
    const target = { userId: CUSTOMER, instanceId: INSTANCE, runId: NEW };
    const op = "e0000000-0000-4000-8000-000000000001";
    await cancel.append({ kind: "intent", op, ...target, ...NO_PROMPT });
    await cancel.append({ kind: "outcome", op, runId: NEW, result: "cancelled", settled: true, code: null });
    await cancel.end();
    const platform = new Platform(() => TWIN);
    platform.rows.push({ id: NEW, status: "completed" });
    const second = new Ledger(state, invocation, { timing: SYSTEM_TIMING });
    expect(await record(platform, second)).toMatchObject({ state: "found-earlier", run: { id: NEW } });
    expect(platform.sends).toBe(0);
    expect(await second.open()).toEqual([]);
    await second.close();
  });

  it("thousands of open starts on one instance cost one look at its rows", async () => {
    const journal = await Journal.create(state, invocation);
    const target = { userId: CUSTOMER, instanceId: INSTANCE, runId: null };
    const count = 3_000;
    await Promise.all(
      Array.from({ length: count }, (_, n) =>
        journal.append({
          kind: "intent",
          op: `e0000000-0000-4000-8000-${String(n).padStart(12, "0")}`,
          ...target,
          ...promptFacts(n === 7 ? "the one with a row" : `prompt ${n}`),
          knownRunIds: [OLD],
        }),
      ),
    );
    await journal.end();
    const platform = new Platform(() => NEW);
    platform.rows.push({ id: TWIN, prompt: "the one with a row", status: "completed" });
    const ledger = new Ledger(state, invocation, { timing: SYSTEM_TIMING });
    const outcome = await record(platform, ledger);
    expect(outcome).toMatchObject({ state: "unsettled" });
    expect("intents" in outcome && outcome.intents).toHaveLength(count - 1);
    expect(platform.asked).toEqual([admin.listAllCliRuns.path]);
    expect(await ledger.open()).toHaveLength(count - 1);
    await ledger.close();
  });

  it("says so where finding out about earlier starts takes more than a second, and only there", async () => {
    const lostFirst = new Ledger(state, invocation, { timing: SYSTEM_TIMING });
    await record(new Platform(lost), lostFirst);
    await lostFirst.close();
    for (const ms of [0, 1_100]) {
      const platform = new Platform(() => NEW);
      platform.onList = () => sleep(ms);
      let told = 0;
      const ledger = new Ledger(state, invocation, { timing: SYSTEM_TIMING });
      await startOnRecord(platform.api, REQUEST, ledger, {
        stop: new AbortController().signal,
        resendUnknown: false,
        onUnrecorded: (why) => expect.unreachable(why),
        onEarlier: () => (told += 1),
      });
      await ledger.close();
      expect(told).toBe(ms === 0 ? 0 : 1);
    }
  });

  it("tells two starts with one prompt apart by what each of them knew", async () => {
    const journal = await Journal.create(state, invocation);
    const target = { userId: CUSTOMER, instanceId: INSTANCE, runId: null };
    const intent = (op: string, knownRunIds: string[]) =>
      journal.append({ kind: "intent", op, ...target, ...promptFacts("twice"), knownRunIds });
    await intent("e0000000-0000-4000-8000-000000000001", [OLD]);
    await intent("e0000000-0000-4000-8000-000000000002", [OLD, NEW]);
    await journal.end();
    const platform = new Platform(() => "b0000000-0000-4000-8000-000000000003");
    for (const id of [NEW, TWIN]) platform.rows.push({ id, prompt: "twice", status: "completed" });
    const ledger = new Ledger(state, invocation, { timing: SYSTEM_TIMING });
    expect(await record(platform, ledger)).toMatchObject({ state: "started" });
    expect(await ledger.knownRuns()).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ runId: NEW, op: "e0000000-0000-4000-8000-000000000001" }),
        expect.objectContaining({ runId: TWIN, op: "e0000000-0000-4000-8000-000000000002" }),
      ]),
    );
    await ledger.close();
  });

  const opens = async () => {
    const ledger = new Ledger(state, invocation, { timing: SYSTEM_TIMING });
    const found = await ledger.open();
    await ledger.close();
    return found;
  };
  const records = async () => {
    const found = [];
    for (const file of await allJournals(state)) {
      for await (const each of readJournal(file)) found.push(each);
    }
    return found;
  };

  it.each<{
    result: string;
    settled: boolean;
    runId?: string;
    code?: string;
    answer: () => string | Error;
  }>([
    { result: "started", settled: true, runId: NEW, answer: () => NEW },
    { result: "refused", settled: true, code: "UNAUTHORIZED", answer: () => own(401, "UNAUTHORIZED") },
    { result: "refused", settled: true, answer: unsent },
    {
      result: "refused",
      settled: true,
      code: "controller_route_unavailable",
      answer: () => own(412, "X", UPSTREAM_CODES.routeUnavailable),
    },
    { result: "machine-down", settled: true, answer: () => own(409, "CONFLICT", UPSTREAM_CODES.instanceNotRunning) },
    { result: "possible-orphan", settled: false, code: "kilo_cli_run_already_active", answer: busy },
    { result: "unknown", settled: false, answer: lost },
  ])(
    "is closed or left open by what became of it: $result, closed: $settled",
    async ({ result, settled, runId = null, code = null, answer }) => {
      vi.spyOn(Math, "random").mockReturnValue(0);
      const ledger = new Ledger(state, invocation, { timing: SYSTEM_TIMING });
      const platform = new Platform(answer, answer, answer);
      expect(await record(platform, ledger)).toMatchObject({ state: result });
      await ledger.close();
      vi.restoreAllMocks();
      expect(await opens()).toHaveLength(settled ? 0 : 1);
      expect(await records()).toMatchObject([
        { kind: "intent", userId: CUSTOMER, instanceId: INSTANCE, knownRunIds: [OLD], ...promptFacts(PROMPT) },
        { kind: "outcome", result, settled, runId, code },
        { kind: "end" },
      ]);
    },
  );

  it("an alarm is left open for a person, another's run in the way closes it", async () => {
    const alarm = new Platform(lost);
    alarm.onList = () => {
      if (alarm.sends > 0 && alarm.rows.length === 1) alarm.rows.push({ id: NEW }, { id: TWIN });
    };
    const first = new Ledger(state, invocation, { timing: SYSTEM_TIMING });
    expect(await record(alarm, first)).toMatchObject({ state: "alarm" });
    await first.close();
    expect(await opens()).toHaveLength(1);
    await rm(state, { recursive: true });
    const taken = new Platform(busy);
    taken.onList = () => {
      if (taken.sends > 0 && taken.rows.length === 1) taken.rows.push({ id: NEW, by: COLLEAGUE });
    };
    const second = new Ledger(state, invocation, { timing: SYSTEM_TIMING });
    expect(await record(taken, second)).toMatchObject({ state: "conflict", sent: true });
    await second.close();
    expect(await opens()).toEqual([]);
  });

  it("that a person sends another one is written down before it, and only there", async () => {
    const first = new Ledger(state, invocation, { timing: SYSTEM_TIMING });
    await record(new Platform(lost), first, true);
    await first.close();
    expect((await records()).map(({ kind }) => kind)).toEqual(["intent", "outcome", "end"]);
    const refused = new Platform(() => NEW);
    const second = new Ledger(state, invocation, { timing: SYSTEM_TIMING });
    expect(await record(refused, second)).toMatchObject({ state: "unsettled" });
    await second.close();
    expect(refused.sends).toBe(0);
    const third = new Ledger(state, invocation, { timing: SYSTEM_TIMING });
    expect(await record(new Platform(() => NEW), third, true)).toMatchObject({ state: "started" });
    await third.close();
    expect((await records()).slice(3)).toMatchObject([
      { kind: "override", decision: "resend-unknown", instanceId: INSTANCE },
      { kind: "intent" },
      { kind: "outcome", result: "started" },
      { kind: "end" },
    ]);
  });

  it("who sends nothing leaves no journal behind", async () => {
    const platform = new Platform(() => NEW);
    platform.machine = "stopped";
    const ledger = new Ledger(state, invocation, { timing: SYSTEM_TIMING });
    expect(await record(platform, ledger)).toMatchObject({ state: "machine-down" });
    await ledger.close();
    expect(await records()).toEqual([]);
  });

  it("the claim is held while it is sent, and given back whatever comes of it", async () => {
    const ledger = new Ledger(state, invocation, { timing: SYSTEM_TIMING });
    let held: Promise<unknown[]> | undefined;
    const platform = new Platform(() => {
      held = ledger.claims();
      return NEW;
    });
    await record(platform, ledger);
    expect(await held).toHaveLength(1);
    expect(await ledger.claims()).toEqual([]);
    platform.onList = () => {
      throw new Error("broken");
    };
    await expect(record(platform, ledger)).rejects.toThrow("broken");
    expect(await ledger.claims()).toEqual([]);
    await ledger.close();
  });

  it("is told all the same where what became of it cannot be written down: it stays open", async () => {
    const ledger = new Ledger(state, invocation, { timing: SYSTEM_TIMING });
    const platform = new Platform(() => {
      vi.spyOn(ledger, "journal").mockRejectedValue(new Error("the disk is full"));
      return NEW;
    });
    const said: string[] = [];
    const outcome = await startOnRecord(platform.api, REQUEST, ledger, {
      stop: new AbortController().signal,
      resendUnknown: false,
      onUnrecorded: (why) => said.push(why),
    });
    await ledger.close();
    expect(outcome).toMatchObject({ state: "started", run: { id: NEW } });
    expect(said).toEqual(["the disk is full"]);
    expect(await opens()).toHaveLength(1);
  });

  it("an earlier start of another prompt is settled, and is not taken for this one", async () => {
    const journal = await Journal.create(state, invocation);
    const op = "e0000000-0000-4000-8000-000000000001";
    const target = { userId: CUSTOMER, instanceId: INSTANCE, runId: null };
    await journal.append({ kind: "intent", op, ...target, ...promptFacts("another"), knownRunIds: [OLD] });
    await journal.end();
    const platform = new Platform(() => NEW);
    platform.rows.push({ id: TWIN, prompt: "another", status: "completed" });
    const ledger = new Ledger(state, invocation, { timing: SYSTEM_TIMING });
    expect(await record(platform, ledger)).toMatchObject({ state: "started", run: { id: NEW } });
    expect(await ledger.knownRuns()).toEqual(
      expect.arrayContaining([expect.objectContaining({ runId: TWIN, op }), expect.objectContaining({ runId: NEW })]),
    );
    await ledger.close();
    expect(await opens()).toEqual([]);
  });
});
