import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { jsonError } from "../../src/json.ts";

function parses(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

describe("where a text stops being JSON", () => {
  it("agrees with JSON.parse about what is JSON", () => {
    const bits = fc.constantFrom(
      "{",
      "}",
      "[",
      "]",
      ",",
      ":",
      " ",
      "\n",
      '"a"',
      '"',
      "\\",
      "1",
      "-",
      "0",
      ".",
      "e",
      "true",
      "nul",
      "\u007f",
      "\u0001",
      "\u00a0",
      "\ud800",
      '{"a":1}',
    );
    const texts = fc.oneof(
      fc.array(bits, { maxLength: 12 }).map((parts) => parts.join("")),
      fc.json(),
    );
    fc.assert(
      fc.property(texts, (text) => {
        expect(jsonError(text) === undefined).toBe(parses(text));
      }),
      { numRuns: 3_000 },
    );
  });

  it("points at the mistake", () => {
    for (const [text, place] of [
      ["{ profiles: oops", "line 1, column 3: unexpected p"],
      ["", "line 1, column 1: it ends too early"],
      ['{\n  "profiles": {},\n}\n', "line 3, column 1: unexpected }"],
      ['{"a" 1}', "line 1, column 6: unexpected 1"],
      ['{"a": [1, 2,]}', "line 1, column 13: unexpected ]"],
      ['{\n  "a": "x\n}', 'line 2, column 8: unexpected "'],
      ['{"a": 01}', "line 1, column 7: unexpected 0"],
      ['{"a": 1} x', "line 1, column 10: unexpected x"],
      ['{"a": {"b": 1}', "line 1, column 15: it ends too early"],
      ["{'a': 1}", "line 1, column 2: unexpected '"],
    ] as const) {
      expect(jsonError(text)).toBe(place);
    }
  });
});
