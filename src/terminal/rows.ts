/** Rows as text, in the format that was asked for. Knows no stream. */
import type * as z from "zod";
import { CliError } from "../errors.ts";
import type { ShapeName, Shapes } from "../shapes/shapes.ts";
import { csvLine } from "./csv.ts";
import type { Color, Paint } from "./paint.ts";
import { sanitize, sanitizeJson, sanitizeLine } from "./sanitize.ts";
import type { Column } from "./table.ts";
import { formatAgo } from "./time.ts";

export type Format = "table" | "json" | "jsonl" | "yaml" | "csv" | "id";

/** Whether a format can say everything that there is to say of an event. */
export function isStructured(format: Format): boolean {
  return format === "json" || format === "jsonl" || format === "yaml";
}

/** A row as JSON has it: what it does not know is null. */
type Shown<Row> = {
  [Field in keyof Row]-?: undefined extends Row[Field] ? Exclude<Row[Field], undefined> | null : Row[Field];
};

/** The shapes that rows of this kind have. */
type ShapeOf<Row> = {
  [Name in ShapeName]: Shown<Row> extends z.output<Shapes[Name]> ? Name : never;
}[ShapeName];

/** How rows of one kind are shown. */
export interface View<Row extends object> {
  /** What its fields are: the shape that a JSON Schema is made from. */
  readonly shape: ShapeOf<Row>;
  /** The fields of the machine formats, in their order. */
  readonly fields: readonly (keyof Row & string)[];
  readonly id: (row: Row) => string;
  /**
   * The table's columns; `when` writes a time the way the user asked for, `now` is what ages are counted from. Absent: a column for each
   * field.
   */
  readonly columns?: (when: When, now: () => Date) => readonly Column<Row>[];
  /** What one row alone looks like; absent: its columns, one a line. */
  readonly details?: (row: Row, when: When, now: () => Date) => readonly Detail[];
}

/** What a command prints for programs to read: rows of views, or events. Help says so, and which fields there are. */
export type Prints = readonly {
  /** With which options, or in which case; absent: as a rule. */
  readonly when?: string;
  readonly view?: { readonly shape: ShapeName; readonly fields: readonly string[] };
  readonly events?: "watch-event" | "job-event";
}[];

export interface Detail {
  readonly label: string;
  readonly value: string;
  readonly color?: Color | undefined;
  /** In a header: not cut where it is longer than the terminal is wide. */
  readonly wraps?: true;
}

export type When = (instant: Date | null) => string;

export interface RowsOptions {
  readonly format: Format;
  /** Names of the fields to show, as the user wrote them. */
  readonly fields: readonly string[] | undefined;
  /** Exact times instead of relative ones. */
  readonly exact: boolean;
  readonly paint: Paint;
  /** The terminal's columns; `undefined` where there is none to fit. */
  readonly width: () => number | undefined;
  /** Writes a YAML document; there where the format is YAML. */
  readonly yaml: ((value: unknown) => string) | undefined;
  /** By the clock that the rows' times are of. */
  readonly now: () => Date;
  /** Whether CSV begins with a byte order mark. */
  readonly bom: boolean;
}

/** Without it Excel takes CSV for the old code page of the system. */
const BYTE_ORDER_MARK = "\ufeff";

/** Writes rows as text. All of it is sanitized, whether a terminal or a file gets it. */
export class Rows {
  readonly #options: RowsOptions;
  readonly #when: When;

  constructor(options: RowsOptions) {
    this.#options = options;
    this.#when = (instant) => {
      if (!instant) return "-";
      return options.exact ? instant.toISOString() : formatAgo(instant, options.now());
    };
  }

  /**
   * The fields that were asked for, or all.
   *
   * @throws CliError `usage`
   */
  fieldsOf<Row extends object>(view: View<Row>): (keyof Row & string)[] {
    const asked = this.#options.fields;
    if (!asked) return [...view.fields];
    return asked.map((name) => {
      const field = view.fields.find((known) => known === name);
      if (field) return field;
      throw new CliError("usage", `unknown field "${name}"`, { hint: `valid fields: ${view.fields.join(", ")}` });
    });
  }

  /** A value that stands for itself, such as one event of a stream: JSON, without an indent in one line, or a YAML document. */
  document(value: unknown, indent?: number): string {
    return this.#options.yaml?.(value) ?? json(value, indent);
  }

  /** A table, a JSON array, JSON lines, a YAML document, CSV with a header line, or IDs. */
  async list<Row extends object>(rows: readonly Row[], view: View<Row>): Promise<string> {
    const fields = this.fieldsOf(view);
    const { format, paint, width } = this.#options;
    switch (format) {
      case "json":
        return json(
          rows.map((row) => pick(row, fields)),
          2,
        );
      case "jsonl":
        return rows.map((row) => json(pick(row, fields))).join("");
      case "yaml":
        return this.document(rows.map((row) => pick(row, fields)));
      case "csv":
        return (
          (this.#options.bom ? BYTE_ORDER_MARK : "") +
          [fields, ...rows.map((row) => fields.map((field) => row[field]))]
            .map((cells) => `${csvLine(cells)}\n`)
            .join("")
        );
      case "id":
        return rows.map((row) => `${sanitizeLine(view.id(row))}\n`).join("");
      case "table": {
        const { renderTable } = await import("./table.ts");
        return `${await renderTable(rows, this.#columns(view), paint, width())}\n`;
      }
    }
  }

  /** One row alone. */
  async item<Row extends object>(row: Row, view: View<Row>): Promise<string> {
    const { format, fields, paint } = this.#options;
    if (format === "json") return json(pick(row, this.fieldsOf(view)), 2);
    if (format === "yaml") return this.document(pick(row, this.fieldsOf(view)));
    if (format !== "table") return this.list([row], view);
    const details = fields ? undefined : view.details?.(row, this.#when, this.#options.now);
    return detailLines(details ?? this.#columns(view).map(asDetail(row)), paint);
  }

  #columns<Row extends object>(view: View<Row>): readonly Column<Row>[] {
    if (view.columns && !this.#options.fields) return view.columns(this.#when, this.#options.now);
    return fieldColumns<Row>(this.fieldsOf(view), this.#when);
  }
}

/** Labelled values, one below the other. */
export function detailLines(details: readonly Detail[], paint: Paint): string {
  const width = Math.max(...details.map(({ label }) => label.length));
  return details
    .map(({ label, value, color }) => {
      const text = sanitize(value).replaceAll("\n", `\n${" ".repeat(width + 2)}`);
      return `${paint("dim", label.padEnd(width))}  ${color ? paint(color, text) : text}\n`;
    })
    .join("");
}

/** A value as JSON and a line end. */
function json(value: unknown, indent?: number): string {
  return `${sanitizeJson(JSON.stringify(value ?? null, null, indent))}\n`;
}

function asDetail<Row>(row: Row) {
  return (column: Column<Row>): Detail => ({
    label: column.header.toLowerCase(),
    value: column.value(row),
    color: column.color?.(row),
  });
}

function fieldColumns<Row extends object>(fields: readonly (keyof Row & string)[], when: When): Column<Row>[] {
  return fields.map((field, rank) => ({
    header: field.replaceAll(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase(),
    rank,
    value: (row) => fieldText(row[field], when),
  }));
}

function fieldText(value: unknown, when: When): string {
  if (value === null || value === undefined) return "-";
  if (value instanceof Date) return when(value);
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

function pick<Row extends object>(row: Row, fields: readonly (keyof Row & string)[]): object {
  return Object.fromEntries(fields.map((field) => [field, row[field] ?? null]));
}
