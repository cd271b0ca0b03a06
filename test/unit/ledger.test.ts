/** What one invocation, which starts many at once, needs to know of the others of this machine. */
import { randomUUID } from "node:crypto";
import { getEventListeners } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Api } from "../../src/api/api.ts";
import { SharedLook } from "../../src/async/shared-look.ts";
import { reconcileItems } from "../../src/bulk/job/resume.ts";
import { systemFiles, type FileLayer } from "../../src/files/file-layer.ts";
import { Journal } from "../../src/journal/journal.ts";
import { Ledger } from "../../src/journal/ledger.ts";
import { OpenIndex } from "../../src/journal/open-index.ts";
import type { Entry } from "../../src/journal/record.ts";
import { allRecords } from "../../src/journal/scan.ts";
import { SYSTEM_TIMING } from "../../src/timing.ts";
import { instanceOf, intent, invocation, outcome } from "../support/journal-entries.ts";

let state: string;
beforeEach(async () => {
  state = await mkdtemp(join(tmpdir(), "kiloclaw-ledger-"));
});
afterEach(() => rm(state, { recursive: true, force: true }));

const at = (origin: string) => new Ledger(state, { ...invocation, origin }, { timing: SYSTEM_TIMING });

it("an open start is open by every name of this machine, and on no other platform", async () => {
  const ledger = at("http://127.0.0.1:4280");
  const op = randomUUID();
  await (await ledger.journal()).append(intent(op, 1));
  const openAt = async (origin: string) => (await at(origin).open()).map((open) => open.intent.op);
  for (const origin of ["http://127.0.0.1:4280", "http://localhost:4280", "http://[::1]:4280"])
    expect(await openAt(origin)).toEqual([op]);
  for (const origin of ["http://localhost:4281", "https://app.kilo.ai"]) expect(await openAt(origin)).toEqual([]);
  await ledger.close();
});

describe("a look that many want", () => {
  it("begins after each of them asked, and is shared by those who asked before it", async () => {
    let [begun, release] = [0, () => {}];
    const look = new SharedLook(async () => {
      const mine = ++begun;
      await new Promise<void>((resolve) => (release = resolve));
      return mine;
    });
    const first = look.take();
    await new Promise((resolve) => setImmediate(resolve));
    const later = [look.take(), look.take(), look.take()];
    expect(begun).toBe(1);
    release();
    expect(await first).toBe(1);
    await new Promise((resolve) => setImmediate(resolve));
    release();
    expect(await Promise.all(later)).toEqual([2, 2, 2]);
  });

  it("that fails is the trouble of those who shared it only", async () => {
    let tries = 0;
    const look = new SharedLook(async () => {
      tries += 1;
      if (tries === 1) throw new Error("no such luck");
      return tries;
    });
    const [one, two] = [look.take(), look.take()];
    await expect(one).rejects.toThrow("no such luck");
    await expect(two).rejects.toThrow("no such luck");
    expect(await look.take()).toBe(2);
  });
});

describe("what is open", () => {
  it("in a journal of its own is known without reading it, in others by reading what is new", async () => {
    const opened: string[] = [];
    const files: FileLayer = {
      ...systemFiles,
      open: (path, mode) => {
        opened.push(path);
        return systemFiles.open(path, mode);
      },
    };
    const [own, other] = [await Journal.create(state, invocation), await Journal.create(state, invocation)];
    const index = new OpenIndex(state, files, () => own);
    const ops = [randomUUID(), randomUUID()] as const;
    await own.append(intent(ops[0], 1));
    await other.append(intent(ops[1], 2));

    const found = async () => (await index.find()).map(({ intent: { op }, writer }) => [op, writer?.pid]);
    expect(await found()).toEqual(ops.map((op) => [op, process.pid]));
    expect(opened).not.toContain(own.path);
    expect(opened).toContain(other.path);
    await own.append(outcome(ops[0]));
    await other.append(outcome(ops[1]));
    expect(await found()).toEqual([]);
    await Promise.all([own.end(), other.end()]);
  });

  it("of an earlier invocation is seen by the one that goes on with its journal", async () => {
    const before = await Journal.create(state, invocation);
    const op = randomUUID();
    await before.append(intent(op, 1));
    await before.close();
    const file = { id: before.id, name: before.path.split("/").at(-1) ?? "", path: before.path, stateDirectory: state };
    const ledger = new Ledger(state, invocation, { timing: SYSTEM_TIMING, resumed: { file } });
    await ledger.journal();
    expect((await ledger.open({ instanceId: instanceOf(1) })).map(({ intent }) => intent.op)).toEqual([op]);
    expect(await ledger.open({ instanceId: instanceOf(2) })).toEqual([]);
    await ledger.close();
  });
});

