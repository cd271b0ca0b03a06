import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { sanitize, sanitizeJson, sanitizeLine, SanitizingStream } from "../../src/terminal/sanitize.ts";

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

describe("sanitize", () => {
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

  it("takes time that grows with the text alone, whatever it is", () => {
    const million = 2 ** 20;
    for (const hostile of [
      `\u001b[${";".repeat(million)}`,
      "\u001b[".repeat(million / 2),
      `\u001b[${"38;5;".repeat(million / 5)}m`,
      "\ufe0f".repeat(million),
      "❤\ufe0f".repeat(million / 2),
      "\u{e0100}".repeat(million / 2),
      "\ud800".repeat(million),
    ]) {
      for (const colors of ["keep", "drop", "show"] as const) {
        const began = process.cpuUsage();
        sanitize(hostile, { colors });
        sanitizeLine(hostile);
        expect(process.cpuUsage(began).user / 1000).toBeLessThan(2_000);
      }
    }
  });

  it("keeps a line a line", () => {
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

describe("text in pieces", () => {
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
  it.skipIf("MUTATION_TESTS" in process.env).each([
    ["in one piece", 2 ** 20],
    ["in small pieces", 64],
  ])("takes a megabyte of an unfinished sequence in linear time, %s", (_how, size) => {
    const bomb = `\u001b[${";".repeat(2 ** 20)}`;
    const began = performance.now();
    const stream = new SanitizingStream({ colors: "keep" });
    let length = 0;
    for (let at = 0; at < bomb.length; at += size) length += stream.push(bomb.slice(at, at + size)).length;
    length += stream.end().length;
    expect(length).toBe(bomb.length + 3);
    // Quadratic work would take minutes.
    expect(performance.now() - began).toBeLessThan(5_000);
  });
});

describe("sanitizeJson", () => {
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
