/** What is said of a wait, and when. */
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { Waiting } from "../../src/terminal/waiting.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function watched() {
  const began = Date.now();
  const said: [number, string | undefined][] = [];
  const show = (text: string | undefined) => void said.push([Date.now() - began, text]);
  return { said, waiting: new Waiting({ host: "app.kilo.ai", stepMs: 1_000, show }) };
}

it("an answer within a second is not worth a word", () => {
  const { said, waiting } = watched();
  const over = waiting.answer();
  vi.advanceTimersByTime(900);
  over();
  vi.advanceTimersByTime(5_000);
  expect(said).toEqual([]);
  expect(vi.getTimerCount()).toBe(0);
});

it("a longer wait is counted from its beginning, and over with its answer", () => {
  const { said, waiting } = watched();
  const over = waiting.answer();
  vi.advanceTimersByTime(2_500);
  over();
  expect(said).toEqual([
    [1_000, "waiting for app.kilo.ai … 1 s"],
    [2_000, "waiting for app.kilo.ai … 2 s"],
    [2_500, undefined],
  ]);
  expect(vi.getTimerCount()).toBe(0);
});

it("of several requests the oldest counts", () => {
  const { said, waiting } = watched();
  const first = waiting.answer();
  vi.advanceTimersByTime(700);
  const second = waiting.answer();
  vi.advanceTimersByTime(600);
  first();
  vi.advanceTimersByTime(400);
  second();
  expect(said).toEqual([
    [1_000, "waiting for app.kilo.ai … 1 s"],
    [1_300, undefined],
    [1_700, "waiting for app.kilo.ai … 1 s"],
    [1_700, undefined],
  ]);
});

it("quick answers one after another are no wait", () => {
  const { said, waiting } = watched();
  for (let n = 0; n < 10; n += 1) {
    const over = waiting.answer();
    vi.advanceTimersByTime(400);
    over();
  }
  expect(said).toEqual([]);
});

it("the next try is counted down, and said at once", () => {
  const { said, waiting } = watched();
  const over = waiting.pause("throttled", 3_000);
  vi.advanceTimersByTime(3_000);
  over();
  expect(said).toEqual([
    [0, "throttled, trying again in 3 s"],
    [1_000, "throttled, trying again in 2 s"],
    [2_000, "throttled, trying again in 1 s"],
    [3_000, undefined],
  ]);
  expect(vi.getTimerCount()).toBe(0);
});

it("a short pause is not worth a word", () => {
  const { said, waiting } = watched();
  const over = waiting.pause("no answer", 200);
  vi.advanceTimersByTime(200);
  over();
  expect(said).toEqual([]);
});
