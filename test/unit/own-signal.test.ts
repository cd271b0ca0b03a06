import { expect, it } from "vitest";
import { ownSignal } from "../../src/async/own-signal.ts";
import { leftOn } from "../support/left-on.ts";

it("aborts with the one it is made of, for the same reason, until it is released", () => {
  const stop = new AbortController();
  const [one, released] = [ownSignal(stop.signal), ownSignal(stop.signal)];
  released.release();
  expect(one.signal.aborted).toBe(false);
  const reason = new Error("enough");
  stop.abort(reason);
  expect(one.signal.reason).toBe(reason);
  expect(released.signal.aborted).toBe(false);
  expect(ownSignal(stop.signal).signal.reason).toBe(reason);
});

it("aborts with the first of several, and when it is told to, which the others do not see", () => {
  const [stop, closed] = [new AbortController(), new AbortController()];
  const [one, told] = [ownSignal(stop.signal, closed.signal), ownSignal(stop.signal, closed.signal)];
  told.abort("told");
  expect([told.signal.reason, one.signal.aborted, stop.signal.aborted]).toEqual(["told", false, false]);
  closed.abort("closed");
  stop.abort("stopped");
  expect([told.signal.reason, one.signal.reason]).toEqual(["told", "closed"]);
  expect(ownSignal(new AbortController().signal, stop.signal).signal.reason).toBe("stopped");
});

it("leaves one listener on the one that many are made of, and none once all are released", () => {
  const stop = new AbortController();
  const all = Array.from({ length: 100 }, () => ownSignal(stop.signal, new AbortController().signal));
  expect(leftOn(stop.signal)).toBe(1);
  for (const { release } of all) {
    release();
    release();
  }
  expect(leftOn(stop.signal)).toBe(0);
  const { signal } = ownSignal(stop.signal);
  stop.abort();
  expect(signal.aborted).toBe(true);
});

it("is needed: what Node makes of signals is counted as left behind", () => {
  const stop = new AbortController();
  const made = Array.from({ length: 100 }, () => AbortSignal.any([stop.signal]));
  expect(made).toHaveLength(100);
  expect(leftOn(stop.signal)).toBe(100);
});
