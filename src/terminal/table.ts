import type { Color, Paint } from "./paint.ts";
import { sanitizeLine } from "./sanitize.ts";

export interface Column<Row> {
  readonly header: string;
  readonly value: (row: Row) => string;
  readonly color?: (row: Row) => Color | undefined;
  /** Columns with a lower rank stay longer when the terminal is too narrow for all of them. */
  readonly rank: number;
  /** The width to which the column may be cut to fit the terminal. Absent: never cut (identifiers). */
  readonly shrinkTo?: number;
}

const GAP = 2;

/**
 * Lays `rows` out in columns. Every value is sanitized here.
 *
 * @param width columns of the terminal, or `undefined` where there is none: then every column is shown and nothing is cut.
 */
export async function renderTable<Row>(
  rows: readonly Row[],
  columns: readonly Column<Row>[],
  paint: Paint,
  width: number | undefined,
): Promise<string> {
  const [{ default: Table }, { default: stringWidth }] = await Promise.all([
    import("cli-table3"),
    import("string-width"),
  ]);
  const cells = new Map(columns.map((column) => [column, rows.map((row) => sanitizeLine(column.value(row)))]));
  const natural = new Map(
    columns.map((column) => {
      const widths = (cells.get(column) ?? []).map((cell) => stringWidth(cell));
      return [column, Math.max(column.header.length, ...widths)];
    }),
  );
  const widths = fit(columns, natural, width);
  const table = new Table({
    chars: BORDERLESS,
    style: { "padding-left": 0, "padding-right": GAP, head: [], border: [], compact: true },
    colWidths: widths.map(({ width }) => width + GAP),
    head: widths.map(({ column }) => paint("dim", column.header)),
  });
  rows.forEach((row, index) => {
    table.push(
      widths.map(({ column }) => {
        const text = cells.get(column)?.[index] ?? "";
        const color = column.color?.(row);
        return color && text ? paint(color, text) : text;
      }),
    );
  });
  return table
    .toString()
    .split("\n")
    .map((line) => line.trimEnd())
    .join("\n");
}

/** Chooses the columns that fit, in their order, and a width for each. */
function fit<Row>(
  columns: readonly Column<Row>[],
  natural: ReadonlyMap<Column<Row>, number>,
  width: number | undefined,
): { column: Column<Row>; width: number }[] {
  const full = (column: Column<Row>) => natural.get(column) ?? 0;
  const least = (column: Column<Row>) => Math.min(full(column), column.shrinkTo ?? Infinity);
  const room = width ?? Infinity;
  const kept = new Set<Column<Row>>();
  let used = -GAP;
  for (const column of columns.toSorted((a, b) => a.rank - b.rank)) {
    if (kept.size > 0 && used + GAP + least(column) > room) break;
    kept.add(column);
    used += GAP + least(column);
  }
  // What is left goes to the cut columns, the most important first.
  const widths = new Map<Column<Row>, number>();
  for (const column of [...kept].toSorted((a, b) => a.rank - b.rank)) {
    const extra = Math.min(full(column) - least(column), Math.max(0, room - used));
    widths.set(column, least(column) + extra);
    used += extra;
  }
  return columns.filter((column) => kept.has(column)).map((column) => ({ column, width: widths.get(column) ?? 0 }));
}

const BORDERLESS = {
  top: "",
  "top-mid": "",
  "top-left": "",
  "top-right": "",
  bottom: "",
  "bottom-mid": "",
  "bottom-left": "",
  "bottom-right": "",
  left: "",
  "left-mid": "",
  mid: "",
  "mid-mid": "",
  right: "",
  "right-mid": "",
  middle: "",
};
