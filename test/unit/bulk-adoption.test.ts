/** Which rows of the platform are a job's own starts of which its journal does not tell. */
import { randomUUID } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Api } from "../../src/api/api.ts";
import { Adopter } from "../../src/bulk/execute/adoption.ts";
import type { Item, Sendable } from "../../src/bulk/item.ts";
import type { JobMark } from "../../src/bulk/job/records.ts";
import { allJournals } from "../../src/journal/folder.ts";
import { Ledger } from "../../src/journal/ledger.ts";
import { readJournal } from "../../src/journal/read.ts";
import { promptFacts, type JournalRecord } from "../../src/journal/record.ts";
import { startedRun, type Run } from "../../src/runs/run.ts";
import { SYSTEM_TIMING } from "../../src/timing.ts";
import { itemOf } from "../support/bulk-job.ts";

const ME = "a0000000-0000-4000-8000-000000000001";
const BEGAN = new Date("2026-11-30T08:00:00Z");
const MARK: JobMark = { journal: "forgotten", since: BEGAN, adminIds: new Set(["colleague"]), handedOver: false };
const PROMPT = "fix it";
const instanceOf = (index: number) => `20000000-0000-4000-8000-${String(index).padStart(12, "0")}`;
const waiting = (index: number, given: Partial<Item> = {}): Item =>
  itemOf(index, {
    state: "unknown",
    runId: null,
    startedAt: null,
    completedAt: null,
    exitCode: null,
    problem: "no answer",
    ...given,
    target: { userId: `user-${index}`, instanceId: instanceOf(index) },
  });
const targetOf = (index: number) => waiting(index).target as Sendable;

/** A run that fits the target. */
const runOn = (index: number, given: Partial<Run> = {}): Run =>
  startedRun({
    id: randomUUID(),
    userId: `user-${index}`,
    userEmail: null,
    instanceId: instanceOf(index),
    initiatedBy: "admin",
    initiatedByAdminId: ME,
    initiatedByAdminEmail: null,
    prompt: PROMPT,
    startedAt: BEGAN,
    ...given,
  });

let state: string;
let ledger: Ledger;
beforeEach(async () => {
  state = await mkdtemp(join(tmpdir(), "kiloclaw-adoption-"));
  ledger = new Ledger(
    state,
    {
      action: "start",
      tool: "0.0.0-test",
      pid: process.pid,
      profile: "test",
      origin: "https://app.kilo.ai",
      adminId: ME,
      ticket: null,
      reason: null,
    },
    { timing: SYSTEM_TIMING },
  );
});
afterEach(async () => {
  await ledger.close();
  await rm(state, { recursive: true, force: true });
});

const find = (rows: readonly Run[], me: string | undefined = ME) =>
  new Adopter(ledger, MARK, me).find(rows, targetOf(1), PROMPT);

/** What stands in the journals of this test. */
async function recorded(): Promise<JournalRecord[]> {
  const records: JournalRecord[] = [];
  for (const file of await allJournals(state)) for await (const one of readJournal(file)) records.push(one);
  return records;
}

describe("a row of a job's target", () => {
  it("is the job's where one of its admins started it since the job began, and is on record from then on", async () => {
    const run = runOn(1);
    expect(await find([runOn(1, { prompt: "other" }), run])).toEqual({ state: "adopted", run });
    expect(await recorded()).toMatchObject([
      {
        kind: "reconcile",
        runId: run.id,
        result: "adopted",
        settled: true,
        adopted: { userId: "user-1", instanceId: instanceOf(1), adminId: ME, ...promptFacts(PROMPT) },
      },
    ]);
    // Found once more: it is this journal's, and not written down again.
    const mark = { ...MARK, journal: (await ledger.journal()).id };
    expect(await new Adopter(ledger, mark, ME).find([run], targetOf(1), PROMPT)).toEqual({ state: "adopted", run });
    expect(await recorded()).toHaveLength(1);
  });

  it("is the job's where it is one of those who have worked on it, and nobody else's where nobody says who asks", async () => {
    const theirs = runOn(1, { initiatedByAdminId: "colleague" });
    expect(await new Adopter(ledger, MARK, undefined).find([runOn(1)], targetOf(1), PROMPT)).toBeUndefined();
    expect(await find([theirs])).toEqual({ state: "adopted", run: theirs });
  });

  it.each<[string, Partial<Run>]>([
    ["was started before the job began", { startedAt: new Date(BEGAN.getTime() - 1) }],
    ["is another admin's", { initiatedByAdminId: "stranger" }],
    ["is the customer's", { initiatedBy: "user", initiatedByAdminId: null }],
    ["has another prompt", { prompt: "fix it." }],
    ["is another user's", { userId: "user-9" }],
    ["is on another instance", { instanceId: instanceOf(9) }],
  ])("is not the job's where it %s, and leaves no journal behind", async (_, given) => {
    expect(await find([runOn(1, given)])).toBeUndefined();
    expect(await recorded()).toEqual([]);
  });

  it("is not the job's where another journal has it; with that one left out, the other one is", async () => {
    const [known, run] = [runOn(1), runOn(1)];
    await (
      await ledger.journal()
    ).append({ kind: "outcome", op: randomUUID(), runId: known.id, result: "started", settled: true, code: null });
    expect(await find([known])).toBeUndefined();
    expect(await find([known, run])).toEqual({ state: "adopted", run });
  });

  it("is for a person to decide where there are several, and none is written down", async () => {
    const runs = [runOn(1), runOn(1)];
    expect(await find(runs)).toEqual({ state: "several", runs });
    expect(await recorded()).toEqual([]);
  });
});

