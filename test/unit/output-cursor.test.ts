import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { OutputCursor, TRUNCATION_MARKER } from "../../src/runs/output/cursor.ts";
import { growth, LINEAR } from "../support/growth.ts";

/** What a poll brings: the machine keeps the newest part, half a character as U+FFFD, and puts a marker in front. */
const asKept = (written: string, window: number) =>
  written.length <= window ? written : TRUNCATION_MARKER + written.slice(-window).replace(/^[\udc00-\udfff]/, "\ufffd");

const numbered = (count: number) => Array.from({ length: count }, (_, line) => `line ${line}\n`).join("");

/** What a run writes until it is looked at: lines that differ, one character again and again, or the same few lines. */
const history = fc.record({
  piece: fc.oneof(
    fc.string({ unit: "binary", maxLength: 40 }),
    fc.constantFrom("x", "x\n", "ab", "…", "🦀", "10 %\r", "the same line\n", "one\ntwo\n"),
    fc
      .integer({ min: 0, max: 60 })
      .chain((from) =>
        fc.constant(
          Array.from({ length: 40 }, (_, line) => `line ${from * 31 + line}: ${(from * line * 7919) % 1009}\n`).join(
            "",
          ),
        ),
      ),
  ),
  times: fc.integer({ min: 0, max: 40 }).map((n) => (n > 30 ? n * 10 : n > 10 ? n : 1)),
  polled: fc.boolean(),
});

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

  it("is what the run wrote, with every gap named and nothing twice, whatever it writes and whenever it is asked", () => {
    let polls = 0;
    const met = { cut: 0, gap: 0, certain: 0 };
    fc.assert(
      fc.property(fc.array(history, { maxLength: 30 }), fc.integer({ min: 300, max: 1_500 }), (pieces, window) => {
        const cursor = new OutputCursor();
        let written = "";
        let printedTo = 0;
        let seen = "";
        for (const { piece, times, polled } of pieces) {
          written += piece.repeat(times);
          // Nobody asked, or the answer was lost.
          if (!polled || written === "") continue;
          const kept = asKept(written, window);
          const { text, gap, revised } = cursor.next(kept);
          const from = written.length - text.length;
          const now = written.slice(-window).replace(/^[\udc00-\udfff\ufffd]/, "");
          expect(revised).toBe(false);
          expect(written.endsWith(text)).toBe(true);
          expect(from, "nothing twice").toBeGreaterThanOrEqual(printedTo);
          // What nobody could tell: 256 or more units before the cut are just those after it.
          const left = printedTo - (written.length - now.length);
          const alike = now.length - text.length;
          const chance = written.length > window && left < 256 && alike >= 256 && seen.endsWith(now.slice(0, alike));
          const unchanged = written.length > window && now === seen;
          expect(gap || unchanged || chance || from === printedTo, "nothing lost").toBe(true);
          polls += 1;
          met.cut += written.length > window ? 1 : 0;
          met.gap += gap ? 1 : 0;
          met.certain += written.length > window && !gap ? 1 : 0;
          printedTo = written.length;
          seen = now;
        }
      }),
      { numRuns: 2_000 },
    );
    // The histories are of every kind.
    expect(met.gap).toBeGreaterThan(polls / 20);
    expect(met.certain).toBeGreaterThan(polls / 50);
  });

  it("finds the longest part that was seen, as comparing every one would", () => {
    const letters = fc.string({ unit: fc.constantFrom("a", "b"), maxLength: 4 });
    fc.assert(
      fc.property(fc.tuple(letters, letters, letters), fc.nat(900), fc.nat(900), ([a, b, c], m, n) => {
        const [seen, text] = [`${a}${b.repeat(m)}${c.repeat(n % 7)}`, `${b.repeat(n)}${c}${a.repeat(m % 5)}`];
        if (seen === "" || text === "" || seen === text) return;
        const cursor = new OutputCursor();
        cursor.next(`${TRUNCATION_MARKER}${seen}`);
        const overlaps: number[] = [];
        for (let k = 0; k <= Math.min(seen.length, text.length); k++)
          if (seen.endsWith(text.slice(0, k))) overlaps.push(k);
        const certain = overlaps.filter((k) => k >= 256);
        expect(cursor.next(`${TRUNCATION_MARKER}${text}`)).toEqual({
          text: text.slice(overlaps.at(-1)),
          gap: certain.length !== 1,
          revised: false,
        });
      }),
      { numRuns: 500 },
    );
  });

  it.each(["\udd80", "\ufffd"])("goes on where it was when it is cut within a character, which leaves %j", (half) => {
    const seen = Array.from({ length: 100 }, (_, line) => `🦀 line ${line}\n`).join("");
    const cursor = new OutputCursor();
    expect(cursor.next(`${TRUNCATION_MARKER}${seen}`).gap).toBe(true);
    const next = `${TRUNCATION_MARKER}${half}${seen.slice(2)}and on`;
    expect(cursor.next(next)).toEqual({ text: "and on", gap: false, revised: false });
    expect(cursor.next(next)).toEqual({ text: "", gap: false, revised: false });
  });

  it("does not begin with half a character after a gap", () => {
    const cursor = new OutputCursor();
    cursor.next("something quite different");
    expect(cursor.next(`${TRUNCATION_MARKER}\udd80 crab`)).toEqual({ text: " crab", gap: true, revised: false });
  });

  it("goes on within a character that the machine has cut", () => {
    const cursor = new OutputCursor();
    const line = Array.from({ length: 300 }, (_, index) =>
      String.fromCodePoint(0x1f400 + (index % 97), 0x41 + (index % 26)),
    );
    const seen = line.join("");
    cursor.next(seen);
    expect(cursor.next(`${TRUNCATION_MARKER}${seen.slice(1)}🦀`)).toEqual({ text: "🦀", gap: false, revised: false });
  });

  it("shows the first look at an already cut output as a gap", () => {
    expect(new OutputCursor().next(`${TRUNCATION_MARKER}rest`)).toEqual({ text: "rest", gap: true, revised: false });
  });

  it("does not print again what an answer without output, or with less of it, has not got", () => {
    const cursor = new OutputCursor();
    expect(cursor.next("one\ntwo\n").text).toBe("one\ntwo\n");
    for (const answer of ["", "one\n", "one\ntwo\n"]) expect(cursor.next(answer).text).toBe("");
    expect(cursor.next("one\ntwo\nthree\n")).toEqual({ text: "three\n", gap: false, revised: false });
  });

  it("tells where the record at the end is another than what was seen, and gives what follows", () => {
    const cursor = new OutputCursor();
    cursor.next("one\ntwo\n");
    expect(cursor.next("one\n[cancelled]\n")).toEqual({ text: "[cancelled]\n", gap: false, revised: true });
    const lines = Array.from({ length: 100 }, (_, line) => `line ${line}\n`).join("");
    const mended = new OutputCursor();
    mended.next(`a\u0000b\n${lines}`);
    expect(mended.next(`ab\n${lines}done\n`)).toEqual({ text: "done\n", gap: false, revised: true });
  });

  it("is found again by its last 256 units where what was in front is another, and no fewer", () => {
    for (const [length, text] of [
      [256, "new"],
      [255, `!${numbered(40).slice(0, 255)}new`],
    ] as const) {
      const cursor = new OutputCursor();
      const seen = numbered(40).slice(0, length);
      cursor.next(seen);
      expect(cursor.next(`!${seen}new`)).toEqual({ text, gap: false, revised: true });
    }
  });

  it("is another one where it was cut and is no longer: what follows the part that was seen is new", () => {
    const cursor = new OutputCursor();
    cursor.next(`${TRUNCATION_MARKER}${numbered(60)}`);
    expect(cursor.next(`all of it\n${numbered(60)}more`)).toEqual({ text: "more", gap: false, revised: true });
    expect(cursor.next(`all of it\n${numbered(60)}more`)).toEqual({ text: "", gap: false, revised: false });
    const short = new OutputCursor();
    short.next(`${TRUNCATION_MARKER}abc`);
    expect(short.next("abd")).toEqual({ text: "d", gap: false, revised: true });
  });

  it("has a gap where it was cut for the first time and repeats itself, although it looks as before", () => {
    const same = "x".repeat(1_000);
    const cursor = new OutputCursor();
    cursor.next(same);
    expect(cursor.next(`${TRUNCATION_MARKER}${same}`)).toEqual({ text: "", gap: true, revised: false });
    // From then on it counts as unchanged.
    expect(cursor.next(`${TRUNCATION_MARKER}${same}`)).toEqual({ text: "", gap: false, revised: false });
    const other = new OutputCursor();
    other.next(numbered(60));
    expect(other.next(`${TRUNCATION_MARKER}${numbered(60)}`)).toEqual({ text: "", gap: false, revised: false });
  });

  it("takes nothing back where a cut output comes empty, or as its marker alone", () => {
    const cursor = new OutputCursor();
    cursor.next(`${TRUNCATION_MARKER}${numbered(60)}`);
    const nothing = { text: "", gap: false, revised: false };
    expect([cursor.next(""), cursor.next(TRUNCATION_MARKER)]).toEqual([nothing, nothing]);
    expect(cursor.next(`${TRUNCATION_MARKER}${numbered(60)}on`)).toEqual({ text: "on", gap: false, revised: false });
  });

  // Mutants are counted at every step, which takes longer than the steps.
  it.each([
    ["of the same line", (size: number) => "x\n".repeat(size / 2), "x\n"],
    ["that is the same but for its end", (size: number) => `${"x".repeat(size - 1)}y`, "x"],
    [
      "that looks the same at a thousand places",
      (size: number) => `${"x".repeat(1_023)}y`.repeat(size / 1_024),
      `z${"x".repeat(1_000)}`,
    ],
  ])("goes over a full window %s without trying every place", async (_name, windowOf, more) => {
    const grown = await growth(2 ** 20, (size) => {
      const window = windowOf(size);
      const polls = Array.from({ length: 4 }, (_, count) => asKept(window + more.repeat(count + 1), window.length));
      return () => {
        const cursor = new OutputCursor();
        for (const poll of polls) cursor.next(poll);
      };
    });
    expect(grown).toBeLessThan(LINEAR);
  });
});
