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

const numbered = (n: number) => `91000000-0000-4000-8000-${String(n).padStart(12, "0")}`;
const isCut = (cells: readonly string[] | undefined) => cells?.some((cell) => cell.endsWith("…")) ?? true;

/** What stands between two columns of the terminal. */
function atColumns(line: string, from: number, to: number): string {
  let at = 0;
  let found = "";
  for (const { segment } of new Intl.Segmenter(undefined, { granularity: "grapheme" }).segment(line)) {
    if (at >= from && at < to) found += segment;
    at += stringWidth(segment);
  }
  return found;
}

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

  it("has short IDs where whole ones do not fit, and gives the room to who is next", () => {
    const columns: readonly Column<Row>[] = [
      { header: "ID", rank: 0, id: true, value: ({ id }) => id },
      { header: "NOTE", rank: 1, shrinkTo: 6, value: ({ note }) => note },
    ];
    const rows = [{ id: ID, name: "", note: "twelve chars" }];
    const lineAt = (width: number) => tableLines(rows, columns, plain, width)[1];
    expect(lineAt(18)).toBe("11111111  twelve …");
    expect(lineAt(49)).toBe("11111111  twelve chars");
    expect(lineAt(50)).toBe(`${ID}  twelve chars`);
  });

  it("has short IDs that tell apart what is shown, however alike the IDs are", () => {
    const columns: readonly Column<Row>[] = [{ header: "ID", rank: 0, id: true, value: ({ id }) => id }];
    const shortOf = (...ids: string[]) =>
      tableLines(
        ids.map((id) => ({ id, name: "", note: "" })),
        columns,
        plain,
        20,
      ).slice(1);
    expect(shortOf(ID, "2222222a-bcde", "2222222a-bfff", ID, "-")).toEqual([
      "11111111",
      "2222222a-bc",
      "2222222a-bf",
      "11111111",
      "-",
    ]);
    expect(shortOf(ID, numbered(1), numbered(220))).toEqual(["11111111", "91000000…001", "91000000…220"]);
  });

  it("is never wider than the terminal, and cuts last what tells one row from the next", () => {
    interface Wide {
      readonly id: string;
      readonly instance: string;
      readonly user: string;
      readonly by: string;
      readonly line: string;
    }
    const columns: readonly Column<Wide>[] = [
      { header: "STATUS", rank: 1, value: () => "completed" },
      { header: "RUN", rank: 0, id: true, value: ({ id }) => id },
      { header: "USER", rank: 2, shrinkTo: 14, tells: true, value: ({ user }) => user },
      { header: "BY", rank: 4, shrinkTo: 8, value: ({ by }) => by },
      { header: "TOOK", rank: 5, value: () => "1m 00s" },
      { header: "INSTANCE", rank: 6, id: true, spare: true, value: ({ instance }) => instance },
      { header: "LINE", rank: 3, shrinkTo: 16, enough: 30, tells: true, value: ({ line }) => line },
    ];
    const id = fc.oneof(
      fc.uuid(),
      fc.integer({ min: 0, max: 999 }).map((n) => `91000000-0000-4000-8000-${n}`.padEnd(36, "0")),
    );
    const row = fc.record({ id, instance: id, user: text(40), by: text(30), line: text(300) });
    fc.assert(
      fc.property(fc.array(row, { minLength: 1, maxLength: 12 }), fc.integer({ min: 40, max: 260 }), (rows, width) => {
        const [head = "", ...lines] = tableLines(rows, columns, plain, width);
        for (const line of [head, ...lines]) expect(stringWidth(line)).toBeLessThanOrEqual(width);
        const cellsOf = (header: string) => {
          const from = head.indexOf(header);
          const [next] = /(?<= {2})\S/.exec(head.slice(from)) ?? [];
          const to = next === undefined ? Infinity : from + head.slice(from).search(/(?<= {2})\S/);
          return head.includes(header) ? lines.map((line) => atColumns(line, from, to).trimEnd()) : undefined;
        };
        const runs = cellsOf("RUN") ?? [];
        expect(new Set(runs).size).toBe(new Set(rows.map((row) => row.id)).size);
        for (const [index, { id: whole }] of rows.entries()) {
          const [start = "", end = ""] = runs[index]?.split("…") ?? [];
          expect(whole.startsWith(start) && whole.endsWith(end) && start.length >= 8).toBe(true);
        }
        const instances = cellsOf("INSTANCE");
        const whole = runs.every((shown, index) => shown === rows[index]?.id);
        // Whole IDs where there is room for everything, and no room for a spare column while a text is cut.
        const isTight = isCut(cellsOf("USER")) || isCut(cellsOf("BY"));
        expect(isTight && (instances !== undefined || whole)).toBe(false);
        // The customer is cut after everything that does not tell rows apart.
        const isRoomy = (cellsOf("BY") ?? []).some((cell) => stringWidth(cell) > 8);
        expect(isCut(cellsOf("USER")) && isRoomy).toBe(false);
      }),
      { numRuns: 100 },
    );
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
