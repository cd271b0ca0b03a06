/** Everything that terminals obey, through the tool's one way to a screen: whole, cut anywhere, and as it comes in polls. */
import { describe, expect, it } from "vitest";
import { OutputCursor } from "../../src/runs/output/cursor.ts";
import { screenOf } from "../fuzz/choke.ts";
import { CORPUS, hostileTexts, inPieces, liveIn } from "../fuzz/hostile.ts";

const CASES = Object.entries(CORPUS);

describe.each([true, false])("with colours: %s", (colors) => {
  it.each(CASES)("%s drives no terminal, wherever it is cut", async (_what, text) => {
    const screen = await screenOf({ colors });
    const whole = screen.output([text]);
    expect(liveIn(whole, { colors })).toBeUndefined();
    // Long ones repeat themselves.
    for (let at = 0; at <= Math.min(text.length, 200); at += 1) {
      expect(screen.output([text.slice(0, at), text.slice(at)])).toBe(whole);
    }
    expect(screen.output([...text])).toBe(whole);
  });

  it.each(CASES)("%s drives no terminal as bytes that are cut", async (_what, text) => {
    const screen = await screenOf({ colors });
    const bytes = Buffer.from(text.slice(0, 200));
    for (let at = 0; at <= bytes.length; at += 1) {
      // As a machine reads them: what is cut becomes U+FFFD.
      const pieces = [bytes.subarray(0, at), bytes.subarray(at)].map((part) => part.toString());
      expect(liveIn(screen.output(pieces), { colors })).toBeUndefined();
    }
  });

  it.each(CASES)("%s comes out once over polls, whatever was seen before", async (_what, text) => {
    const screen = await screenOf({ colors });
    const whole = screen.output([text]);
    for (let at = 0; at <= Math.min(text.length, 60); at += 1) {
      const cursor = new OutputCursor();
      const polls = [text.slice(0, at), text.slice(0, at), text];
      expect(screen.output(polls.map((poll) => cursor.next(poll).text))).toBe(whole);
    }
  });

  it.each(CASES)("%s drives no terminal as a word in a message, a cell or a title", async (_what, text) => {
    const screen = await screenOf({ colors });
    // The tool's own colours are what `colors` allows there: none of the text's are.
    for (const written of await screen.words(text)) expect(liveIn(written, { colors: false })).toBeUndefined();
  });
});

it("holds for thousands of generated texts, in pieces", async () => {
  const [colored, plain] = [await screenOf({ colors: true }), await screenOf({ colors: false })];
  const next = hostileTexts(20_261);
  for (let count = 0; count < 5_000; count += 1) {
    const text = next();
    const pieces = inPieces(text, [count * 7, count * 13]);
    const found = liveIn(colored.output(pieces), { colors: true }) ?? liveIn(plain.output(pieces), { colors: false });
    expect([pieces, found]).toEqual([pieces, undefined]);
  }
});

it("finds what it looks for", () => {
  for (const [what, text] of CASES) {
    const harmless = ["SGR: allowed", "whole characters"].includes(what);
    expect([what, liveIn(text, { colors: true }) === undefined]).toEqual([what, harmless]);
  }
});
