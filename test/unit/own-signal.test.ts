import { getEventListeners } from "node:events";
import { expect, it } from "vitest";
import { ownSignal } from "../../src/async/own-signal.ts";

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

it("leaves one listener on the one that many are made of, and none once all are released", () => {
  const stop = new AbortController();
  const all = Array.from({ length: 100 }, () => ownSignal(stop.signal));
  expect(getEventListeners(stop.signal, "abort")).toHaveLength(1);
  for (const { release } of all) {
    release();
    release();
  }
  expect(getEventListeners(stop.signal, "abort")).toHaveLength(0);
  const { signal } = ownSignal(stop.signal);
  stop.abort();
  expect(signal.aborted).toBe(true);
});
