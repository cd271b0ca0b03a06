/** Which runs are taken for a start with `--unless-started-since`, and how far back is looked. */
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Api } from "../../src/api/api.ts";
import { admin } from "../../src/contract/procedures.ts";
import { startedRun, type Run } from "../../src/runs/run.ts";
import { AlreadyStarted, isAlreadyStarted } from "../../src/runs/start/already-started.ts";

const INSTANCE = "d0000000-0000-4000-8000-000000000001";
const CUSTOMER = "c0000000-0000-4000-8000-000000000001";
const COLLEAGUE = "a0000000-0000-4000-8000-000000000002";
const SINCE = new Date("2026-11-01T09:30:00Z");
const START = { userId: CUSTOMER, instance: { id: INSTANCE }, prompt: "gateway" };

const run = (given: Partial<Run> = {}): Run => ({
  ...startedRun({
    id: "b0000000-0000-4000-8000-000000000001",
    userId: CUSTOMER,
    userEmail: null,
    instanceId: INSTANCE,
    initiatedBy: "admin",
    initiatedByAdminId: COLLEAGUE,
    initiatedByAdminEmail: null,
    prompt: "gateway",
    startedAt: SINCE,
  }),
  ...given,
});
const at = (ms: number) => new Date(SINCE.getTime() + ms);

describe("a run is taken", () => {
  it.each<[string, Partial<Run>, boolean]>([
    ["of any admin", {}, true],
    ["that has ended", { status: "failed" }, true],
    ["that is some seconds older: clocks differ", { startedAt: at(-5_000) }, true],
    ["that is older", { startedAt: at(-5_001) }, false],
    ["of the customer", { initiatedBy: "user", initiatedByAdminId: null }, false],
    ["of another prompt", { prompt: "gateway " }, false],
    ["of another instance", { instanceId: "d0000000-0000-4000-8000-000000000002" }, false],
    ["of another user", { userId: COLLEAGUE }, false],
  ])("%s: %o", (_what, given, taken) => {
    expect(isAlreadyStarted(run(given), START, SINCE)).toBe(taken);
  });

  it("although the platform keeps half a character as U+FFFD", () => {
    expect(isAlreadyStarted(run({ prompt: "a\ufffd" }), { ...START, prompt: "a\ud83d" }, SINCE)).toBe(true);
  });
});

/** A platform with so many rows, newest first, a minute apart or as they are told, of which those at these places fit. */
function platformWith(
  count: number,
  fitting: ReadonlySet<number>,
  startOf = (place: number) => at((count - place) * 60_000),
) {
  const all = Array.from({ length: count }, (_, place) =>
    run({
      id: `b0000000-0000-4000-8000-${String(place).padStart(12, "0")}`,
      prompt: fitting.has(place) ? "gateway" : "another",
      startedAt: startOf(place),
    }),
  );
  let pages = 0;
  const api = {
    query: async (
      { path }: { path: string },
      { offset, limit, search }: { offset: number; limit: number; search?: string },
    ) => {
      if (path !== admin.listAllCliRuns.path || search !== INSTANCE) throw new Error(`${path} of ${search}`);
      pages += 1;
      const runs = all.slice(offset, offset + limit).map((one) => ({
        id: one.id,
        user_id: one.userId,
        user_email: null,
        instance_id: one.instanceId,
        initiated_by_admin_id: one.initiatedByAdminId,
        initiated_by_admin_email: null,
        prompt: one.prompt,
        status: one.status,
        exit_code: null,
        started_at: one.startedAt,
        completed_at: null,
      }));
      return { runs, pagination: { offset, limit, total: count, totalPages: Math.ceil(count / limit) } };
    },
  } as unknown as Api;
  return { api, newest: all.slice(0, 100), all, pages: () => pages };
}

describe("rows are paged back", () => {
  it("to the time that was given, and the newest run that fits is found, however many there are", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 0, max: 350 }),
        fc.uniqueArray(fc.nat(349), { maxLength: 4 }),
        fc.nat(350),
        async (count, places, sincePlace) => {
          const { api, newest, all } = platformWith(count, new Set(places));
          const since = at((count - sincePlace) * 60_000);
          const expected = all.find((one) => isAlreadyStarted(one, START, since));
          expect((await new AlreadyStarted(api, START, since).find(newest))?.id).toBe(expected?.id);
        },
      ),
      { numRuns: 60 },
    );
  });

  it("to five seconds before it, and no further", async () => {
    const { api, newest, all, pages } = platformWith(350, new Set([100]));
    const since = new Date((all[100]?.startedAt.getTime() ?? 0) + 5_000);
    expect(await new AlreadyStarted(api, START, since).find(newest)).toMatchObject({ id: all[100]?.id });
    expect(pages()).toBe(2);
    const later = platformWith(350, new Set([100]));
    expect(await new AlreadyStarted(later.api, START, new Date(since.getTime() + 1)).find(newest)).toBeUndefined();
    expect(later.pages(), "the rest is older still").toBe(2);
  });

  it("also where the last of the newest is of the very same time", async () => {
    const { api, newest, all } = platformWith(120, new Set([110]), (place) => at(place < 90 ? 60_000 : -5_000));
    expect(await new AlreadyStarted(api, START, SINCE).find(newest)).toMatchObject({ id: all[110]?.id });
  });

  it("only where the newest do not go back that far", async () => {
    const short = platformWith(250, new Set());
    expect(await new AlreadyStarted(short.api, START, at(200 * 60_000)).find(short.newest)).toBeUndefined();
    expect(short.pages()).toBe(0);
    const few = platformWith(99, new Set());
    expect(await new AlreadyStarted(few.api, START, SINCE).find(few.newest)).toBeUndefined();
    expect(few.pages()).toBe(0);
    const long = platformWith(250, new Set());
    const looked = new AlreadyStarted(long.api, START, SINCE);
    expect(await looked.find(long.newest)).toBeUndefined();
    expect(long.pages()).toBe(3);
    // However long that took, the next look needs the newest alone: nothing comes to be older.
    expect(await looked.find(long.newest)).toBeUndefined();
    expect(long.pages()).toBe(3);
  });
});
