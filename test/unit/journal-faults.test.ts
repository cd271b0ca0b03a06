/** Disks that fail and power that goes: what was promised is there, and nothing is promised after a failure. */
import { randomUUID } from "node:crypto";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { CliError } from "../../src/errors.ts";
import { allJournals, openJournals } from "../../src/journal/folder.ts";
import { Journal, type Invocation } from "../../src/journal/journal.ts";
import { OpenIndex } from "../../src/journal/open-index.ts";
import { readJournal } from "../../src/journal/read.ts";
import { promptFacts, type Entry, type JournalRecord } from "../../src/journal/record.ts";
import { Disk, type Fault } from "../support/journal-disk.ts";

const STATE = "/state";
/** No system has a process of this number: whoever held a claim is dead. */
const GONE = 2 ** 22 + 1;
const invocation: Invocation = {
  action: "start",
  profile: "default",
  origin: "https://app.kilo.ai",
  adminId: "admin",
  ticket: "T-1",
  reason: null,
  tool: "0.0.0-test",
  pid: GONE,
};

const intent = (op: string): Entry => ({
  kind: "intent",
  op,
  userId: "user",
  instanceId: randomUUID(),
  runId: null,
  ...promptFacts("repair it"),
  knownRunIds: [],
});
const outcome = (op: string): Entry => ({
  kind: "outcome",
  op,
  runId: randomUUID(),
  result: "started",
  settled: true,
  code: null,
});

/** What was promised: records whose append returned. And what was refused. */
class Account {
  readonly promised: JournalRecord[] = [];
  readonly failures: unknown[] = [];

  async try(work: () => Promise<unknown>): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.failures.push(error);
    }
  }

  /** Appends all at once. After a failure nothing may be promised any more. */
  async append(journal: Journal, ...entries: Entry[]): Promise<void> {
    const failedBefore = this.failures.length > 0;
    await Promise.all(
      entries.map((entry) =>
        this.try(async () => {
          this.promised.push(await journal.append(entry));
          if (failedBefore) throw new Error("promised after a failure");
        }),
      ),
    );
  }
}

/** Single starts, a group of them, an end. */
async function work(disk: Disk, account: Account): Promise<void> {
  await account.try(async () => {
    const journal = await Journal.create(STATE, invocation, { files: disk });
    const [a, b, c] = [randomUUID(), randomUUID(), randomUUID()];
    await account.append(journal, intent(a));
    await account.append(journal, outcome(a));
    await account.append(journal, intent(b), intent(c), intent(randomUUID()));
    await account.append(journal, outcome(b), outcome(c));
    await account.try(() => journal.end());
  });
}

/** What the next command does with what it finds: every journal is taken up, mended, and one record longer. */
async function resume(disk: Disk, account: Account): Promise<void> {
  for (const journal of await openJournals(STATE, disk)) {
    await account.try(async () => {
      const opened = await Journal.open(journal, { ...invocation, action: "reconcile" }, { files: disk });
      const [first] = opened.open;
      if (first) await account.append(opened, { ...outcome(first.op), kind: "reconcile" } as Entry);
      await account.append(opened, intent(randomUUID()));
      await account.try(() => opened.end());
    });
  }
}

async function recordsOf(disk: Disk): Promise<JournalRecord[]> {
  const records: JournalRecord[] = [];
  for (const journal of await allJournals(STATE, disk)) {
    for await (const record of readJournal(journal, { files: disk })) records.push(record);
  }
  return records;
}

/** Everything that was promised is there, as it was promised, before and after the next command has mended the files. */
async function expectKept(disk: Disk, { promised }: Account): Promise<void> {
  const look = async () => {
    expect((await recordsOf(disk)).filter(({ hash }) => promised.some((one) => one.hash === hash))).toEqual(promised);
    const settled = new Set(
      (await recordsOf(disk)).flatMap((one) => ("settled" in one && one.settled ? [one.op] : [])),
    );
    const open = new Set((await new OpenIndex(STATE, disk).find()).map(({ intent: found }) => found.op));
    const intents = promised.flatMap(({ kind, op }) => (kind === "intent" ? [op] : []));
    expect(intents.filter((op) => !open.has(op) && !settled.has(op))).toEqual([]);
  };
  await look();
  const later = new Account();
  await resume(disk, later);
  expect(later.failures).toEqual([]);
  await look();
}

