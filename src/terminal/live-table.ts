import { fold } from "./fold.ts";
import type { Paint } from "./paint.ts";
import { sanitizeLine } from "./sanitize.ts";
import { tableLines, type Column } from "./table.ts";
import { cutTo } from "./width.ts";

/** What a live table shows at one moment. */
export interface TableFrame<Row> {
  readonly rows: readonly Row[];
  /** The lines below it, folded where they are longer than the terminal is wide. */
  readonly foot: readonly string[];
  /** Stands for the rows there is no room for. */
  readonly rest: (left: readonly Row[]) => string;
}

/** Draws a table that fits the terminal, for `Live`. */
export function tableDrawer<Row>(columns: readonly Column<Row>[], paint: Paint, frame: () => TableFrame<Row>) {
  return (size: { readonly columns: number; readonly rows: number }): readonly string[] => {
    const { rows, foot: texts, rest } = frame();
    // A terminal's last column is left free: many fold when it is written to.
    const width = size.columns - 1;
    const foot = texts.flatMap((text) => fold(sanitizeLine(text), width));
    // Besides its head and the foot; what stands for the rest takes one of them.
    const room = Math.max(1, size.rows - 1 - foot.length);
    const shown = rows.slice(0, rows.length > room ? Math.max(1, room - 1) : room);
    const left = rows.slice(shown.length);
    const below = [...(left.length > 0 ? [rest(left)] : []), ...foot];
    return [
      ...tableLines(shown, columns, paint, width),
      ...below.map((line) => paint("dim", cutTo(sanitizeLine(line), width))),
    ];
  };
}
