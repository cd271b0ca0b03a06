/** Every cut and every flipped bit of a journal's file. */
import { randomUUID } from "node:crypto";
import { beforeAll, describe, expect, it } from "vitest";
import { messageOf } from "../../src/errors.ts";
import { writerOf } from "../../src/journal/claim.ts";
import { allJournals, openJournals, type JournalFile } from "../../src/journal/folder.ts";
import { Journal, type Invocation } from "../../src/journal/journal.ts";
import { readJournal } from "../../src/journal/read.ts";
import { promptFacts, seal, toRecord, unseal, type Entry, type JournalRecord } from "../../src/journal/record.ts";
import { Disk } from "../support/journal-disk.ts";

const STATE = "/state";
const invocation: Invocation = {
  action: "start",
  profile: "default",
  origin: "https://app.kilo.ai",
  adminId: null,
  ticket: null,
  reason: null,
  tool: "0.0.0-test",
  pid: 2 ** 22 + 1,
};
const intent = (): Entry => ({
  kind: "intent",
  op: randomUUID(),
  userId: "user",
  instanceId: null,
  runId: null,
  ...promptFacts("repair it"),
  knownRunIds: [],
});

/** A journal of one record, two that were written together, and one more. */
let journal: JournalFile;
let bytes: Buffer;
let records: JournalRecord[];

beforeAll(async () => {
  const disk = new Disk();
  const writing = await Journal.create(STATE, invocation, { files: disk });
  records = [await writing.append(intent())];
  records.push(...(await Promise.all([writing.append(intent()), writing.append(intent())])));
  records.push(await writing.append(intent()));
  await writing.close();
  const [found] = await openJournals(STATE, disk);
  if (!found) throw new Error("there is no journal");
  journal = found;
  bytes = disk.content(writing.path);
});

function diskWith(content: Buffer): Disk {
  const disk = new Disk();
  disk.put(journal.path, content);
  return disk;
}

async function read(disk: Disk): Promise<JournalRecord[]> {
  const found: JournalRecord[] = [];
  for await (const record of readJournal(journal, { files: disk })) found.push(record);
  return found;
}

/** Takes the journal up, appends one record, and tells what stands in it then. */
async function mend(disk: Disk) {
  const opened = await Journal.open(journal, invocation, { files: disk });
  const added = await opened.append(intent());
  await opened.close();
  const all = await read(disk);
  expect(all.at(-1)).toEqual(added);
  return { torn: opened.torn, kept: all.slice(0, -1) };
}

/** The journal without what the disk did not take: the start of a record. */
function lost(content: Buffer, line: number): Buffer {
  const from = bytes.indexOf(`"seq":${line}`);
  return Buffer.from(content).fill(0, from, from + 64);
}

function lines(): string[] {
  const all = bytes.toString().split("\n").slice(0, -1);
  return all.map((line) => `${line}\n`);
}

describe("cut at any byte", () => {
  it("a journal goes on after its longest valid part, and the rest is kept aside", async () => {
    for (let length = 0; length <= bytes.length; length++) {
      const content = bytes.subarray(0, length);
      // Written down anew: as many records as there are line breaks.
      const whole = content.toString().split("\n").length - 1;
      const valid = content.lastIndexOf("\n") + 1;
      const disk = diskWith(content);
      expect(await read(disk)).toEqual(records.slice(0, whole));
      expect(disk.paths(), "reading changes nothing").toEqual([journal.path]);
      // Mending takes its time: every cut near the end of a record, and some between.
      if (length % 7 > 0 && Math.abs(length - valid) > 2) continue;

      const { torn, kept } = await mend(disk);
      expect(kept).toEqual(records.slice(0, whole));
      expect(torn && { ...torn, content: disk.content(torn.keptIn).toString() }).toEqual(
        valid === length
          ? null
          : {
              offset: valid,
              length: length - valid,
              keptIn: torn?.keptIn,
              content: content.subarray(valid).toString(),
            },
      );
      // And once more: there is nothing left to mend.
      expect((await mend(disk)).torn).toBeNull();
    }
  });
});

