/** Slices of a list, joined into one report. */
import { describe, expect, it } from "vitest";
import type { Item } from "../../src/bulk/item.ts";
import type { Job } from "../../src/bulk/job/job.ts";
import { joinJobs } from "../../src/bulk/job/joined.ts";
import type { JobSettings } from "../../src/bulk/job/settings.ts";
import type { JobFacts } from "../../src/bulk/report/report.ts";
import { facts, itemOf } from "../support/bulk-job.ts";

const NOON = Date.parse("2026-11-25T12:00:00Z");
let jobs = 0;

/** A job that had a slice, each a minute after the one before. */
function slice(
  number: number,
  items: readonly Item[],
  given: Partial<JobFacts> = {},
  unlessStartedSince: string | null = null,
): Job {
  jobs += 1;
  const at = new Date(NOON + jobs * 60_000);
  const id = `7c1e9a52-4d0b-4f7e-9a55-${String(jobs).padStart(12, "0")}`;
  return {
    file: { id, name: id, path: `/state/${id}`, stateDirectory: "/state" },
    facts: facts({ id, state: "done", createdAt: at, endedAt: at, asOf: at, total: items.length, ...given }),
    items: [...items],
    settings: { unlessStartedSince },
    plan: {
      prompt: "repair it",
      source: { kind: "file", path: "/stuck.txt", sha256: null },
      shard: { number, of: 2, entries: 9, asked: "a".repeat(64) },
    },
  } as Pick<Job, "file" | "facts" | "items" | "plan"> & { settings: Partial<JobSettings> } as Job;
}

const NOTHING = { runId: null, startedAt: null, completedAt: null, exitCode: null };
const waiting = (index: number) => itemOf(index, { ...NOTHING, state: "waiting" });
const unknown = (index: number) => itemOf(index, { ...NOTHING, state: "unknown" });
const run = (index: number, runId: string, attached = false) => itemOf(index, { runId, attached });
const skipped = (index: number) => itemOf(index, { ...NOTHING, state: "skipped" });

const since = (hours: number) => new Date(NOON + hours * 3_600_000).toISOString();

const rowsOf = (...given: [Job, ...Job[]]) =>
  joinJobs(given).items.map(({ state, runId, attached }) => [state, runId, attached]);

describe("a slice that was begun again", () => {
  it.each<[string, Item, Item, unknown[]]>([
    ["what has begun since", waiting(1), run(1, "b"), [["completed", "b", false]]],
    ["what is still waiting", waiting(1), waiting(1), [["waiting", null, false]]],
    [
      "the run that the first has started, where the second has taken it",
      run(1, "a"),
      run(1, "a", true),
      [["completed", "a", false]],
    ],
    ["somebody else's run as that", run(1, "a", true), run(1, "a", true), [["completed", "a", true]]],
    [
      "the run that the first has started, where the second only saw it",
      run(1, "a"),
      skipped(1),
      [["completed", "a", false]],
    ],
    [
      "the run of a start that the first did not see the end of",
      unknown(1),
      run(1, "a", true),
      [["completed", "a", true]],
    ],
    ["a start that nothing is known of", unknown(1), skipped(1), [["unknown", null, false]]],
    [
      "both where each has started one",
      run(1, "a"),
      run(1, "b"),
      [
        ["completed", "a", false],
        ["completed", "b", false],
      ],
    ],
    [
      "both where one may have been started besides",
      unknown(1),
      run(1, "b"),
      [
        ["unknown", null, false],
        ["completed", "b", false],
      ],
    ],
  ])("has %s", (_, before, now, rows) => {
    const [first, again] = [slice(1, [before]), slice(1, [now])];
    expect(rowsOf(first, again)).toEqual(rows);
    expect(rowsOf(again, first)).toEqual(rows);
    const { doubled } = joinJobs([first, again]).shards ?? { doubled: [] };
    expect(doubled).toHaveLength(rows.length - 1);
  });

  it("has one run where the second has looked for what the first may have started", () => {
    const [first, started] = [slice(1, [unknown(1)]), run(1, "b")];
    expect(rowsOf(first, slice(1, [started], {}, since(0)))).toEqual([["completed", "b", false]]);
    // It did not look so far back.
    expect(rowsOf(first, slice(1, [started], {}, since(24)))).toHaveLength(2);
  });

  it("has no more what was not started, and is not planned any more", () => {
    expect(rowsOf(slice(1, [waiting(1), run(2, "b")]), slice(1, [run(2, "b", true)]))).toEqual([
      ["completed", "b", false],
    ]);
  });
});

describe("several slices", () => {
  it("are in the order of their lines, numbered anew", () => {
    const joined = joinJobs([slice(2, [run(2, "b"), run(4, "d")]), slice(1, [run(1, "a"), run(3, "c")])]);
    expect(joined.items.map(({ target, runId }) => [target.index, runId])).toEqual([
      [1, "a"],
      [2, "b"],
      [3, "c"],
      [4, "d"],
    ]);
  });

  it("have an instance twice, with the run of each", () => {
    const other = itemOf(9, { runId: "b", target: { instanceId: itemOf(1).target.instanceId } });
    const { shards } = joinJobs([slice(1, [run(1, "a")]), slice(2, [other])]);
    expect(shards?.doubled).toMatchObject([
      {
        targets: [
          { shard: 1, index: 1, runId: "a" },
          { shard: 2, index: 2, runId: "b" },
        ],
      },
    ]);
  });

  it("have what is common to all, and the times of the whole", () => {
    const [first, last] = [
      slice(1, [run(1, "a")], { ticket: "INC-1" }),
      slice(2, [waiting(2)], { ticket: "INC-2", endedAt: null }),
    ];
    const { facts } = joinJobs([last, first]);
    expect(facts).toMatchObject({
      id: "a".repeat(12),
      ticket: "INC-1, INC-2",
      state: "stopped",
      total: 2,
      createdAt: first.facts.createdAt,
      endedAt: null,
      asOf: first.facts.asOf,
    });
  });

  it("count once each, in the newest state", () => {
    const old = slice(1, [waiting(1)]);
    const now = { ...old, items: [run(1, "a")], facts: { ...old.facts, asOf: new Date(NOON + 3_600_000) } };
    for (const both of [
      [old, now],
      [now, old],
    ] as [Job, Job][])
      expect(rowsOf(...both)).toEqual([["completed", "a", false]]);
  });

  it("are not joined across platforms", () => {
    const other = slice(2, [run(2, "b")], { origin: "https://kilo.example.com" });
    expect(() => joinJobs([slice(1, [run(1, "a")]), other])).toThrow(
      `job ${other.facts.id} is a slice of another plan`,
    );
  });
});
