/** What it costs to look at journals again and again, and what a look must not miss: others write, close and restore them meanwhile. */
import { randomUUID } from "node:crypto";
import { copyFile, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { systemFiles, type FileLayer } from "../../src/files/file-layer.ts";
import { claimInstance, HeldError } from "../../src/journal/claim.ts";
import { Journal, type Invocation } from "../../src/journal/journal.ts";
import { Ledger } from "../../src/journal/ledger.ts";
import { OpenIndex } from "../../src/journal/open-index.ts";
import { identify } from "../../src/journal/process-identity.ts";
import { readJournal, recordsInBytes } from "../../src/journal/read.ts";
import { isSeen } from "../../src/journal/record.ts";
import { allRecords } from "../../src/journal/scan.ts";
import { SYSTEM_TIMING } from "../../src/timing.ts";
import { instanceOf, intent, invocation, outcome } from "../support/journal-entries.ts";

let state: string;
beforeEach(async () => {
  state = await mkdtemp(join(tmpdir(), "kiloclaw-looks-"));
});
afterEach(() => rm(state, { recursive: true, force: true }));

const fileOf = ({ id, path }: Journal) => ({ id, name: basename(path), path, stateDirectory: state });
const left = async (journal: Journal, index = 1) => {
  const op = randomUUID();
  await journal.append(intent(op, index));
  await journal.close();
  return op;
};

const at = (time: string) => ({ clock: { now: () => new Date(time), monotonicMs: () => 1 } });
const recordsOf = async () => {
  const found = [];
  for await (const { record } of allRecords(state)) found.push(record);
  return found;
};
const inBytes = async (content: Buffer) => {
  const found: string[] = [];
  const torn: unknown[] = [];
  const onTorn = (one: unknown) => torn.push(one);
  for await (const { op } of recordsInBytes("here", content, { onTorn })) found.push(op);
  return { found, torn };
};

/** Files that tell what was opened, and the places that were read. */
function watched(more: Partial<FileLayer> = {}) {
  const opened: string[] = [];
  const places: number[] = [];
  const files: FileLayer = {
    ...systemFiles,
    ...more,
    open: async (path, mode) => {
      opened.push(path);
      const file = await (more.open ?? systemFiles.open)(path, mode);
      return {
        ...file,
        read: (into, position) => {
          places.push(position);
          return file.read(into, position);
        },
      };
    },
  };
  const since = () => ({ opened: opened.splice(0), places: places.splice(0) });
  return { files, since };
}

describe("a look for what is open", () => {
  it("opens no journal that has not grown, and of one that has only what is new", async () => {
    const journal = await Journal.create(state, invocation);
    const op = randomUUID();
    await journal.append(intent(op, 1));
    const { files, since } = watched();
    const index = new OpenIndex(state, files);
    const matching = async () => (await index.find({ userId: "user-2" })).map(({ intent: one }) => one.op);
    expect(await matching()).toEqual([]);
    expect(since().opened).toEqual([journal.path]);
    expect(await matching()).toEqual([]);
    expect(since().opened).toEqual([]);
    const { size } = await stat(journal.path);
    const more = randomUUID();
    await journal.append(intent(more, 3));
    expect(await matching()).toEqual([]);
    const { opened, places } = since();
    expect(opened).toEqual([journal.path]);
    expect(Math.min(...places)).toBe(size);
    expect((await index.find()).map(({ intent: one }) => one.op)).toEqual([op, more]);
    await journal.close();
  });

  it("forgets a journal that is gone, and knows one anew that is shorter than it was", async () => {
    const [one, two] = [await Journal.create(state, invocation), await Journal.create(state, invocation)];
    const first = randomUUID();
    await one.append(intent(first, 1));
    const backup = await readFile(one.path);
    const second = await left(one);
    const third = await left(two);
    const index = new OpenIndex(state);
    const found = async () => (await index.find()).map(({ intent: { op } }) => op).toSorted();
    expect(await found()).toEqual([first, second, third].toSorted());
    await writeFile(one.path, backup);
    expect(await found()).toEqual([first, third].toSorted());
    await rm(two.path);
    expect(await found()).toEqual([first]);
  });

  it("has the oldest first, also where that came last", async () => {
    const late = await left(await Journal.create(state, invocation, at("2026-11-02T00:00:00Z")), 1);
    const index = new OpenIndex(state);
    await index.find();
    const early = await left(await Journal.create(state, invocation, at("2026-11-01T00:00:00Z")), 2);
    expect((await index.find()).map(({ intent: { op } }) => op)).toEqual([early, late]);
  });
});

describe("a journal that is read", () => {
  it("is opened once where it is small, and read as far as it went when it was opened", async () => {
    const journal = await Journal.create(state, invocation);
    await journal.append(intent(randomUUID(), 1));
    const { size } = await stat(journal.path);
    await journal.append(intent(randomUUID(), 2));
    await journal.close();
    const short: Partial<FileLayer> = {
      // It has grown since.
      open: async (path, mode) => {
        const file = await systemFiles.open(path, mode);
        return { ...file, facts: async () => ({ ...(await file.facts()), size }) };
      },
    };
    const { files, since } = watched(short);
    const kinds: string[] = [];
    for await (const { kind } of readJournal(fileOf(journal), { files })) kinds.push(kind);
    expect(kinds).toEqual(["intent"]);
    expect(since().opened).toEqual([journal.path]);
  });

  it("is opened once more for each further piece, and nothing is lost between two", async () => {
    const journal = await Journal.create(state, invocation);
    const ops = Array.from({ length: 300 }, () => randomUUID());
    await Promise.all(ops.map((op, index) => journal.append(intent(op, index))));
    await journal.close();
    const { size } = await stat(journal.path);
    const { files, since } = watched();
    const read: string[] = [];
    for await (const { op } of readJournal(fileOf(journal), { files })) read.push(op);
    expect(read).toEqual(ops);
    expect(since().opened).toHaveLength(Math.ceil(size / 65_536));
  });

  it("is the same in bytes, to its torn end", async () => {
    const journal = await Journal.create(state, invocation);
    const op = await left(journal);
    const bytes = await readFile(journal.path);
    expect(await inBytes(bytes)).toEqual({ found: [op], torn: [] });
    const cut = bytes.subarray(0, -5);
    expect(await inBytes(cut)).toEqual({ found: [], torn: [{ offset: 0, length: cut.length }] });
    const long = await Journal.create(state, invocation);
    const ops = Array.from({ length: 300 }, () => randomUUID());
    await Promise.all(ops.map((one, index) => long.append(intent(one, index))));
    await long.close();
    expect((await inBytes(await readFile(long.path))).found).toEqual(ops);
  });
});

it("a run that was only seen is nobody's start", () => {
  expect(["alike", "already-started", "started", "found", "adopted", null].map(isSeen)).toEqual([
    true,
    true,
    false,
    false,
    false,
    false,
  ]);
});

const ledgerOf = (more: Partial<Invocation> = {}, patienceMs = 0) =>
  new Ledger(state, { ...invocation, ...more }, { timing: { ...SYSTEM_TIMING, claim: { patienceMs, pauseMs: 5 } } });

describe("the runs of this machine's starts", () => {
  it("are those of a restored journal once it is shorter than it was", async () => {
    const journal = await Journal.create(state, invocation);
    const [one, two] = [randomUUID(), randomUUID()];
    const [first, second] = [randomUUID(), randomUUID()];
    await journal.append(intent(one, 1));
    await journal.append(outcome(one, first));
    await copyFile(journal.path, join(state, "backup"));
    await journal.append(intent(two, 2));
    await journal.append(outcome(two, second));
    await journal.close();
    const ledger = ledgerOf();
    const known = async () => (await ledger.knownRuns()).map(({ runId }) => runId);
    expect(await known()).toEqual([first, second]);
    await copyFile(join(state, "backup"), journal.path);
    expect(await known()).toEqual([first]);
    expect(await known()).toEqual([first]);
  });
});

describe("an instance that another one claims", () => {
  const stop = new AbortController().signal;
  const target = { origin: invocation.origin, instanceId: instanceOf(1) };

  it("is waited for while that is about to be done", async () => {
    const held = await claimInstance(state, target, { pid: process.pid, op: randomUUID() });
    const claiming = ledgerOf({}, 60_000).claim(target.instanceId, randomUUID(), stop);
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect(await ledgerOf().claims()).toHaveLength(1);
    await held.release();
    await (await claiming).release();
    expect(await ledgerOf().claims()).toEqual([]);
  });

  it("is refused after a moment, with its holder, and at once where the claim cannot be written", async () => {
    const op = randomUUID();
    const held = await claimInstance(state, target, { pid: process.pid, op });
    const refused = await ledgerOf({}, 20)
      .claim(target.instanceId, randomUUID(), stop)
      .catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(HeldError);
    expect(refused).toMatchObject({ holder: { op } });
    await held.release();
    await rm(join(state, "claims"), { recursive: true });
    await writeFile(join(state, "claims"), "in the way");
    const broken = ledgerOf({}, 60_000).claim(target.instanceId, randomUUID(), stop);
    await expect(broken).rejects.toMatchObject({ kind: "local-state" });
  });

  it("is not waited for by somebody who wants out", async () => {
    const held = await claimInstance(state, target, { pid: process.pid, op: randomUUID() });
    const leaving = new AbortController();
    const claiming = ledgerOf({}, 60_000).claim(target.instanceId, randomUUID(), leaving.signal);
    leaving.abort(new Error("wants out"));
    await expect(claiming).rejects.toThrow("wants out");
    await held.release();
  });
});

/** A process that cannot be seen from here. */
const GONE = 4_000_001;
const far = async () => ({ ...(await identify(process.pid)), machine: "f".repeat(32), boot: "another", pid: GONE });

describe("a process that a person sets aside", () => {
  it("holds no instance any more, on record in this invocation's journal", async () => {
    const target = { origin: invocation.origin, instanceId: instanceOf(1) };
    const op = randomUUID();
    await claimInstance(state, target, { pid: GONE, op, self: await far() });
    const ledger = ledgerOf({ action: "reconcile" });
    const [holder, ...more] = await ledger.claims();
    if (!holder) throw new Error("nothing is held");
    expect(more).toEqual([]);
    await ledger.setClaimAside(holder);
    expect(await ledger.claims()).toEqual([]);
    expect(await recordsOf()).toMatchObject([
      {
        kind: "override",
        action: "reconcile",
        op,
        userId: "",
        instanceId: instanceOf(1),
        runId: null,
        decision: "set-aside",
        holder: { pid: GONE, host: holder.host, since: holder.since.toISOString() },
      },
    ]);
    await ledger.close();
  });

  it("writes its journal no more: that it was set aside stands in there, and what it left open can be settled", async () => {
    const journal = await Journal.create(state, invocation);
    const op = await left(journal);
    const line = { nonce: randomUUID(), process: await far(), op: journal.id, since: new Date().toISOString() };
    await writeFile(`${journal.path}.claim`, `\n${JSON.stringify(line)}\n`, { mode: 0o600 });
    const target = { origin: invocation.origin, instanceId: instanceOf(1) };
    await claimInstance(state, target, { pid: GONE, op, self: await far() });
    const ledger = ledgerOf({ action: "reconcile" });
    const [open] = await ledger.open();
    if (!open?.writer) throw new Error("nobody is at it");
    expect(open.writer).toMatchObject({ pid: GONE, seen: false });
    await ledger.setAside(open, open.writer);
    expect(await recordsOf()).toMatchObject([
      { kind: "intent", op },
      { kind: "override", op, userId: "user-1", instanceId: instanceOf(1), runId: null, decision: "set-aside" },
    ]);
    expect(await ledger.claims()).toEqual([]);
    const [after] = await ledger.open();
    expect(after?.writer).toBeNull();
    expect((await readdir(join(state, "journal", "open"))).filter((name) => name.endsWith(".claim"))).toEqual([]);
  });

  it("of the journal that is resumed stands in that journal before anything else", async () => {
    const journal = await Journal.create(state, invocation);
    await left(journal);
    const line = { nonce: randomUUID(), process: await far(), op: journal.id, since: new Date().toISOString() };
    await writeFile(`${journal.path}.claim`, `\n${JSON.stringify(line)}\n`, { mode: 0o600 });
    const [open] = await ledgerOf().open();
    const setAside = open?.writer ?? undefined;
    expect(setAside).toMatchObject({ pid: GONE });
    const ledger = new Ledger(state, invocation, {
      timing: SYSTEM_TIMING,
      resumed: { file: fileOf(journal), setAside },
    });
    await ledger.journal();
    expect((await recordsOf()).at(-1)).toMatchObject({
      kind: "override",
      op: journal.id,
      userId: "",
      instanceId: null,
      runId: null,
      decision: "set-aside",
      holder: { pid: GONE },
    });
    await ledger.close();
  });
});
