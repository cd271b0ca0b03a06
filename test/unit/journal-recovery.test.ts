/** Every cut and every flipped bit of a journal's file. */
import { randomUUID } from "node:crypto";
import { beforeAll, describe, expect, it } from "vitest";
import { messageOf } from "../../src/errors.ts";
import { openJournals, type JournalFile } from "../../src/journal/folder.ts";
import { Journal, type Invocation } from "../../src/journal/journal.ts";
import { readJournal } from "../../src/journal/read.ts";
import { promptFacts, seal, type Entry, type JournalRecord } from "../../src/journal/record.ts";
import { Disk } from "../journal-disk.ts";

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
  it("a journal goes on after its longest valid part, and the rest is kept aside", { timeout: 120_000 }, async () => {
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
  it("a journal is refused, or loses only its last write", { timeout: 120_000 }, async () => {
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
