// What the journal costs: a single start, a job of many, and reading it all back in little memory.
//   npm run bench -- journal [RECORDS]     default: 100000
import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const at = (/** @type {string} */ path) => fileURLToPath(new URL(path, import.meta.url));
const records = Number(process.argv[2] ?? 100_000);
const directory = await mkdtemp(join(tmpdir(), "kiloclaw-admin-bench-"));
const stateOf = (/** @type {string} */ name) => join(directory, name);

const rooms = ["journal/journal", "journal/scan", "journal/record", "journal/folder", "journal/open-index"];
const bundle = join(directory, "journal.mjs");
await build({
  stdin: {
    contents: rooms.map((room) => `export * from "./${room}.ts";`).join("\n"),
    resolveDir: at("../../src"),
  },
  outfile: bundle,
  bundle: true,
  platform: "node",
  format: "esm",
});
/**
 * @type {typeof import("../../src/journal/journal.ts") & typeof import("../../src/journal/scan.ts") &
 *   typeof import("../../src/journal/record.ts") & typeof import("../../src/journal/folder.ts") &
 *   typeof import("../../src/journal/open-index.ts")}
 */
const { Journal, allRecords, OpenIndex, verifyJournal, promptFacts, allJournals } = await import(bundle);

const invocation = {
  action: "start",
  profile: "default",
  origin: "https://app.kilo.ai",
  adminId: "0b6e1f9c-5d1f-4a63-9c58-2f6f6a4f8f11",
  ticket: "INC-4711",
  reason: "the gateway does not come back after the update",
  tool: "0.1.0",
  pid: process.pid,
};
const intent = (/** @type {string} */ op) => ({
  kind: /** @type {const} */ ("intent"),
  op,
  userId: "8a3c1f0e-7b1d-4c55-8f63-0d8b6a7c9e21",
  instanceId: "11111111-1111-4111-8111-111111111111",
  runId: null,
  ...promptFacts("repair it"),
  knownRunIds: [],
});
const outcome = (/** @type {string} */ op) => ({
  kind: /** @type {const} */ ("outcome"),
  op,
  runId: op,
  result: "started",
  settled: true,
  code: null,
});

const figure = (/** @type {string} */ name, /** @type {string} */ value) =>
  console.log(`${name.padEnd(58)}${value.padStart(16)}`);
const megabytes = (/** @type {number} */ bytes) => `${(bytes / 2 ** 20).toFixed(1)} MiB`;
/**
 * @template T
 * @param {string} name
 * @param {() => T | Promise<T>} work
 */
async function timed(name, work) {
  const began = performance.now();
  const result = await work();
  figure(name, `${(performance.now() - began).toFixed(0)} ms`);
  return result;
}
const median = (/** @type {number[]} */ values) =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;

/** @param {string} state */
async function start(state) {
  const op = crypto.randomUUID();
  const journal = await Journal.create(state, invocation);
  await journal.append(intent(op));
  await journal.append(outcome(op));
  await journal.end();
}

/**
 * Reads to the end, and says how much memory that took at most.
 *
 * @param {string} name
 * @param {AsyncIterable<unknown>} source
 */
async function reading(name, source) {
  globalThis.gc?.();
  const before = process.memoryUsage().rss;
  let [count, most] = [0, before];
  await timed(name, async () => {
    for await (const _ of source) if (++count % 1000 === 0) most = Math.max(most, process.memoryUsage().rss);
  });
  figure(`  ${count} of them; memory while reading, above before`, megabytes(most - before));
}

try {
  const times = [];
  for (let index = 0; index < 50; index++) {
    const began = performance.now();
    await start(stateOf("starts"));
    times.push(performance.now() - began);
  }
  figure("journal of a single start: create, intent, outcome, end", `${median(times).toFixed(1)} ms`);

  for (const concurrency of [1, 20]) {
    const state = stateOf(`concurrency-${concurrency}`);
    const job = await Journal.create(state, invocation);
    const began = performance.now();
    await Promise.all(
      Array.from({ length: concurrency }, async () => {
        for (let index = 0; index < 400 / concurrency; index++) {
          const op = crypto.randomUUID();
          await job.append(intent(op));
          await job.append(outcome(op));
        }
      }),
    );
    const rate = 800 / ((performance.now() - began) / 1000);
    figure(`synced appends, ${concurrency} at a time`, `${rate.toFixed(0)} /s`);
    await job.end();
  }

  const state = stateOf("job");
  const job = await Journal.create(state, invocation);
  await timed(`writing a job of ${records} records, 200 at a time`, async () => {
    for (let written = 0; written < records; written += 200) {
      const ops = Array.from({ length: 100 }, () => crypto.randomUUID());
      await Promise.all(ops.map((op) => job.append(intent(op))));
      // One in a hundred stays open.
      await Promise.all(ops.slice(1).map((op) => job.append(outcome(op))));
    }
  });
  figure("  its file", megabytes((await stat(job.path)).size));
  await job.close();
  await reading("all records, as audit log reads them", allRecords(state));
  const index = new OpenIndex(state);
  await timed("open intents, as every start looks for them", () => index.find());
  await timed("  the same again, by a job that starts many", () => index.find());
  const [found] = await allJournals(state);
  if (found === undefined) throw new Error("the job's journal is not there");
  await timed("verifying it", () => verifyJournal(found));
  const again = await timed("taking it up again", () => Journal.open(found, { ...invocation, action: "reconcile" }));
  await timed("settling what is open", () =>
    Promise.all(again.open.map(({ op }) => again.append({ ...outcome(op), kind: "reconcile" }))),
  );
  await again.end();
  await timed("open intents, once the job is closed", () => new OpenIndex(state).find());
} finally {
  await rm(directory, { recursive: true, force: true });
}
