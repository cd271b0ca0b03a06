import { describe, expect, it } from "vitest";
import { Keyboard, type Key } from "../../src/terminal/keyboard.ts";

/** A terminal whose keys can be taken, and what was taken. */
function open() {
  const takers: ((byte: Uint8Array) => void)[] = [];
  const keys: Key[] = [];
  const waiting: (() => void)[] = [];
  const keyboard = new Keyboard(
    {
      takeKeys: (typed) => {
        takers.push(typed);
        return () => void takers.splice(takers.indexOf(typed), 1);
      },
    },
    (key) => {
      keys.push(key);
      for (const look of waiting.splice(0)) look();
    },
  );
  const type = (text: string) => {
    for (const byte of Buffer.from(text)) for (const typed of takers) typed(Uint8Array.of(byte));
  };
  const pressed = () => new Promise<void>((resolve) => void waiting.push(resolve));
  return { keyboard, keys, type, takers, pressed };
}

describe("a keyboard", () => {
  it.each([
    ["\u001b[A", "up", ""],
    ["\u001bOA", "up", ""],
    ["\u001b[B", "down", ""],
    ["\u001b[5~", "pageup", ""],
    ["\u001b[6~", "pagedown", ""],
    ["\u001b[H", "home", ""],
    ["\u001b[1~", "home", ""],
    ["\u001b[F", "end", ""],
    ["\u001b[4~", "end", ""],
    ["\r", "return", ""],
    ["\u007f", "backspace", ""],
    ["j", "j", "j"],
    ["J", "J", "J"],
    ["/", "/", "/"],
    ["?", "?", "?"],
    [" ", " ", " "],
    ["é", "é", "é"],
    ["日", "日", "日"],
    ["🦀", "🦀", "🦀"],
  ])("knows %j, whose bytes come one by one", (typed, name, text) => {
    const { keys, type } = open();
    type(typed);
    expect(keys).toEqual([{ name, text }]);
  });

  it("takes Escape for itself where nothing follows", async () => {
    const { keys, type, pressed } = open();
    type("\u001b");
    expect(keys).toEqual([]);
    await pressed();
    expect(keys).toEqual([{ name: "escape", text: "" }]);
    type("q");
    expect(keys.at(-1)).toEqual({ name: "q", text: "q" });
  });

  it("leaves out what is pressed with Ctrl or Alt", () => {
    const { keys, type } = open();
    type("\u0001\u001bq\u001b[1;5Aj");
    expect(keys).toEqual([{ name: "j", text: "j" }]);
  });

  it("has the keys only while nobody else has the terminal", () => {
    const { keyboard, keys, type, takers } = open();
    keyboard.leave();
    keyboard.leave();
    type("x");
    keyboard.back();
    type("y");
    expect(keys).toEqual([]);
    keyboard.back();
    type("z");
    expect(keys.map(({ name }) => name)).toEqual(["z"]);
    keyboard.leave();
    keyboard.end();
    keyboard.back();
    expect(takers).toEqual([]);
  });
});