describe("starts that were under way", () => {
  it("are looked for all at once, however many, with nothing piling up on the signal that they share", async () => {
    const COUNT = 40;
    const ledger = new Ledger(state, invocation, { timing: SYSTEM_TIMING });
    const journal = await ledger.journal();
    await Promise.all(Array.from({ length: COUNT }, (_, index) => journal.append(intent(randomUUID(), index))));
    const stop = new AbortController();
    let [asked, listeners] = [0, 0];
    const everybodyAsked = new Promise<void>((resolve) => {
      const query = async () => {
        listeners = Math.max(listeners, getEventListeners(stop.signal, "abort").length);
        if (++asked === COUNT) resolve();
        return { runs: [], pagination: { offset: 0, limit: 100, total: 0, totalPages: 0 } };
      };
      const api = { query, timing: SYSTEM_TIMING } as unknown as Api;
      void (async () => {
        for await (const _ of reconcileItems(api, ledger, [], { stop: stop.signal }));
      })();
    });
    await everybodyAsked;
    stop.abort();
    expect(listeners).toBeLessThan(10);
    await ledger.close();
  });
});

describe("the runs of this machine's starts", () => {
  it("are known, as they are written, once each, and not those that it only cancelled", async () => {
    const ledger = new Ledger(state, invocation, { timing: SYSTEM_TIMING });
    expect(await ledger.knownRuns()).toEqual([]);
    const journal = await Journal.create(state, invocation);
    const [started, found, nothing, cancelled] = [randomUUID(), randomUUID(), randomUUID(), randomUUID()];
    const [one, two, foreign] = [randomUUID(), randomUUID(), randomUUID()];
    await journal.append(intent(started, 1));
    await journal.append({ ...outcome(started), runId: one } as Entry);
    const first = { runId: one, op: started, journal: journal.id };
    expect(await ledger.knownRuns()).toEqual([first]);
    expect(await ledger.knownRuns()).toEqual([first]);
    await journal.append(intent(found, 2));
    await journal.append({ ...outcome(found), kind: "reconcile", runId: two } as Entry);
    await journal.append(intent(nothing, 3));
    await journal.append({ ...outcome(nothing), runId: null, result: "refused" } as Entry);
    await journal.append({ ...intent(cancelled, 4), runId: foreign } as Entry);
    // What a cancel is about is remembered from one reading to the next.
    const both = [first, { runId: two, op: found, journal: journal.id }];
    expect(await ledger.knownRuns()).toEqual(both);
    await journal.append({ ...outcome(cancelled), runId: foreign, result: "cancelled" } as Entry);
    await journal.end();
    expect(await ledger.knownRuns()).toEqual(both);
    expect(await new Ledger(state, invocation, { timing: SYSTEM_TIMING }).knownRuns()).toEqual(both);
  });
});

/** One that was left open by a writer who lives. */
const leftOpen = async () => {
  const journal = await Journal.create(state, invocation);
  const op = randomUUID();
  await journal.append(intent(op, 1));
  return { journal, op };
};
const recordsOf = async () => {
  const found = [];
  for await (const { record } of allRecords(state)) found.push(record);
  return found;
};

describe("an earlier invocation's intent", () => {
  it("is settled on record, by a person's decision if it was one, and then not open", async () => {
    const { journal, op } = await leftOpen();
    await journal.close();
    const ledger = new Ledger(state, { ...invocation, action: "reconcile" }, { timing: SYSTEM_TIMING });
    const [open] = await ledger.open();
    if (!open) throw new Error("nothing is open");
    await ledger.settle(open, { runId: null, result: "closed", decision: "close" });
    expect(await ledger.open()).toEqual([]);
    expect(await ledger.openAnywhere()).toEqual([]);
    expect((await recordsOf()).slice(1)).toMatchObject([
      { kind: "override", op, decision: "close", userId: "user-1", instanceId: instanceOf(1) },
      { kind: "reconcile", op, settled: true, result: "closed", runId: null },
      { kind: "end", intents: 1, open: 0 },
    ]);
    expect(await ledger.knownRuns()).toEqual([]);
    await ledger.close();
  });

  it("is not settled, nor its writer set aside, while that is seen alive", async () => {
    const { journal, op } = await leftOpen();
    const ledger = new Ledger(state, { ...invocation, action: "reconcile" }, { timing: SYSTEM_TIMING });
    const [open] = await ledger.open();
    if (!open?.writer) throw new Error("nobody is at it");
    await expect(ledger.settle(open, { runId: null, result: "closed" })).rejects.toMatchObject({ kind: "conflict" });
    await expect(ledger.setAside(open, open.writer)).rejects.toMatchObject({ kind: "conflict" });
    expect(await recordsOf()).toMatchObject([{ kind: "intent", op }]);
    await journal.end();
    await ledger.close();
  });
});
