import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { SelectableList } from "../../src/terminal/selectable-list.ts";

interface Row {
  readonly id: number;
  readonly name: string;
  readonly failed: boolean;
}

const newList = () =>
  new SelectableList<Row>({
    id: ({ id }) => String(id),
    text: ({ name }) => name,
    isFailure: ({ failed }) => failed,
    orders: [
      { name: "by ID", compare: (a, b) => a.id - b.id },
      { name: "by name", compare: (a, b) => a.name.localeCompare(b.name) },
    ],
  });

const rowArb = fc.record({
  id: fc.nat(30),
  name: fc.string({ unit: fc.constantFrom("a", "b", "C", "é"), maxLength: 3 }),
  failed: fc.boolean(),
});
const rowsArb = fc.uniqueArray(rowArb, { selector: ({ id }) => id, maxLength: 20 });

type Step = (list: SelectableList<Row>) => void;
/** What a key may do, what may happen to the rows, and a frame after each. */
const stepArb = fc.oneof(
  fc.integer({ min: -3, max: 3 }).map(
    (by): Step =>
      (list) =>
        list.move(by),
  ),
  fc.constantFrom<1 | -1>(1, -1).map(
    (direction): Step =>
      (list) =>
        list.movePage(direction),
  ),
  fc.constantFrom<Step>(
    (list) => list.first(),
    (list) => list.last(),
    (list) => list.nextOrder(),
    (list) => (list.failuresOnly = !list.failuresOnly),
  ),
  fc.constantFrom("", "a", "c", "É").map(
    (text): Step =>
      (list) =>
        (list.filter = text),
  ),
);

describe("a list to select from", () => {
  it("shows the rows that pass, each once, in order; the selected one is always among those on the screen", () => {
    const turns = fc.array(fc.record({ step: stepArb, rows: rowsArb, room: fc.integer({ min: 1, max: 8 }) }), {
      maxLength: 30,
    });
    fc.assert(
      fc.property(turns, (all) => {
        const list = newList();
        for (const { step, rows, room } of all) {
          step(list);
          list.see(rows);
          const shown = list.window(room);
          const passing = rows.filter(
            ({ name, failed }) =>
              (!list.failuresOnly || failed) && name.toLowerCase().includes(list.filter.toLowerCase()),
          );
          expect(new Set(list.rows)).toEqual(new Set(passing));
          expect(list.rows).toHaveLength(passing.length);
          const compare =
            list.order === undefined
              ? (x: Row, y: Row) => x.id - y.id
              : (x: Row, y: Row) => x.name.localeCompare(y.name);
          expect(list.rows).toEqual(list.rows.toSorted(compare));
          expect(shown).toHaveLength(Math.min(room, passing.length));
          const from = list.rows.indexOf(shown[0] as Row);
          expect(shown).toEqual(list.rows.slice(Math.max(0, from), Math.max(0, from) + room));
          expect(list.selected === undefined || shown.includes(list.selected)).toBe(true);
        }
      }),
    );
  });

  it("keeps the selected row, and never selects another one by itself", () => {
    fc.assert(
      fc.property(rowsArb, fc.nat(20), rowsArb, (before, by, after) => {
        const list = newList();
        list.see(before);
        list.window(5);
        expect(list.selected).toBeUndefined();
        list.move(1);
        list.move(by);
        const selected = list.selected;
        expect(selected === undefined).toBe(before.length === 0);
        list.see(after);
        list.window(5);
        expect(list.selected).toBe(after.find(({ id }) => id === selected?.id));
      }),
    );
  });

  it("goes on from where the selected row was when that has gone", () => {
    const list = newList();
    const rows = Array.from({ length: 6 }, (_, id) => ({ id, name: "", failed: false }));
    list.see(rows);
    list.window(3);
    list.move(1);
    list.move(3);
    expect(list.selected?.id).toBe(3);
    list.see(rows.filter(({ id }) => id !== 3));
    expect(list.selected).toBeUndefined();
    list.move(1);
    expect(list.selected?.id).toBe(4);
  });

  it("begins with the first of other rows, unless the selected one is among them", () => {
    const list = newList();
    const rows = Array.from({ length: 20 }, (_, id) => ({ id, name: id % 2 ? "odd" : "even", failed: false }));
    list.see(rows);
    list.window(3);
    list.last();
    list.filter = "even";
    list.see(rows);
    expect(list.window(3).map(({ id }) => id)).toEqual([0, 2, 4]);
    list.move(1);
    expect(list.selected?.id).toBe(0);
    list.last();
    list.filter = "";
    list.see(rows);
    expect(list.window(3).map(({ id }) => id)).toContain(18);
    expect(list.selected?.id).toBe(18);
  });

  it("moves by as many rows as stand on the screen, and not beyond its ends", () => {
    const list = newList();
    list.see(Array.from({ length: 10 }, (_, id) => ({ id, name: "", failed: false })));
    list.window(4);
    list.first();
    list.movePage(1);
    expect(list.selected?.id).toBe(4);
    list.movePage(1);
    list.movePage(1);
    expect(list.selected?.id).toBe(9);
    list.movePage(-1);
    expect(list.selected?.id).toBe(5);
    list.last();
    list.move(1);
    expect(list.selected?.id).toBe(9);
    list.first();
    list.move(-1);
    expect(list.selected?.id).toBe(0);
  });
});
