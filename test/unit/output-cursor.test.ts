import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { OutputCursor, TRUNCATION_MARKER } from "../../src/runs/output-cursor.ts";

/** What a poll brings: the machine keeps the newest part and puts a marker in front. */
const asKept = (written: string, window: number) =>
  written.length <= window ? written : TRUNCATION_MARKER + written.slice(-window);

describe("output so far, poll by poll", () => {
  it("comes out once, whole and in order", () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: "binary" })), (pieces) => {
        const cursor = new OutputCursor();
        let written = "";
        let printed = "";
        for (const piece of pieces) {
          written += piece;
          const { text, gap } = cursor.next(written);
          expect(gap).toBe(false);
          printed += text;
        }
        expect(printed).toBe(written);
      }),
    );
  });

  it("is told apart from its repetitions", () => {
    // Few letters: every piece looks like every other.
    const piece = fc.string({ unit: fc.constantFrom("a", "b", "\n"), maxLength: 600 });
    fc.assert(
      fc.property(fc.array(piece), (pieces) => {
        const cursor = new OutputCursor();
        let written = "";
        let printed = "";
        for (const piece of pieces) {
          written += piece;
          printed += cursor.next(written).text;
        }
        expect(printed).toBe(written);
      }),
    );
  });

  it("is continued after the machine has cut it, as long as the end of what was seen is still there", () => {
    const WINDOW = 1_000;
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 400 }), { maxLength: 40 }), (sizes) => {
        const cursor = new OutputCursor();
        let written = "";
        let printed = "";
        let line = 0;
        for (const size of sizes) {
          for (const until = written.length + size; written.length < until;) written += `line ${(line += 1)}\n`;
          const { text, gap } = cursor.next(asKept(written, WINDOW));
          expect(gap).toBe(false);
          printed += text;
        }
        expect(printed).toBe(written);
      }),
    );
  });

  it("names the gap where more was written between two polls than the machine keeps", () => {
    const WINDOW = 1_000;
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 4_000 }), { maxLength: 20 }), (sizes) => {
        const cursor = new OutputCursor();
        let written = "";
        let line = 0;
        for (const size of sizes) {
          const seen = written.length;
          for (const until = written.length + size; written.length < until;) written += `line ${(line += 1)}\n`;
          const { text, gap } = cursor.next(asKept(written, WINDOW));
          expect(written.endsWith(text)).toBe(true);
          const lost = written.length - text.length - seen;
          // Without a gap, what is printed goes on exactly where it was; nothing is ever missing without one. A gap may
          // be named in error, and a little repeated, only where hardly anything seen is left to recognise.
          expect({ lost, gap }).toSatisfy(() => (gap ? lost > -256 : lost === 0));
        }
      }),
    );
  });

  it("does not begin with half a character after a gap", () => {
    const cursor = new OutputCursor();
    cursor.next("something quite different");
    expect(cursor.next(`${TRUNCATION_MARKER}\udd80 crab`)).toEqual({ text: " crab", gap: true });
  });

  it("shows the first look at an already cut output as a gap", () => {
    expect(new OutputCursor().next(`${TRUNCATION_MARKER}rest`)).toEqual({ text: "rest", gap: true });
  });

  it("goes over a full window of the same line without trying every place", () => {
    const cursor = new OutputCursor();
    const window = "x\n".repeat(2 ** 19);
    cursor.next(asKept(`${window}x\n`, window.length));
    const began = performance.now();
    cursor.next(asKept(`${window}x\nx\n`, window.length));
    expect(performance.now() - began).toBeLessThan(5_000);
  });
});
