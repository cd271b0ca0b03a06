import * as fc from "fast-check";
import stringWidth from "string-width";
import { describe, expect, it } from "vitest";
import { sanitizeLine } from "../../src/terminal/sanitize.ts";
import { renderTable, tableLines, type Column } from "../../src/terminal/table.ts";
import { cutTo, widthOf } from "../../src/terminal/width.ts";
import { growth, LINEAR } from "../support/growth.ts";

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
const render = (rows: readonly Row[], width: number | undefined) => tableLines(rows, COLUMNS, plain, width);
const ID = "11111111-1111-4111-8111-111111111111";

/** Narrow and wide characters, and such as are shown escaped. */
const text = (maxLength: number) =>
  fc.string({
    unit: fc.constantFrom("a", "b", " ", "é", "日", "本", "🦀", "\n", "\u001b", "\u200b", "\ud83d"),
    maxLength,
  });

describe("a table", () => {
  it("has a line for each row, as wide as the terminal at most, and every ID whole", () => {
    const row = fc.record({
      id: fc.constant(ID),
      name: text(30),
      note: text(60),
    });
    fc.assert(
      fc.property(fc.array(row, { minLength: 1, maxLength: 5 }), fc.integer({ min: 36, max: 160 }), (rows, width) => {
        const lines = render(rows, width);
        expect(lines).toHaveLength(rows.length + 1);
        for (const line of lines.slice(1)) expect(line).toContain(ID);
        for (const line of lines) expect(stringWidth(line)).toBeLessThanOrEqual(width);
      }),
      { numRuns: 100 },
    );
  });

  it("cuts nothing where there is no terminal", () => {
    const note = "x".repeat(500);
    expect(render([{ id: ID, name: "n".repeat(100), note }], undefined)[1]).toContain(note);
  });

  it("lines its columns up, whatever the characters, and marks what is cut", () => {
    const rows = [
      { id: ID, name: "日本語🦀日本語", note: "one" },
      { id: ID, name: "plain", note: "🦀".repeat(40) },
    ];
    const lines = render(rows, 60);
    const at = (line: string) => stringWidth(line.slice(0, line.indexOf(ID)));
    expect(new Set(lines.slice(1).map(at)).size).toBe(1);
    expect(lines[2]).toMatch(/🦀…$/u);
    expect(lines[1]).toMatch(/one$/);
  });

  it("cuts to what fits, at whole characters, and nothing that fits", () => {
    fc.assert(
      fc.property(text(30), fc.integer({ min: 1, max: 40 }), (raw, width) => {
        const safe = sanitizeLine(raw);
        const cut = cutTo(safe, width);
        expect(stringWidth(cut)).toBeLessThanOrEqual(width);
        const fits = stringWidth(safe) <= width;
        expect(fits ? cut === safe : safe.startsWith(cut.slice(0, -1)) && cut.endsWith("…")).toBe(true);
      }),
    );
  });

  it("keeps the ID where there is room for nothing else", () => {
    expect(render([{ id: ID, name: "somebody", note: "something" }], 20)[1]).toContain(ID);
  });

  it("cuts an identifier short where all of it does not fit, and gives the room to who is next", () => {
    const columns: readonly Column<Row>[] = [
      { header: "ID", rank: 0, shrinkTo: 9, allOrLeast: true, widen: 2, value: ({ id }) => id },
      { header: "NOTE", rank: 1, shrinkTo: 6, value: ({ note }) => note },
    ];
    const rows = [{ id: ID, name: "", note: "twelve chars" }];
    const lineAt = (width: number) => tableLines(rows, columns, plain, width)[1];
    expect(lineAt(20)).toBe("11111111…  twelve c…");
    expect(lineAt(49)).toBe("11111111…  twelve chars");
    expect(lineAt(50)).toBe(`${ID}  twelve chars`);
  });

  it.each(["日", "🦀", "e\u0301", "a", "가", "\u001b", "👨‍👩‍👧 ", "ｱ", "x".repeat(9) + "日"])(
    "of rows of 10,000 times %j takes time that grows with their length alone, on a terminal and live",
    async (unit) => {
      const rowsOf = (size: number, count: number) => {
        const long = unit.repeat(size).slice(0, size);
        return Array.from({ length: count }, () => ({ id: ID, name: long, note: long }));
      };
      type Rows = ReturnType<typeof rowsOf>;
      const live = async (rows: Rows) => render(rows, 120);
      const still = async (rows: Rows) => (await renderTable(rows, COLUMNS, plain, 120)).split("\n");
      for (const draw of [live, still]) {
        const lines = await draw(rowsOf(10_000, 25));
        const grown = await growth(10_000, (size) => {
          const rows = rowsOf(size, 3);
          return () => draw(rows);
        });
        expect(grown).toBeLessThan(LINEAR);
        expect(lines).toHaveLength(26);
        for (const line of lines) expect(stringWidth(line)).toBeLessThanOrEqual(120);
        for (const line of lines.slice(1)) expect(line).toMatch(/….*….*$/u);
      }
    },
  );

  it("knows how wide the characters are that it does not have measured", () => {
    const wide = "、。〠ぁゖァヺ㐀䶿一鿿가힣！｠";
    for (const character of wide) expect([character, widthOf(character)]).toEqual([character, stringWidth(character)]);
    const ordinary = fc.string({
      unit: fc.constantFrom(..."abc …123日本語テスト가나다、！", "🦀", "e\u0301", "ｶﾞ"),
      maxLength: 40,
    });
    fc.assert(fc.property(ordinary, (text) => widthOf(text) === stringWidth(text)));
    const codes = Array.from({ length: 0xd000 }, (_, index) => 0x3000 + index).filter(
      (code) => code < 0xd800 || code > 0xdfff,
    );
    const wrong = codes.filter((code) => widthOf(String.fromCharCode(code)) !== stringWidth(String.fromCharCode(code)));
    expect(wrong.map((code) => code.toString(16))).toEqual([]);
  });

  it("drops the least important column first", () => {
    const rows = [{ id: ID, name: "somebody", note: "something" }];
    expect(render(rows, 50)[0]).toMatch(/^NAME +ID$/);
    expect(render(rows, 40)[0]).toBe("ID");
  });
});
