import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { isSafe } from "../../src/terminal/sanitize.ts";
import { yaml } from "../../src/terminal/yaml.ts";

const HOSTILE = [
  "\u001b[31m",
  "\u202e",
  "\u0085",
  "\u2028",
  "\u{e0041}",
  "\u0000",
  "\r",
  "\ufeff",
  "\u009b",
  "no",
  "- x",
  "#",
];
const text = fc
  .array(fc.oneof(fc.constantFrom(...HOSTILE, "\n", "\t", " ", '"', "\\", ": "), fc.string({ unit: "grapheme" })))
  .map((parts) => parts.join(""));
const value = fc.record({ text, list: fc.array(text), [HOSTILE[0] ?? ""]: fc.jsonValue({ stringUnit: "grapheme" }) });

describe("-o yaml", () => {
  it("is read back as what it was, and has nothing in it that drives a terminal", () => {
    fc.assert(
      fc.property(value, (given) => {
        const written = yaml(given);
        expect(isSafe(written)).toBe(true);
        expect(parse(written)).toEqual(JSON.parse(JSON.stringify(given)));
      }),
    );
  });

  it("keeps texts texts for readers of YAML 1.1", () => {
    const texts = ["no", "yes", "on", "2026-11-22T16:33:42.893Z", "1:30", "0o7", "~", "123", "null"];
    expect(parse(yaml(texts), { version: "1.1" })).toEqual(texts);
    expect(yaml({ at: new Date(0), none: null })).toBe('at: "1970-01-01T00:00:00.000Z"\nnone: null\n');
  });

  it("keeps blanks that are alone", () => {
    const blanks = [" \n", "  \n\n", "  \n \n", "   \t\n", "\n", " "];
    expect(parse(yaml({ blanks }))).toEqual({ blanks });
  });

  it("writes half a character as what stands for one", () => {
    expect(parse(yaml({ a: "cut \ud83d" }))).toEqual({ a: "cut �" });
  });
});
