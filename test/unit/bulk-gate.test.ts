import { describe, expect, it } from "vitest";
import { Gate } from "../../src/bulk/execute/gate.ts";
import type { ItemState } from "../../src/bulk/item-state.ts";
import { formatLimit, fromRecorded, parseLimit, toRecorded, type JobSettings } from "../../src/bulk/job/settings.ts";
import { itemOf } from "../support/bulk-job.ts";

const NONE = { canary: null, maxRunning: null, maxErrors: null };
const note = (gate: Gate, index: number, ...states: ItemState[]) => {
  for (const state of states) gate.note(itemOf(index, { state, runId: null }));
};

describe("a gate without conditions", () => {
  it("lets everything through, whatever goes wrong", () => {
    const gate = new Gate(NONE, 100);
    for (let index = 1; index <= 50; index++) note(gate, index, "running", "failed");
    expect(gate.mayStart(1_000)).toBe(true);
    expect(gate.passed).toBe(true);
  });
});

describe("a limit of errors", () => {
  it("is what may go wrong: one more, and nothing is started", () => {
    const gate = new Gate({ ...NONE, maxErrors: { count: 2 } }, 100);
    note(gate, 1, "running", "failed");
    note(gate, 2, "refused");
    expect(gate.mayStart(0)).toBe(true);
    note(gate, 3, "unknown");
    expect(gate.mayStart(0)).toBe(false);
    expect(gate.tripped).toBe("3 errors, more than --max-errors 2 allows");
  });

  it("in percent is of the targets that can be sent to", () => {
    const gate = new Gate({ ...NONE, maxErrors: { percent: 10 } }, 20);
    note(gate, 1, "running", "failed");
    note(gate, 2, "running", "lost");
    expect(gate.tripped).toBeUndefined();
    note(gate, 3, "running", "failed");
    expect(gate.tripped).toBe("3 errors, more than --max-errors 10% allows");
  });

  it("of nothing stops at the first", () => {
    const gate = new Gate({ ...NONE, maxErrors: { count: 0 } }, 5);
    note(gate, 1, "running", "failed");
    expect(gate.tripped).toMatch(/^1 error, /);
  });

  it.each<ItemState>(["skipped", "conflict", "machine-down", "completed", "cancelled", "waiting"])(
    "does not count %s",
    (state) => {
      const gate = new Gate({ ...NONE, maxErrors: { count: 0 } }, 5);
      for (let index = 1; index < 5; index++) note(gate, index, state);
      expect(gate.tripped).toBeUndefined();
    },
  );
});

describe("runs in progress", () => {
  it("are no more than allowed, those that are being started among them", () => {
    const gate = new Gate({ ...NONE, maxRunning: 3 }, 10);
    note(gate, 1, "running");
    expect(gate.mayStart(1)).toBe(true);
    expect(gate.mayStart(2)).toBe(false);
    note(gate, 1, "completed");
    expect(gate.mayStart(2)).toBe(true);
  });

  it("do not count any more once they are not followed", () => {
    const gate = new Gate({ ...NONE, maxRunning: 1 }, 10);
    note(gate, 1, "running");
    expect(gate.mayStart(0)).toBe(false);
    gate.leave(itemOf(1, { state: "running" }));
    expect(gate.mayStart(0)).toBe(true);
  });
});

describe("a canary", () => {
  it("holds the others until all its runs have completed, and somebody lets them through", () => {
    const gate = new Gate({ ...NONE, canary: 2 }, 10);
    expect(gate.mayStart(1)).toBe(true);
    expect(gate.mayStart(2)).toBe(false);
    note(gate, 1, "running");
    note(gate, 2, "running");
    expect(gate.mayStart(0)).toBe(false);
    note(gate, 1, "completed");
    expect(gate.canaryIsDone).toBe(false);
    note(gate, 2, "completed");
    expect(gate.canaryIsDone).toBe(true);
    expect(gate.mayStart(0)).toBe(false);
    gate.pass();
    expect(gate.mayStart(0)).toBe(true);
  });

  it("takes another target for one on which nothing was started", () => {
    const gate = new Gate({ ...NONE, canary: 1 }, 10);
    note(gate, 1, "starting", "skipped");
    expect(gate.mayStart(0)).toBe(true);
    note(gate, 2, "running", "completed");
    expect(gate.canaryIsDone).toBe(true);
  });

  it.each<ItemState>(["failed", "cancelled", "lost"])("that ends as %s stops everything", (state) => {
    const gate = new Gate({ ...NONE, canary: 2 }, 10);
    note(gate, 1, "running", state);
    expect(gate.mayStart(0)).toBe(false);
    expect(gate.tripped).toMatch(/^the canary's run .* did not complete: /);
  });

  it("is made of this job's own runs: one that was in progress already neither completes it nor stops it", () => {
    const gate = new Gate({ ...NONE, canary: 1 }, 10);
    const attached = { attached: true } as const;
    gate.note(itemOf(1, { ...attached, state: "running" }));
    gate.note(itemOf(1, { ...attached, state: "completed" }));
    gate.note(itemOf(2, { ...attached, state: "running" }));
    gate.note(itemOf(2, { ...attached, state: "failed" }));
    gate.note(itemOf(3, { ...attached, state: "running" }));
    gate.leave(itemOf(3, { ...attached, state: "running" }));
    expect(gate.canaryIsDone).toBe(false);
    expect(gate.tripped).toBeUndefined();
    expect(gate.mayStart(0)).toBe(true);
  });

  it("that does not end in time stops everything", () => {
    const gate = new Gate({ ...NONE, canary: 1 }, 10);
    note(gate, 1, "running");
    gate.leave(itemOf(1, { state: "running" }));
    expect(gate.tripped).toMatch(/did not end in time/);
  });
});

describe("a job's settings", () => {
  const settings: JobSettings = {
    concurrency: 12,
    rate: 0.5,
    maxRunning: 40,
    canary: 5,
    maxErrors: { percent: 2.5 },
    onConflict: "wait",
    wait: true,
    runTimeoutMs: 1_800_000,
    unlessStartedSince: "2026-11-30T08:00:00.000Z",
    playbook: { name: "restart", sha256: "a".repeat(64), requiresTicket: true, concurrency: 12, canary: null },
  };

  it.each([settings, { ...settings, rate: null, maxErrors: null, canary: null, wait: false, playbook: null }])(
    "come back from the record as they were: %j",
    (given) => {
      expect(fromRecorded(toRecorded(given))).toEqual(given);
    },
  );

  it("take no playbook from a record that has another form", () => {
    const recorded = toRecorded(settings);
    for (const playbook of ["../x", "A", "", 5, null]) {
      expect(fromRecorded({ ...recorded, playbook }).playbook).toBeNull();
    }
    expect(fromRecorded({ ...recorded, playbookSha256: "x" }).playbook).toBeNull();
  });

  it.each(["5", "0", "2%", "2.5%", "100%"])("limit %s reads as it is written", (text) => {
    const limit = parseLimit(text);
    expect(limit && formatLimit(limit)).toBe(text);
  });

  it.each(["", "-1", "1.5", "101%", "5 %%", "many", "%"])("%j is no limit", (text) => {
    expect(parseLimit(text)).toBeUndefined();
  });
});
