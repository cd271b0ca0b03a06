/** What a job's journal says, told record by record. */
import { describe, expect, it } from "vitest";
import { JobRecords, markOf } from "../../src/bulk/job/records.ts";
import type { JournalRecord } from "../../src/journal/record.ts";

const A = "instance-a";
const B = "instance-b";
let clock = 0;

/** A record; what is not given does not matter. */
const told = (kind: JournalRecord["kind"], given: object = {}) =>
  ({
    kind,
    at: new Date((clock += 1)).toISOString(),
    monotonicMs: clock,
    adminId: "ann",
    ...given,
  }) as unknown as JournalRecord;
const intent = (op: string, instanceId: string | null = A) => told("intent", { op, instanceId });
const outcome = (op: string, result: string, runId: string | null = null, settled = true) =>
  told("outcome", { op, result, runId, settled });
const reconciled = (op: string, runId: string | null, given: object = {}) =>
  told("reconcile", { op, result: "found", runId, settled: true, ...given });
/** At this time of its process's clock. */
const at = (monotonicMs: number) => told("override", { monotonicMs });

function recordsOf(...records: JournalRecord[]): JobRecords {
  const job = new JobRecords();
  for (const record of records) job.note(record);
  return job;
}

describe("what became of a start on an instance", () => {
  it("is nothing where none was sent, and not known from its intent on", () => {
    expect(recordsOf(intent("1", B)).ending(A)).toBeUndefined();
    expect(recordsOf(intent("1")).ending(A)).toBe("sent");
    expect(recordsOf(intent("1", null)).ending(A)).toBeUndefined();
  });

  it("stays open until a record says that nothing is left to find out", () => {
    const lost = [intent("1"), outcome("1", "unknown", null, false)];
    expect(recordsOf(...lost).ending(A)).toMatchObject({ result: "unknown", runId: null, settled: false });
    const found = recordsOf(...lost, reconciled("1", "run"));
    expect(found.ending(A)).toEqual({ result: "found", runId: "run", settled: true, at: new Date(clock) });
    expect(found.ending(B)).toBeUndefined();
  });

  it("is a run where one of several starts has one, in whatever order they are told of", () => {
    const started = [intent("1"), outcome("1", "started", "run")];
    for (const later of [
      [intent("2"), outcome("2", "refused")],
      [intent("2"), outcome("2", "unknown", null, false)],
      [intent("2")],
    ]) {
      expect(recordsOf(...started, ...later).ending(A)).toMatchObject({ runId: "run" });
      expect(recordsOf(...later, ...started).ending(A)).toMatchObject({ runId: "run" });
    }
  });

  it("is open where one start came to nothing and nobody knows of another: never a false end", () => {
    const refused = [intent("1"), outcome("1", "refused")];
    expect(recordsOf(intent("0"), ...refused).ending(A)).toBe("sent");
    expect(recordsOf(...refused, intent("2")).ending(A)).toBe("sent");
    const both = recordsOf(intent("0"), outcome("0", "unknown", null, false), intent("2"), outcome("2", "refused"));
    expect(both.ending(A)).toMatchObject({ result: "unknown", settled: false });
  });

  it("is the last word where none has a run", () => {
    expect(
      recordsOf(intent("1"), outcome("1", "refused"), intent("2"), outcome("2", "conflict")).ending(A),
    ).toMatchObject({ result: "conflict" });
  });

  it("is the run that was adopted without an intent; a word about no instance is left out", () => {
    const adopted = reconciled("9", "run", { result: "adopted", adopted: { instanceId: A } });
    expect(recordsOf(adopted).ending(A)).toMatchObject({ result: "adopted", runId: "run" });
    expect(recordsOf(reconciled("9", "run")).ending(A)).toBeUndefined();
  });
});

describe("a job's journal", () => {
  it("says that a start has left as soon as one came to something else than a refusal", () => {
    expect(recordsOf(intent("1"), outcome("1", "refused")).sent).toBe(false);
    expect(recordsOf(intent("1")).sent).toBe(false);
    expect(recordsOf(intent("1"), outcome("1", "conflict")).sent).toBe(true);
    expect(recordsOf(intent("1"), outcome("1", "conflict"), intent("2"), outcome("2", "refused")).sent).toBe(true);
    // An ending of which it is not known where it belongs has left all the same.
    expect(recordsOf(outcome("1", "started", "run")).sent).toBe(true);
  });

  it("begins with its plan, and names all who have worked on it", () => {
    const first = told("job", { total: 3 });
    const job = recordsOf(
      first,
      told("job", { total: 4 }),
      told("end", { adminId: null }),
      told("end", { adminId: "bea" }),
    );
    expect(job.job).toBe(first);
    expect([...job.adminIds]).toEqual(["ann", "bea"]);
    // It was interrupted before that.
    expect(recordsOf(intent("1")).job).toBeUndefined();
  });

  it("counts the processes that wrote it by their clocks", () => {
    expect(recordsOf().invocations).toBe(0);
    expect(recordsOf(at(5), at(5), at(9)).invocations).toBe(1);
    expect(recordsOf(at(5), at(9), at(3), at(4), at(1)).invocations).toBe(3);
  });

  it("has ended in order only where that is its last word", () => {
    expect(recordsOf().endedAt).toBeNull();
    const end = told("end");
    expect(recordsOf(intent("1"), end).endedAt).toEqual(new Date(end.at));
    expect(recordsOf(end, intent("1")).endedAt).toBeNull();
  });
});

describe("the mark of a job", () => {
  it("begins five seconds before the platform's time, and ten minutes before the machine's where that is not known", () => {
    const wall = "2026-11-30T09:00:00.000Z";
    const since = (platformAt?: string) => markOf("j", { at: wall, ...(platformAt && { platformAt }) }).since;
    expect(since("2026-11-30T08:30:00.000Z")).toEqual(new Date("2026-11-30T08:29:55.000Z"));
    expect(since()).toEqual(new Date("2026-11-30T08:50:00.000Z"));
    expect(markOf("j", { at: wall }, { adminIds: ["ann", "bea"] })).toMatchObject({
      journal: "j",
      adminIds: new Set(["ann", "bea"]),
    });
  });
});
