/** Reading operations out of journals, as far as it does not show on the screen. */
import { randomUUID } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { systemFiles, type FileLayer } from "../../src/files/file-layer.ts";
import { Journal, type Invocation } from "../../src/journal/journal.ts";
import { OpenIndex } from "../../src/journal/open-index.ts";
import { allOperations } from "../../src/journal/operations.ts";
import { promptFacts, type Entry } from "../../src/journal/record.ts";
import { allRecords } from "../../src/journal/scan.ts";

let state: string;
beforeEach(async () => {
  state = await mkdtemp(join(tmpdir(), "kiloclaw-operations-"));
  for (let n = 0; n < 3; n++) await write();
});
afterEach(() => rm(state, { recursive: true }));

const INVOCATION: Invocation = {
  action: "start",
  profile: "default",
  origin: "https://app.kilo.ai",
  adminId: null,
  ticket: null,
  reason: null,
  tool: "0.0.0-test",
  pid: process.pid,
};

const intent = (op: string): Entry => {
  const about = { userId: "user", instanceId: randomUUID(), runId: null };
  return { kind: "intent", op, ...about, ...promptFacts(""), knownRunIds: [] };
};

/** Three operations, of which the second stays open. */
async function write(): Promise<void> {
  const journal = await Journal.create(state, INVOCATION);
  for (const [index, op] of [randomUUID(), randomUUID(), randomUUID()].entries()) {
    await journal.append(intent(op));
    const settled = index !== 1;
    await journal.append({ kind: "outcome", op, runId: null, result: "refused", settled, code: null });
  }
  await journal.end();
}

/** The files of this machine, with the count of those that are open, and the most that ever were. */
function counted(): { files: FileLayer; open: () => number; most: () => number } {
  let [open, most] = [0, 0];
  const files: FileLayer = {
    ...systemFiles,
    open: async (path, mode) => {
      const file = await systemFiles.open(path, mode);
      open += 1;
      most = Math.max(most, open);
      const close = file.close.bind(file);
      return Object.assign(file, {
        close: async () => {
          open -= 1;
          await close();
        },
      });
    },
  };
  return { files, open: () => open, most: () => most };
}

it.each([
  ["records", allRecords],
  ["operations", allOperations],
])("whoever stops reading %s in the middle leaves no file open", async (_, read) => {
  const { files, open, most } = counted();
  const reading = read(state, { files });
  await reading.next();
  expect(most()).toBeGreaterThan(0);
  await reading.return();
  expect(open()).toBe(0);
});

async function* timesOfRecords(files: FileLayer) {
  for await (const { record } of allRecords(state, { files })) yield record.at;
}
async function* timesOfOperations(files: FileLayer) {
  for await (const { first } of allOperations(state, { files })) yield first.at;
}

describe("of many journals that were written at the same time", () => {
  const MANY = 200;
  const FEW = 40;
  beforeEach(async () => {
    const begun = Array.from({ length: MANY }, () => Journal.create(state, INVOCATION));
    const journals = await Promise.all(begun);
    for (const _ of [1, 2]) for (const journal of journals) await journal.append(intent(randomUUID()));
    await Promise.all(journals.map((journal) => journal.close()));
  });

  it.each([
    ["records", timesOfRecords],
    ["operations", timesOfOperations],
  ])("all %s are read in their order, with few files open at once", async (_, read) => {
    const { files, open, most } = counted();
    const times: string[] = [];
    for await (const at of read(files)) times.push(at);
    expect(times.length).toBeGreaterThanOrEqual(2 * MANY);
    expect(times).toEqual(times.toSorted());
    expect(most()).toBeLessThan(FEW);
    expect(open()).toBe(0);
  });

  it("what is open is found with few files open at once, oldest first, and each look again reads only what is new", async () => {
    const { files, open, most } = counted();
    const index = new OpenIndex(state, files);
    const found = await index.find();
    expect(found.length).toBeGreaterThanOrEqual(2 * MANY);
    const names = found.map(({ journal }) => journal.name);
    expect(names).toEqual(names.toSorted());
    expect(most()).toBeLessThan(FEW);
    expect(open()).toBe(0);
    expect(await index.find()).toEqual(found);
  });
});

it("gives the operations of each journal in the order in which they were begun, also behind an open one", async () => {
  const found: string[] = [];
  for await (const { state: how } of allOperations(state)) found.push(how);
  expect(found).toEqual(["settled", "open", "settled", "settled", "open", "settled", "settled", "open", "settled"]);
});
