/** Reading operations out of journals, as far as it does not show on the screen. */
import { randomUUID } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { systemFiles, type FileLayer } from "../../src/journal/file-layer.ts";
import { Journal } from "../../src/journal/journal.ts";
import { allOperations } from "../../src/journal/operations.ts";
import { promptFacts } from "../../src/journal/record.ts";
import { allRecords } from "../../src/journal/scan.ts";

let state: string;
beforeEach(async () => {
  state = await mkdtemp(join(tmpdir(), "kiloclaw-operations-"));
  for (let n = 0; n < 3; n++) await write();
});
afterEach(() => rm(state, { recursive: true }));

/** Three operations, of which the second stays open. */
async function write(): Promise<void> {
  const journal = await Journal.create(state, {
    action: "start",
    profile: "default",
    origin: "https://app.kilo.ai",
    adminId: null,
    ticket: null,
    reason: null,
    tool: "0.0.0-test",
    pid: process.pid,
  });
  for (const [index, op] of [randomUUID(), randomUUID(), randomUUID()].entries()) {
    const about = { userId: "user", instanceId: randomUUID(), runId: null };
    await journal.append({ kind: "intent", op, ...about, ...promptFacts(""), knownRunIds: [] });
    const settled = index !== 1;
    await journal.append({ kind: "outcome", op, runId: null, result: "refused", settled, code: null });
  }
  await journal.end();
}

/** The files of this machine, with the count of those that are open. */
function counted(): { files: FileLayer; open: () => number } {
  let open = 0;
  const files: FileLayer = {
    ...systemFiles,
    open: async (path, mode) => {
      const file = await systemFiles.open(path, mode);
      open += 1;
      const close = file.close.bind(file);
      return Object.assign(file, {
        close: async () => {
          open -= 1;
          await close();
        },
      });
    },
  };
  return { files, open: () => open };
}

it.each([
  ["records", allRecords],
  ["operations", allOperations],
])("whoever stops reading %s in the middle leaves no file open", async (_, read) => {
  const { files, open } = counted();
  const reading = read(state, { files });
  await reading.next();
  expect(open()).toBeGreaterThan(0);
  await reading.return();
  expect(open()).toBe(0);
});

it("gives the operations of each journal in the order in which they were begun, also behind an open one", async () => {
  const found: string[] = [];
  for await (const { state: how } of allOperations(state)) found.push(how);
  expect(found).toEqual(["settled", "open", "settled", "settled", "open", "settled", "settled", "open", "settled"]);
});
