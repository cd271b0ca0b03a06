/** What follows from a target's state, as people and the JSON output see it. */
import { expect, it } from "vitest";
import { isDecided, ITEM_STATES, STATES_IN_ORDER } from "../../src/bulk/item-state.ts";

const statesWhere = (holds: (state: (typeof STATES_IN_ORDER)[number]) => boolean) => STATES_IN_ORDER.filter(holds);

it("is decided where nothing more will become of it", () => {
  expect(statesWhere((state) => !isDecided(state))).toEqual(["running", "starting", "waiting"]);
});

it("counts for one number of the job", () => {
  const numberOf = Object.fromEntries(STATES_IN_ORDER.map((state) => [state, ITEM_STATES[state].counts]));
  expect(numberOf).toEqual({
    completed: "succeeded",
    failed: "failed",
    refused: "failed",
    conflict: "failed",
    unknown: "unknown",
    lost: "unknown",
    cancelled: "cancelled",
    skipped: "skipped",
    "machine-down": "skipped",
    unplanned: "skipped",
    running: null,
    starting: null,
    waiting: null,
  });
});

it("is an error of the job where a run or a start went wrong", () => {
  expect(statesWhere((state) => ITEM_STATES[state].isError)).toEqual(["failed", "unknown", "lost", "refused"]);
});

it("is tried again where the cause can be mended, or a person asks: never where a run may have started or goes on", () => {
  expect(statesWhere((state) => ITEM_STATES[state].retried === "yes")).toEqual([
    "failed",
    "refused",
    "conflict",
    "machine-down",
  ]);
  expect(statesWhere((state) => ITEM_STATES[state].retried === "asked")).toEqual(["lost", "cancelled", "skipped"]);
});
