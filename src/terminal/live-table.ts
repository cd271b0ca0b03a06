import { fold } from "./fold.ts";
import type { Paint } from "./paint.ts";
import { sanitizeLine } from "./sanitize.ts";
import type { SelectableList } from "./selectable-list.ts";
import { tableLines, type Column } from "./table.ts";
import { cutTo } from "./width.ts";

/** What a live table shows at one moment. */
export interface TableFrame<Row> {
  /** Its rows as they are to be shown. */
  readonly list: SelectableList<Row>;
  /** The lines below it, folded where they are longer than the terminal is wide. */
  readonly foot: readonly string[];
  /** Stands for the rows there is no room for. */
  readonly rest: (left: readonly Row[]) => string;
  /** What keys have to say, on one line, where keys are read. */
  readonly keys?: string;
  /** Stands in place of the table. */
  readonly page?: readonly string[] | undefined;
}

const [SELECTED, OTHER] = ["› ", "  "];

/** Draws a table that fits the terminal, for `Live`. */
export function tableDrawer<Row>(columns: readonly Column<Row>[], paint: Paint, frame: () => TableFrame<Row>) {
  return (size: { readonly columns: number; readonly rows: number }): readonly string[] => {
    const { list, foot: texts, rest, keys, page } = frame();
    // A terminal's last column is left free: many fold when it is written to.
    const width = size.columns - 1;
    const dim = (text: string) => paint("dim", cutTo(sanitizeLine(text), width));
    const foot = [
      ...texts.flatMap((text) => fold(sanitizeLine(text), width)),
      ...(keys === undefined ? [] : [keys]),
    ].map(dim);
    if (page) return [...page.slice(0, size.rows - foot.length).map((line) => cutTo(line, width)), ...foot];
    // Besides its head and the foot; what stands for the rest takes one of them.
    const room = Math.max(1, size.rows - 1 - foot.length);
    const { rows, selected } = list;
    const shown = list.window(rows.length > room ? Math.max(1, room - 1) : room);
    const isShown = new Set(shown);
    const left = rows.filter((row) => !isShown.has(row));
    const lines = tableLines(shown, columns, paint, keys === undefined ? width : width - OTHER.length);
    return [
      ...(keys === undefined
        ? lines
        : lines.map((line, at) =>
            at > 0 && shown[at - 1] === selected ? paint("bold", `${SELECTED}${line}`) : `${OTHER}${line}`,
          )),
      ...(left.length > 0 ? [dim(rest(left))] : []),
      ...foot,
    ];
  };
}
