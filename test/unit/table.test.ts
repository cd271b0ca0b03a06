import * as fc from "fast-check";
import stringWidth from "string-width";
import { describe, expect, it } from "vitest";
import { renderTable, type Column } from "../../src/terminal/table.ts";

interface Row {
  readonly id: string;
  readonly name: string;
  readonly note: string;
}

const COLUMNS: readonly Column<Row>[] = [
  { header: "NAME", rank: 1, shrinkTo: 8, value: ({ name }) => name },
  { header: "ID", rank: 0, value: ({ id }) => id },
  { header: "NOTE", rank: 2, shrinkTo: 6, value: ({ note }) => note },
];
const plain = (_color: string, text: string) => text;
const render = (rows: readonly Row[], width: number | undefined) => renderTable(rows, COLUMNS, plain, width);
const ID = "11111111-1111-4111-8111-111111111111";

/** Narrow and wide characters, and such as are shown escaped. */
const text = (maxLength: number) =>
  fc.string({
    unit: fc.constantFrom("a", "b", " ", "é", "日", "本", "🦀", "\n", "\u001b", "\u200b", "\ud83d"),
    maxLength,
  });

describe("a table", () => {
  it("has a line for each row, as wide as the terminal at most, and every ID whole", async () => {
    const row = fc.record({
      id: fc.constant(ID),
      name: text(30),
      note: text(60),
    });
    await fc.assert(
      fc.asyncProperty(
        fc.array(row, { minLength: 1, maxLength: 5 }),
        fc.integer({ min: 36, max: 160 }),
        async (rows, width) => {
          const lines = (await render(rows, width)).split("\n");
          expect(lines).toHaveLength(rows.length + 1);
          for (const line of lines.slice(1)) expect(line).toContain(ID);
          for (const line of lines) expect(stringWidth(line)).toBeLessThanOrEqual(width);
        },
      ),
      { numRuns: 100 },
    );
  });

  it("cuts nothing where there is no terminal", async () => {
    const note = "x".repeat(500);
    expect(await render([{ id: ID, name: "n".repeat(100), note }], undefined)).toContain(note);
  });

  it("keeps the ID where there is room for nothing else", async () => {
    expect(await render([{ id: ID, name: "somebody", note: "something" }], 20)).toContain(ID);
  });

  it("drops the least important column first", async () => {
    const rows = [{ id: ID, name: "somebody", note: "something" }];
    expect((await render(rows, 50)).split("\n")[0]).toMatch(/^NAME +ID$/);
    expect((await render(rows, 40)).split("\n")[0]).toBe("ID");
  });
});
