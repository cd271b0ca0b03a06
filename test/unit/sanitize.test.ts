import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { sanitize, sanitizeJson, sanitizeLine, SanitizingStream, withoutColors } from "../../src/terminal/sanitize.ts";
import { growth, LINEAR } from "../support/growth.ts";

/* oxlint-disable no-control-regex -- control characters are the subject */

/** Nothing of this may reach a terminal: controls but TAB and LF, C1, what is invisible or blank (but how a picture is to be drawn), lone surrogates. */
const LIVE =
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u2028\u2029\u2800\ufff9-\ufffb]|(?![\ufe0e\ufe0f])\p{Default_Ignorable_Code_Point}|(?<!\p{Extended_Pictographic})[\ufe0e\ufe0f]|\p{Surrogate}/u;
const COLOR = /\u001b\[[0-9;:]*m/g;

/** Text as an attacker would write it: sequences, their parts, and anything else. */
const hostile = fc
  .array(
    fc.oneof(
      fc.constantFrom(
        "\u001b",
        "\u001b[",
        "\u001b]0;",
        "\u001b]52;c;",
        "\u001bP",
        "\u001b_",
        "\u001b^",
        "\u001bX",
        "\u001b\\",
        "\u009b",
        "\u009d",
        "\u0007",
        "\b",
        "\u000b",
        "\f",
        "\r",
        "\r\n",
        "\n",
        "\t",
        "\0",
        "\u007f",
        "\u202e",
        "\u2066",
        "\u200b",
        "\ud83d",
        "\udd25",
        "\u{e0041}",
        "\u{e0101}",
        "\u{1f600}",
        "❤",
        "\ufe0f",
        "\ufe0e",
        "\u3164",
        "\u2800",
        "[2J",
        "[31m",
        "31;1m",
        "m",
        ";",
        "text",
      ),
      fc.string({ unit: "binary", maxLength: 8 }),
    ),
    { maxLength: 40 },
  )
  .map((parts) => parts.join(""));

/** All of the planes where something is hidden, and the last one. */
const CODES = [
  [0, 0xffff],
  [0x1bc00, 0x1bcff],
  [0x1d100, 0x1d1ff],
  [0xdfff0, 0xe1010],
  [0x10fff0, 0x10ffff],
].flatMap(([from = 0, to = 0]) => Array.from({ length: to - from + 1 }, (_, index) => from + index));

const isLive = (code: number) => LIVE.test(String.fromCodePoint(code)) || code === 0xfe0e || code === 0xfe0f;

const shown = (code: number) =>
  code > 0xff ? `\\u{${code.toString(16)}}` : `\\x${code.toString(16).padStart(2, "0")}`;

describe("sanitize", () => {
  it("shows each character that is live or hides, by its number, and leaves each other one alone", () => {
    // In one text: what is safe has to stay as it is also where something else is not.
    const safe = sanitize(CODES.map((code) => `|${String.fromCodePoint(code)}`).join("<>")).split("<>");
    const wrong = CODES.filter((code, index) => {
      const expected = isLive(code) ? shown(code) : String.fromCodePoint(code);
      return safe[index] !== `|${expected}`;
    });
    expect(wrong.map((code) => code.toString(16))).toEqual([]);
  });

  it("is the same for a text of any length", () => {
    for (const [unit, safe] of [
      ["x\u202e", "x\\u{202e}"],
      ["\u{e0041}", "\\u{e0041}"],
      ["\u{1f600}\u0000", "\u{1f600}\\x00"],
      ["\u001b[38;2;255;128;0m\u0007", "\u001b[38;2;255;128;0m\\x07"],
    ] as const) {
      for (const count of [1, 16_383, 16_384, 40_000])
        expect(sanitize(unit.repeat(count), { colors: "keep" }) === safe.repeat(count)).toBe(true);
    }
  });

  it("lets nothing live through", () => {
    fc.assert(
      fc.property(hostile, (text) => {
        expect(sanitize(text)).not.toMatch(LIVE);
      }),
    );
  });

  it("lets only colours through where they are asked for", () => {
    fc.assert(
      fc.property(hostile, (text) => {
        expect(sanitize(text, { colors: "keep" }).replaceAll(COLOR, "")).not.toMatch(LIVE);
      }),
    );
  });

  it("leaves colours out where they are not wanted, and puts nothing together by that", () => {
    fc.assert(
      fc.property(hostile, (text) => {
        expect(sanitize(text, { colors: "drop" })).not.toMatch(LIVE);
      }),
    );
    expect(sanitize("\u001b[1;32mdone\u001b[0m", { colors: "drop" })).toBe("done");
    expect(sanitize("\u001b[5mblinking\u001b[0m", { colors: "drop" })).toBe("\\x1b[5mblinking");
    expect(sanitize("\u001b\u001b[0m[2J", { colors: "drop" })).toBe("\\x1b[2J");
  });

  it("leaves ordinary text as it is, and is the same when done twice", () => {
    const ordinary = "Größe 日本語 🦀 a\tb\nc — “quoted” \\x1b e\u0301";
    expect(sanitize(ordinary)).toBe(ordinary);
    fc.assert(
      fc.property(hostile, (text) => {
        expect(sanitize(sanitize(text))).toBe(sanitize(text));
      }),
    );
  });

  it("shows what it takes out, so that nothing is put together by taking out", () => {
    expect(sanitize("\u001b\u0000[2J")).toBe("\\x1b\\x00[2J");
    expect(sanitize("\u009b31m\u202e\ud800")).toBe("\\x9b31m\\u{202e}\\u{d800}");
    expect(sanitize("a\rb\r\nc")).toBe("a\\x0db\nc");
  });

  it("shows what looks like nothing and can hide text; how a picture is to be drawn is left alone, once", () => {
    const hidden = [
      0x34f, 0x115f, 0x1160, 0x17b4, 0x180b, 0x200b, 0x206a, 0x2800, 0x3164, 0xfe00, 0xfe0f, 0xffa0, 0xe0001, 0xe0100,
    ];
    for (const code of hidden) {
      expect(sanitize(`a${String.fromCodePoint(code)}b`)).toBe(`a\\u{${code.toString(16)}}b`);
    }
    for (const ordinary of ["❤\ufe0f", "☎\ufe0e call", "\u{1f577}\ufe0f", "x ™\ufe0f"])
      expect(sanitize(ordinary)).toBe(ordinary);
    expect(sanitize("❤\ufe0f\ufe0f\ufe0e")).toBe("❤\ufe0f\\u{fe0f}\\u{fe0e}");
    expect(sanitize("1\ufe0f")).toBe("1\\u{fe0f}");
    expect(sanitize("\u{1f600}\u{e0141}\u{e0142}")).toBe("\u{1f600}\\u{e0141}\\u{e0142}");
  });

  it("takes time that grows with the text alone, whatever it is", async () => {
    for (const hostile of [
      (size: number) => `\u001b[${";".repeat(size)}`,
      (size: number) => "\u001b[".repeat(size / 2),
      (size: number) => `\u001b[${"38;5;".repeat(size / 5)}m`,
      (size: number) => "\ufe0f".repeat(size),
      (size: number) => "❤\ufe0f".repeat(size / 2),
      (size: number) => "\u{e0100}".repeat(size / 2),
      (size: number) => "\ud800".repeat(size),
    ]) {
      for (const colors of ["keep", "drop", "show"] as const) {
        const grown = await growth(2 ** 20, (size) => {
          const text = hostile(size);
          return () => [sanitize(text, { colors }), sanitizeLine(text)];
        });
        expect(grown).toBeLessThan(LINEAR);
      }
    }
  });

  it("keeps a line a line", () => {
    expect(sanitizeLine("a\nb\tc\r\n\u0007")).toBe("a b c \\x07");
    fc.assert(
      fc.property(hostile, (text) => {
        expect(sanitizeLine(text)).not.toMatch(/[\n\t]/);
      }),
    );
  });

  it("takes no endless sequence for a colour", () => {
    const endless = `\u001b[${";".repeat(100)}m`;
    expect(sanitize(endless, { colors: "keep" })).toMatch(/^\\x1b/);
    expect(sanitize("\u001b[38;2;255;128;0m", { colors: "keep" })).toBe("\u001b[38;2;255;128;0m");
    expect(sanitize("\u001b[?25l\u001b[2J", { colors: "keep" })).toBe("\\x1b[?25l\\x1b[2J");
  });
});

const choices = fc.constantFrom("keep", "drop", "show");
const inPieces = (pieces: readonly string[], colors: "keep" | "drop" | "show") => {
  const stream = new SanitizingStream({ colors });
  return pieces.map((piece) => stream.push(piece)).join("") + stream.end();
};

describe("text without its colours", () => {
  it.each([
    ["plain", "plain"],
    ["\u001b[31mred\u001b[0m and\u001b[1;4m\u001b[32m more\u001b[m", "red and more"],
    ["\u001b[2Jcleared", "\u001b[2Jcleared"],
    ["\u001b[\u001b[31mx", "\u001b[x"],
    ["\u001b[31", "\u001b[31"],
    ["x\u001b[", "x\u001b["],
  ])("is all the rest of it: %j", (text, plain) => {
    expect(withoutColors(text)).toBe(plain);
  });
});

describe("text in pieces", () => {
  it("comes at once, but for an end that the next piece may make another", () => {
    for (const [text, at1, more, at2] of [
      ["abc", "abc", "d", "d"],
      ["one\n", "one\n", "", ""],
      ["a\r", "a", "\n", "\n"],
      ["a\r", "a", "b", "\\x0db"],
      ["a\ud83d", "a", "\udd25", "🔥"],
      ["a\ud83d", "a", "b", "\\u{d83d}b"],
      ["a🔥", "a🔥", "", ""],
      ["a\u001b", "a", "[31mb", "\u001b[31mb"],
      ["a\u001b[3", "a", "1mb", "\u001b[31mb"],
      ["a\u001b[3", "a", "1J", "\\x1b[31J"],
      ["a\u001b]", "a\\x1b]", "", ""],
      ["❤", "❤", "\ufe0f", "\ufe0f"],
      ["x", "x", "\ufe0f", "\\u{fe0f}"],
    ] as const) {
      const stream = new SanitizingStream({ colors: "keep" });
      expect([text, stream.push(text), stream.push(more), stream.end()]).toEqual([text, at1, at2, ""]);
    }
    for (const [held, shown] of [
      ["\r", "\\x0d"],
      ["\ud83d", "\\u{d83d}"],
      ["\u001b[31", "\\x1b[31"],
    ] as const) {
      const stream = new SanitizingStream({ colors: "keep" });
      expect([stream.push(held), stream.end(), stream.end()]).toEqual(["", shown, ""]);
    }
  });

  it("comes out the same wherever it is split", () => {
    fc.assert(
      fc.property(hostile, choices, (text, colors) => {
        const whole = sanitize(text, { colors });
        for (let at = 0; at <= text.length; at += 1) {
          expect(inPieces([text.slice(0, at), text.slice(at)], colors)).toBe(whole);
        }
        expect(inPieces(text.split(""), colors)).toBe(whole);
      }),
      { numRuns: 200 },
    );
  });

  it("never holds more back than one colour sequence can be long", () => {
    fc.assert(
      fc.property(hostile, (text) => {
        const stream = new SanitizingStream({ colors: "keep" });
        stream.push(text);
        expect(stream.end().length).toBeLessThanOrEqual(60);
      }),
    );
  });

  // Mutants are counted at every step, which takes longer than the steps.
  it.each([
    ["in one piece", 2 ** 20],
    ["in small pieces", 64],
  ])("takes a megabyte of an unfinished sequence in linear time, %s", async (_how, piece) => {
    const grown = await growth(2 ** 20, (size) => {
      const bomb = `\u001b[${";".repeat(size)}`;
      return () => {
        const stream = new SanitizingStream({ colors: "keep" });
        let length = 0;
        for (let at = 0; at < bomb.length; at += piece) length += stream.push(bomb.slice(at, at + piece)).length;
        length += stream.end().length;
        expect(length).toBe(bomb.length + 3);
      };
    });
    expect(grown).toBeLessThan(LINEAR);
  });
});

describe("sanitizeJson", () => {
  it("escapes each character that is live or hides as JSON does, and no other", () => {
    const all = CODES.map((code) => String.fromCodePoint(code)).filter((_, index) => (CODES[index] ?? 0) > 0x1f);
    const wrong = all.filter((character) => {
      const json = sanitizeJson(`"|${character}"`);
      return isLive(character.codePointAt(0) ?? 0) ? !/^"\|(\\u[0-9a-f]{4})+"$/.test(json) : json !== `"|${character}"`;
    });
    expect(wrong).toEqual([]);
  });

  it("means the same and is safe to look at", () => {
    fc.assert(
      fc.property(hostile, (text) => {
        const json = sanitizeJson(JSON.stringify({ text }));
        expect(json).not.toMatch(LIVE);
        expect(JSON.parse(json)).toEqual({ text });
      }),
    );
  });
});
