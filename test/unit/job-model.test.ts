/**
 * Jobs that are killed and gone on with in any sequence, over a platform that answers, loses answers, refuses, and does late what
 * it was asked: no target is sent a second start unless a person said so, no run is lost, and nobody is told that nothing was
 * started where a run is.
 */
import { randomUUID } from "node:crypto";
import { cp, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { JobEvent } from "../../src/bulk/execute/job-event.ts";
import { loadJob } from "../../src/bulk/job/job.ts";
import { claimInstance } from "../../src/journal/claim.ts";
import { Ledger } from "../../src/journal/ledger.ts";
import { SYSTEM_TIMING } from "../../src/timing.ts";
import { DENIES } from "../faults/job-judge.ts";
import { begin, instanceOf, invocation, live, target, World } from "../support/job-world.ts";

/** What is wrong with what the report says now. */
async function lies(world: World, state: string): Promise<string[]> {
  const { items } = await loadJob(state, "@latest");
  return items.flatMap((item) => {
    const rows = world.ours.filter((row) => row.instance_id === item.target.instanceId);
    const said = `${item.state} ${item.runId}: ${item.problem}`;
    if (item.runId !== null && !rows.some(({ id }) => id === item.runId)) return [`there is no such run: ${said}`];
    const denied = DENIES.includes(item.state) && rows.some(({ id }) => !item.problem?.includes(id));
    return denied ? [`there is a run: ${said}`] : [];
  });
}

/** Instances of which the job knows the run. */
async function known(state: string): Promise<string[]> {
  const { items } = await loadJob(state, "@latest");
  return items.flatMap(({ runId, target }) =>
    runId !== null && target.instanceId !== null ? [target.instanceId] : [],
  );
}

const scenario = fc.record({
  targets: fc.integer({ min: 1, max: 4 }),
  seed: fc.nat(1_000_000),
  lives: fc.array(
    fc.record({
      endsAt: fc.oneof(fc.nat(50), fc.constant(Infinity)),
      how: fc.constantFrom("killed", "killed", "stopped"),
      resendUnknown: fc.constantFrom(false, false, true),
      refused: fc.constantFrom(false, false, false, true),
    }),
    { minLength: 1, maxLength: 5 },
  ),
});

describe("a job over any sequence of kills and resumptions", () => {
  it("sends one start to a target at most, loses no run, and denies none", { timeout: 240_000 }, async () => {
    const found = { runs: 0, sends: 0, unknown: 0 };
    await fc.assert(
      fc.asyncProperty(scenario, async ({ targets, seed, lives }) => {
        const folder = await mkdtemp(join(tmpdir(), "kiloclaw-job-model-"));
        const world = new World(seed);
        const mayBeSent = new Map<string, number>();
        try {
          let state = join(folder, "state");
          await begin(
            state,
            Array.from({ length: targets }, (_, at) => target(at + 1)),
          );
          for (const life of lives) {
            const ofKnown = (await known(state)).map((id) => [id, world.sends.get(id) ?? 0] as const);
            const sentBefore = [...world.sends.keys()];
            // The token is refused from some moment on, and is good again for whoever goes on with it.
            const refusing = life.refused ? setTimeout(() => (world.refused = true), 5) : undefined;
            state = await live(world, state, life);
            clearTimeout(refusing);
            world.refused = false;
            if (life.resendUnknown) for (const id of sentBefore) mayBeSent.set(id, (mayBeSent.get(id) ?? 1) + 1);
            expect(await lies(world, state)).toEqual([]);
            for (const [id, count] of world.sends) expect(count).toBeLessThanOrEqual(mayBeSent.get(id) ?? 1);
            // Not even who sends again what nobody knows of does so where the run is known.
            for (const [id, count] of ofKnown) expect(world.sends.get(id) ?? 0).toBe(count);
          }
          world.settle();
          expect(world.sentInSpite).toEqual([]);
          state = await live(world, state);
          // Its runs are followed by whoever goes on with it and waits.
          state = await live(world, state, undefined, { wait: true });
          expect(await lies(world, state)).toEqual([]);
          const sends = [...world.sends];
          const { items, facts } = await loadJob(state, "@latest");
          state = await live(world, state);
          expect([...world.sends]).toEqual(sends);
          expect((await loadJob(state, "@latest")).items).toEqual(items);
          const told = items.map(({ runId, problem }) => `${runId} ${problem}`).join("\n");
          const recorded = (await new Ledger(state, invocation, { timing: SYSTEM_TIMING }).knownRuns()).map(
            ({ runId }) => runId,
          );
          for (const { id } of world.ours) expect(recorded.includes(id) || told.includes(id)).toBe(true);
          expect(facts.state).toBe(items.some(({ state }) => state === "unknown") ? "open" : "done");
          found.runs += world.ours.length;
          found.sends += sends.reduce((sum, [, count]) => sum + count, 0);
          found.unknown += items.filter(({ state }) => state === "unknown").length;
        } finally {
          await rm(folder, { recursive: true, force: true });
        }
      }),
      { numRuns: 80, seed: 1 },
    );
    // All that it is about has come up.
    expect(Object.values(found).every((count) => count > 5)).toBe(true);
  });
});

const travels = fc.record({
  targets: fc.integer({ min: 1, max: 5 }),
  seed: fc.nat(1_000_000),
  lives: fc.array(
    fc.record({
      endsAt: fc.oneof(fc.nat(50), fc.constant(Infinity)),
      how: fc.constantFrom("killed", "stopped"),
      resendUnknown: fc.constantFrom(false, false, true),
      /** To which of the states that there were before it goes back; -1: to none. */
      backTo: fc.oneof(fc.constant(-1), fc.nat(6)),
    }),
    { minLength: 2, maxLength: 6 },
  ),
});

/** What is said that there is not: of a run that nothing is said of, its item. */
async function denied(world: World, state: string): Promise<string[]> {
  const { items } = await loadJob(state, "@latest");
  return items.flatMap(({ target: of, state: is, runId, problem }) => {
    // Of one that came later than it was looked for nobody can know: the state that knew of its request is gone.
    const rows = world.ours.filter((row) => row.instance_id === of.instanceId && !row.late);
    const said = `${is} ${runId} ${problem}`;
    return rows.length === 0 || is === "unknown" || rows.some(({ id }) => said.includes(id)) ? [] : [said];
  });
}

describe("a job whose state goes back in time", () => {
  it("sends no start in spite of a run that the rows show, and denies none", { timeout: 240_000 }, async () => {
    const found = { back: 0, adopted: 0, runs: 0 };
    const see = (event: JobEvent) => (found.adopted += event.type === "adopted" ? 1 : 0);
    await fc.assert(
      fc.asyncProperty(travels, async ({ targets, seed, lives }) => {
        const folder = await mkdtemp(join(tmpdir(), "kiloclaw-job-travel-"));
        const copyOf = async (state: string) => {
          const copy = join(folder, randomUUID());
          await cp(state, copy, { recursive: true });
          return copy;
        };
        const world = new World(seed);
        /** What was on the disk before each life. */
        const backups: string[] = [];
        try {
          let state = join(folder, "state");
          await begin(
            state,
            Array.from({ length: targets }, (_, at) => target(at + 1)),
          );
          for (const { backTo, ...life } of lives) {
            backups.push(await copyOf(state));
            const back = backTo === -1 ? undefined : backups[backTo % backups.length];
            if (back !== undefined) {
              found.back += 1;
              // What came after it never was.
              backups.length = backups.indexOf(back) + 1;
              state = await copyOf(back);
            }
            state = await live(world, state, life, { see });
            expect(world.sentInSpite).toEqual([]);
          }
          world.settle();
          for (let turn = 0; turn < 2; turn++) state = await live(world, state, undefined, { see });
          expect(world.sentInSpite).toEqual([]);
          expect(await denied(world, state)).toEqual([]);
          found.runs += world.ours.length;
        } finally {
          await rm(folder, { recursive: true, force: true });
        }
      }),
      { numRuns: 40, seed: 2 },
    );
    // All that it is about has come up.
    expect(found.back).toBeGreaterThan(30);
    expect(found.adopted).toBeGreaterThan(10);
    expect(found.runs).toBeGreaterThan(30);
  });
});

describe("a target that another command of this machine is at", () => {
  it("is taken up again, and is in the way only if that lasts", async () => {
    const folder = await mkdtemp(join(tmpdir(), "kiloclaw-job-held-"));
    const hold = (index: number) =>
      claimInstance(
        folder,
        { origin: invocation.origin, instanceId: instanceOf(index) },
        { pid: process.pid, op: randomUUID() },
      );
    const [claim] = await Promise.all([hold(1), hold(2)]);
    const world = new World(1);
    world.settle();
    await begin(folder, [target(1), target(2), target(3)], { onConflict: "fail" });
    await live(world, folder, undefined, {
      // It is let go while the job waits for it.
      see: (event) => {
        if (event.type !== "item") return;
        const { target: of, state } = event.item;
        if (of.index === 1 && state === "waiting") void claim.release();
      },
    });
    const { items } = await loadJob(folder, "@latest");
    expect(items.map(({ state }) => state)).toEqual(["running", "conflict", "running"]);
    expect(items[1]?.problem).toContain(`process ${process.pid}, since`);
    expect([...world.sends.keys()].toSorted()).toEqual([instanceOf(1), instanceOf(3)]);
    await rm(folder, { recursive: true, force: true });
  });
});