async function stepsOf(run: (disk: Disk) => Promise<void>, disk: Disk): Promise<number> {
  const before = disk.steps;
  await run(disk);
  return disk.steps - before;
}

/** A disk with a journal whose writer was killed in the middle of a record. */
async function tornDisk(): Promise<{ disk: Disk; account: Account }> {
  const disk = new Disk();
  const account = new Account();
  const journal = await Journal.create(STATE, invocation, { files: disk });
  await account.append(journal, intent(randomUUID()), intent(randomUUID()));
  await account.append(journal, intent(randomUUID()));
  await journal.close();
  disk.put(journal.path, Buffer.concat([disk.content(journal.path), Buffer.from('{"format":1,"tool":"0.0')]));
  return { disk, account };
}

const SCENARIOS = [
  { name: "a new journal", prepare: async () => ({ disk: new Disk(), account: new Account() }), act: work },
  { name: "one taken up after a crash", prepare: tornDisk, act: resume },
];

/** Begun journals after a power cut, where what was not synced of files, or of their names, is lost. */
const withoutFiles = (disk: Disk) =>
  openJournals(
    STATE,
    disk.afterPowerCut(() => 0.999),
  );
const withoutNames = (disk: Disk) =>
  openJournals(
    STATE,
    disk.afterPowerCut(() => 0),
  );

describe("a journal that was begun", () => {
  it("is there after a power cut, before anything stands in it: its file was synced, and its folder", async () => {
    const disk = new Disk();
    const { id } = await Journal.create(STATE, invocation, { files: disk });
    for (const look of [withoutFiles, withoutNames]) expect(await look(disk)).toMatchObject([{ id }]);
  });

  it("is not begun where its file or its folder cannot be synced", async () => {
    const counting = new Disk();
    await Journal.create(STATE, invocation, { files: counting });
    let refused = 0;
    for (let at = 1; at <= counting.steps; at++) {
      const disk = new Disk();
      disk.failAt(at, "EIO");
      const begun = await Journal.create(STATE, invocation, { files: disk }).catch((error: unknown) => error);
      const found = [...(await withoutFiles(disk)), ...(await withoutNames(disk))];
      if (begun instanceof CliError) refused += 1;
      expect(begun instanceof CliError || found.length === 2, `step ${at}`).toBe(true);
    }
    // All but what is only asked once more.
    expect(refused).toBeGreaterThan(counting.steps - 3);
  });
});

describe.each(SCENARIOS)("$name", ({ prepare, act }) => {
  it.each(["EIO", "ENOSPC", "short"] as const)("stops for good at %s, wherever it comes", async (fault: Fault) => {
    const clean = await prepare();
    const steps = await stepsOf((disk) => act(disk, clean.account), clean.disk);
    expect(clean.account.failures).toEqual([]);
    expect(steps).toBeGreaterThan(20);
    let stopped = 0;
    for (let at = 1; at <= steps; at++) {
      const { disk, account } = await prepare();
      disk.failAt(at, fault);
      await act(disk, account).catch((error: unknown) => account.failures.push(error));
      for (const failure of account.failures) {
        expect(failure).toBeInstanceOf(CliError);
        expect(failure).toMatchObject({ kind: "local-state", message: expect.stringContaining(STATE) });
      }
      if (account.failures.length > 0) stopped += 1;
      await expectKept(disk, account);
    }
    expect(stopped).toBeGreaterThan(3);
  });

  it("keeps what it promised when the power goes, whatever was not synced", async () => {
    const clean = await prepare();
    const before = clean.disk.steps;
    const steps = await stepsOf((disk) => act(disk, clean.account), clean.disk);
    // The most can be lost between a write and its sync.
    const syncs = clean.disk.syncs.map((step) => step - before).filter((step) => step > 0);
    let [promised, torn] = [0, 0];
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(fc.integer({ min: 1, max: steps }), fc.constantFrom(...syncs)),
        fc.infiniteStream(fc.double({ min: 0, max: 0.999, noNaN: true })),
        async (at, random) => {
          const { disk, account } = await prepare();
          disk.failAt(at, "power");
          await act(disk, account).catch(() => undefined);
          const after = disk.afterPowerCut(() => random.next().value);
          promised += account.promised.length;
          await expectKept(after, account);
          if (after.paths().some((path) => path.includes(".torn-"))) torn += 1;
        },
      ),
      { numRuns: 400 },
    );
    expect(promised).toBeGreaterThan(400);
    expect(torn).toBeGreaterThan(3);
  });
});
