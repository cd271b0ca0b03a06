/** What a question takes for its answer, and what it does not. */
import { PassThrough } from "node:stream";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { QuestionInput } from "../../src/terminal/question-input.ts";

beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] }));
afterEach(() => void vi.useRealTimers());

function ask(before = "") {
  const raw: boolean[] = [];
  const keyboard = Object.assign(new PassThrough(), { setRawMode: (mode: boolean) => raw.push(mode) });
  if (before !== "") keyboard.write(before);
  const input = new QuestionInput(keyboard, 200);
  let text = "";
  input.on("data", (chunk: Buffer) => (text += chunk.toString()));
  return {
    keyboard,
    input,
    raw,
    /** What the question has been given once these keys have gone through. */
    type: async (keys: string) => {
      keyboard.write(keys);
      await new Promise(setImmediate);
      return text;
    },
  };
}

/** What the terminal has when the time is over is read before anything counts. */
const listening = async () => {
  vi.advanceTimersByTime(200);
  await new Promise(setImmediate);
};

it("takes nothing that was typed before it, and nothing in its first moments", async () => {
  const { type } = ask("y\r");
  expect(await type("y\r")).toBe("");
  vi.advanceTimersByTime(199);
  expect(await type("y\r")).toBe("");
  await listening();
  expect(await type("n\r")).toBe("n\r");
});

it("takes nothing that was typed while the process stood still", async () => {
  const { keyboard, type } = ask();
  vi.advanceTimersByTime(200);
  keyboard.write("y\r");
  await new Promise(setImmediate);
  expect(await type("n\r")).toBe("n\r");
});

it("takes Ctrl-C at any time", async () => {
  const { type } = ask();
  expect(await type("y\r\u0003y\r")).toBe("\u0003");
});

it("hands on the raw mode, and leaves what comes later alone", async () => {
  const { input, keyboard, raw, type } = ask();
  input.setRawMode(true);
  await listening();
  expect(await type("a")).toBe("a");
  input.close();
  input.setRawMode(false);
  expect(await type("b")).toBe("a");
  expect(raw).toEqual([true, false]);
  expect(keyboard.read()?.toString()).toBe("b");
});