describe("with any bit flipped", () => {
  it("a journal is refused, or loses only its last write", async () => {
    const refused: { readonly content: Buffer; readonly message: string }[] = [];
    const cut: number[] = [];
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const content = Buffer.from(bytes);
      content.writeUInt8((content[bit >> 3] ?? 0) ^ (1 << (bit & 7)), bit >> 3);
      const disk = diskWith(content);
      const found = await read(disk).catch(messageOf);
      if (typeof found === "string") refused.push({ content, message: found });
      else cut.push(found.length);
    }
    const lastLine = bytes.length - bytes.lastIndexOf("\n", bytes.length - 2) - 1;
    expect(cut).toEqual(Array.from({ length: lastLine * 8 }, () => records.length - 1));
    expect(refused).toHaveLength((bytes.length - lastLine) * 8);
    expect(refused.filter(({ message }) => !message.includes(`the journal ${journal.path} is damaged`))).toEqual([]);
    // What is refused is not changed either.
    for (const { content } of refused.filter((_, index) => index % 97 === 0)) {
      const disk = diskWith(content);
      await expect(Journal.open(journal, invocation, { files: disk })).rejects.toMatchObject({ kind: "local-state" });
      expect(disk.content(journal.path).equals(content)).toBe(true);
    }
  });
});

describe("the last write, of several records", () => {
  it("is cut off as one when the disk took only some of them", async () => {
    const together = bytes.subarray(0, bytes.lastIndexOf("\n", bytes.length - 2) + 1);
    const disk = diskWith(lost(together, 1));
    expect(await read(disk)).toEqual(records.slice(0, 1));
    expect(await mend(disk)).toMatchObject({ kept: records.slice(0, 1), torn: { length: expect.any(Number) } });
  });

  it("was relied upon, once another stands behind it", async () => {
    await expect(read(diskWith(lost(bytes, 1)))).rejects.toMatchObject({ kind: "local-state" });
  });
});

describe("records that are whole but not where they were", () => {
  const cases: Record<string, (all: string[]) => string[]> = {
    "the first removed": (all) => all.slice(1),
    "one removed from the middle": (all) => all.toSpliced(1, 1),
    "the last but one removed": (all) => all.toSpliced(2, 1),
    "one doubled": (all) => all.toSpliced(1, 0, all[1] ?? ""),
    "the last doubled": (all) => [...all, all.at(-1) ?? ""],
    "two in the wrong order": ([a = "", b = "", c = "", d = ""]) => [a, c, b, d],
    "the last two in the wrong order": ([a = "", b = "", c = "", d = ""]) => [a, b, d, c],
    "an empty line between": (all) => all.toSpliced(2, 0, "\n"),
    "junk between": (all) => all.toSpliced(3, 0, `${"junk ".repeat(50_000)}\n`),
    "a line break lost": (all) => [...all.slice(0, 2), (all[2] ?? "").trim(), ...all.slice(3)],
    "a record of another journal's": (all) => {
      const { hash: _, ...first } = records[0] ?? ({} as JournalRecord);
      return [...all, seal({ ...first, seq: all.length } as Parameters<typeof seal>[0]).line.toString()];
    },
  };

  it.each(Object.keys(cases))("%s: refused", async (name) => {
    const disk = diskWith(Buffer.from((cases[name]?.(lines()) ?? []).join("")));
    await expect(read(disk)).rejects.toMatchObject({
      kind: "local-state",
      message: expect.stringContaining(`the journal ${journal.path} is damaged`),
      hints: expect.arrayContaining([expect.stringContaining(`mv ${journal.path}`)]),
    });
    await expect(Journal.open(journal, invocation, { files: disk })).rejects.toMatchObject({ kind: "local-state" });
  });
});

/** The first record, as it was before it was sealed. */
function start(): Parameters<typeof seal>[0] {
  const { hash: _, ...first } = records[0] ?? ({} as JournalRecord);
  return first as Parameters<typeof seal>[0];
}

