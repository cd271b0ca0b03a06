import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { OUTPUT_LIMIT, OutputTail, TRUNCATION_MARKER } from "../../src/sandbox/machines/output-buffer.ts";

describe("the newest output", () => {
  test("up to the limit is everything, without a marker", () => {
    const tail = new OutputTail();
    tail.append("x".repeat(OUTPUT_LIMIT));
    expect(tail.text()).toBe("x".repeat(OUTPUT_LIMIT));
  });

  test("up to the limit is everything also when it was read before there was any", () => {
    const tail = new OutputTail();
    expect(tail.text()).toBe("");
    for (let half = 0; half < 2; half += 1) tail.append("x".repeat(OUTPUT_LIMIT / 2));
    expect(tail.text()).toBe("x".repeat(OUTPUT_LIMIT));
  });

  test("beyond the limit is exactly as long as the platform's, with one marker", () => {
    const tail = new OutputTail();
    for (let index = 0; index < 40; index += 1) tail.append("x".repeat(64_000));
    tail.append("LAST\n");
    const text = tail.text();
    expect(text).toHaveLength(1_048_599);
    expect(text.startsWith("… [output truncated] …\nx")).toBe(true);
    expect(text.endsWith("xLAST\n")).toBe(true);
    tail.append("MORE\n");
    expect(tail.text().split(TRUNCATION_MARKER)).toHaveLength(2);
    expect(tail.text()).toHaveLength(1_048_599);
  });

  test("is the end of all chunks, whatever their sizes and however often it was read", () => {
    const chunk = fc.tuple(fc.integer({ min: 0, max: 400_000 }), fc.boolean());
    fc.assert(
      fc.property(fc.array(chunk, { maxLength: 12 }), (chunks) => {
        const tail = new OutputTail();
        let all = "";
        for (const [index, [size, read]] of chunks.entries()) {
          const text = String.fromCodePoint(97 + index).repeat(size);
          tail.append(text);
          all += text;
          if (read) tail.text();
        }
        const expected = all.length > OUTPUT_LIMIT ? TRUNCATION_MARKER + all.slice(-OUTPUT_LIMIT) : all;
        expect(tail.text() === expected).toBe(true);
      }),
      { numRuns: 50 },
    );
  });

  test("never begins with half a character", () => {
    const tail = new OutputTail();
    tail.append("🦀".repeat(OUTPUT_LIMIT / 2));
    tail.append("!");
    const text = tail.text();
    expect(text).toHaveLength(1_048_599);
    expect(Buffer.from(text).toString() === text).toBe(true);
  });

  test("a million one-character chunks take well under a second", () => {
    const tail = new OutputTail();
    // Of the processor, which other tests use as well.
    const before = process.cpuUsage();
    for (let index = 0; index < 3_000_000; index += 1) tail.append("y");
    expect(tail.text()).toHaveLength(1_048_599);
    const { user, system } = process.cpuUsage(before);
    expect((user + system) / 1_000).toBeLessThan(2_000);
  });
});