/** A platform with these rows. */
const apiWith = (...runs: Run[]) =>
  ({
    query: async () => ({
      runs: runs.map((run) => ({
        id: run.id,
        user_id: run.userId,
        user_email: null,
        instance_id: run.instanceId,
        initiated_by_admin_id: run.initiatedByAdminId,
        initiated_by_admin_email: null,
        prompt: run.prompt,
        status: run.status,
        exit_code: null,
        started_at: run.startedAt,
        completed_at: null,
      })),
      pagination: { offset: 0, limit: 100, total: runs.length, totalPages: 1 },
    }),
    timing: SYSTEM_TIMING,
  }) as unknown as Api;

const adopt = (runs: Run[], items: Item[]) =>
  new Adopter(ledger, MARK, ME).adopt(
    apiWith(...runs),
    runs.map(({ id }) => id),
    items,
    () => PROMPT,
  );

describe("a run that a person takes for a job's", () => {
  it("takes the place of its target's last open start, is followed, and only those are given back whose runs they are", async () => {
    const journal = await ledger.journal();
    const ops = [randomUUID(), randomUUID(), randomUUID()];
    for (const [at, op] of ops.entries()) {
      const facts = { userId: "u", instanceId: instanceOf(at === 2 ? 3 : 1), runId: null, knownRunIds: [] };
      await journal.append({ kind: "intent", op, ...facts, ...promptFacts(PROMPT) });
    }
    const [run, fresh] = [runOn(1), runOn(2)];
    const items = [waiting(1), waiting(2), waiting(3)];
    const [, , third] = items;
    const adopted = await adopt([run, fresh], items);
    expect(adopted).toMatchObject([
      { state: "running", runId: run.id, startedAt: BEGAN, problem: null },
      { state: "running", runId: fresh.id },
    ]);
    expect(items).toEqual([...adopted, third]);
    expect(journal.open.map(({ op }) => op)).toEqual([ops[0], ops[2]]);
    const told = (await recorded()).filter(({ kind }) => kind !== "intent");
    expect(told).toMatchObject([
      { kind: "override", op: ops[1], runId: run.id, userId: "user-1", instanceId: instanceOf(1), decision: "adopt" },
      { kind: "reconcile", op: ops[1], runId: run.id, result: "adopted", settled: true },
      { kind: "override", runId: fresh.id },
      { kind: "reconcile", runId: fresh.id },
    ]);
    expect(ops).not.toContain(told[2]?.op);
    expect(told[3]?.op).toBe(told[2]?.op);
  });

  it.each<[says: string, Run[], Item[]]>([
    ["no target of the job is on its instance", [runOn(9)], [waiting(1)]],
    ["no target of the job is on its instance", [runOn(1, { userId: "user-9" })], [waiting(1)]],
    [
      "no target of the job is on its instance",
      [runOn(1)],
      [{ ...waiting(1), target: { ...targetOf(1), planned: "duplicate" } }],
    ],
    ["a target has one run", [runOn(1), runOn(1)], [waiting(1)]],
    ["its target has the run", [runOn(1)], [waiting(1, { runId: randomUUID() })]],
    ["before the job began", [runOn(1, { startedAt: new Date(0) })], [waiting(1)]],
    ["it has another prompt", [runOn(1, { prompt: "x" })], [waiting(1)]],
    ["it was started by stranger", [runOn(1, { initiatedByAdminId: "stranger" })], [waiting(1)]],
  ])("is refused, and nothing is written down or changed: %s", async (says, runs, items) => {
    const before = [...items];
    await expect(adopt(runs, items)).rejects.toMatchObject({
      kind: "usage",
      message: expect.stringMatching(
        new RegExp(`^run ${runs.at(-1)?.id} is not adopted: .*${says}.*; nothing was sent$`),
      ),
      hints: [expect.anything()],
    });
    expect(items).toEqual(before);
    expect(await recorded()).toEqual([]);
  });
});