describe("what is not a record", () => {
  const ending = { runId: null, result: "refused", settled: true, code: null };

  it.each<[string, object]>([
    ["text in the place of a word", { action: "Not a word" }],
    ["a word with more behind it", { action: "start\n" }],
    ["a word of more than 64 letters", { action: "a".repeat(65) }],
    ["text in the place of a code", { kind: "outcome", ...ending, code: "<html>" }],
    ["a code with text before it", { kind: "outcome", ...ending, code: "prompt: CONFLICT" }],
    ["a code of more than 100 letters", { kind: "outcome", ...ending, code: "C".repeat(101) }],
    ["no code", { kind: "outcome", ...ending, code: "" }],
    ["a prompt in the place of its hash", { promptSha256: "repair it" }],
    ["a hash with more behind it", { promptSha256: `${"a".repeat(64)} repair it` }],
    ["a hash with more before it", { promptSha256: `repair it ${"a".repeat(64)}` }],
    ["a negative length", { promptLength: -1 }],
    ["a run's ID that is none", { runId: "the newest" }],
    ["more known runs than it may hold", { knownRunIds: Array.from({ length: 1_001 }, () => randomUUID()) }],
    ["a line that is too long", { reason: "x".repeat(2_001) }],
    ["a time that is not in UTC", { at: "2026-11-22T10:00:00.000+01:00" }],
    ["a clock before its start", { monotonicMs: -1 }],
    ["an operation without an ID", { op: "1" }],
  ])("is not written: %s", (_, change) => {
    expect(() => seal(start())).not.toThrow();
    expect(() => seal({ ...start(), ...change } as Parameters<typeof seal>[0])).toThrow(/"path"/);
  });

  it("is not written: one longer than a reader takes", () => {
    const settings = Object.fromEntries(Array.from({ length: 70 }, (_, n) => [`setting-${n}`, "x".repeat(2_000)]));
    const job = { ...start(), kind: "job", total: 1 };
    expect(() => seal({ ...job, settings: {} } as Parameters<typeof seal>[0])).not.toThrow();
    expect(() => seal({ ...job, settings } as Parameters<typeof seal>[0])).toThrow(/cannot have \d+ bytes/);
  });

  it.each([["all that a record may hold", { reason: "x".repeat(2_000), action: "a".repeat(64) }]])(
    "but %s is written and read",
    (_, change) => {
      const { line, record } = seal({ ...start(), ...change } as Parameters<typeof seal>[0]);
      const sealed = unseal(line.subarray(0, -1));
      expect(sealed && toRecord(sealed)).toEqual(record);
    },
  );
});

describe("a journal that is gone on with", () => {
  it("tells its records and counts all its intents in its end", async () => {
    const disk = diskWith(bytes);
    const told: JournalRecord[] = [];
    const opened = await Journal.open(journal, invocation, { files: disk, onRecord: (one) => told.push(one) });
    expect(told).toEqual(records);
    await opened.append(intent());
    await opened.end();
    expect((await read(disk)).at(-1)).toMatchObject({ kind: "end", seq: 5, intents: 5, open: 5 });
  });

  it("keeps all of a long torn end aside", async () => {
    const rest = Buffer.alloc(200_000, "junk ");
    const disk = diskWith(Buffer.concat([bytes, rest]));
    const { torn, kept } = await mend(disk);
    expect(kept).toEqual(records);
    expect(torn).toMatchObject({ offset: bytes.length, length: rest.length });
    expect(disk.content(torn?.keptIn ?? "").equals(rest)).toBe(true);
  });

  it("is nobody's, once it turned out to be damaged", async () => {
    const disk = diskWith(lost(bytes, 1));
    const held = { ...invocation, pid: process.pid };
    await expect(Journal.open(journal, held, { files: disk })).rejects.toMatchObject({ kind: "local-state" });
    expect(await writerOf(journal.path, disk)).toBeNull();
  });

  it("is where others look for what is open, also after a power cut, once a closed one was taken up", async () => {
    const disk = new Disk();
    const writing = await Journal.create(STATE, invocation, { files: disk });
    await writing.end();
    expect(await openJournals(STATE, disk)).toEqual([]);
    const [closed] = await allJournals(STATE, disk);
    if (!closed) throw new Error("there is no journal");
    const again = await Journal.reopen(closed, invocation, { files: disk });
    expect(again.path).toBe(writing.path);
    const found = await openJournals(
      STATE,
      disk.afterPowerCut(() => 0),
    );
    expect(found).toMatchObject([{ id: writing.id }]);
    await again.close();
    // And one that is open is gone on with where it is.
    expect((await Journal.reopen(closed, invocation, { files: disk })).path).toBe(writing.path);
  });

  it("is not taken for one that is open where it cannot be moved", async () => {
    const disk = new Disk();
    await (await Journal.create(STATE, invocation, { files: disk })).end();
    const [closed] = await allJournals(STATE, disk);
    if (!closed) throw new Error("there is no journal");
    disk.rename = () => Promise.reject(new Error("no such luck"));
    await expect(Journal.reopen(closed, invocation, { files: disk })).rejects.toMatchObject({ kind: "local-state" });
  });
});
