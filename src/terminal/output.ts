import { CliError } from "../errors.ts";
import { csvLine } from "./csv.ts";
import type { Host } from "./host.ts";
import type { FrameSize, Live } from "./live.ts";
import { Progress } from "./progress.ts";
import { withFlags } from "./commands.ts";
import { createPaint, wantsColor, type Color, type ColorChoice, type Paint } from "./paint.ts";
import { sanitize, sanitizeJson, sanitizeLine, SanitizingStream } from "./sanitize.ts";
import { renderTable, type Column } from "./table.ts";
import { formatAgo } from "./time.ts";

export type Format = "table" | "json" | "jsonl" | "csv" | "id";

export interface OutputOptions {
  readonly format: Format;
  readonly quiet: boolean;
  /** Names of the fields to show, as the user wrote them. */
  readonly fields: readonly string[] | undefined;
  readonly color: ColorChoice;
  /** Exact times instead of relative ones. */
  readonly utc: boolean;
  /** The flags that named the platform: commands that the user is told to type get them too. */
  readonly platformFlags: readonly string[];
}

/** How records of one kind are shown. */
export interface View<Row extends object> {
  /** The fields of the machine formats, in their order. */
  readonly fields: readonly (keyof Row & string)[];
  readonly id: (row: Row) => string;
  /** The table's columns; `when` writes a time the way the user asked for. Absent: a column for each field. */
  readonly columns?: (when: When) => readonly Column<Row>[];
  /** What one record alone looks like; absent: its columns, one a line. */
  readonly details?: (row: Row, when: When) => readonly Detail[];
}

export interface Detail {
  readonly label: string;
  readonly value: string;
  readonly color?: Color | undefined;
}

/** The platform that a command is about, as far as it changes what a person is shown. */
export interface Place {
  readonly profile: string;
  readonly origin: string;
  readonly production: boolean;
}

export type When = (instant: Date | null) => string;

/**
 * The only way to the user's screen: records go to standard output in the format that was asked for, everything else to
 * standard error. All text is sanitized here.
 */
export class Output {
  readonly format: Format;
  readonly quiet: boolean;
  readonly color: ColorChoice;
  /** Whether the user asked for certain fields. */
  readonly hasFields: boolean;
  /** Static lines instead of redrawing. */
  readonly accessible: boolean;
  readonly #host: Host;
  readonly #options: OutputOptions;
  readonly #paint: { stdout: Paint; stderr: Paint };
  readonly #colored: boolean;
  #announced = false;
  #progress: Progress | undefined;
  #live: Live | undefined;

  private constructor(host: Host, options: OutputOptions, paint: { stdout: Paint; stderr: Paint }, colored: boolean) {
    this.#host = host;
    this.#options = options;
    this.#paint = paint;
    this.#colored = colored;
    this.quiet = options.quiet;
    this.color = options.color;
    this.hasFields = options.fields !== undefined;
    this.accessible = host.env.KILOCLAW_ADMIN_ACCESSIBLE === "1";
    this.format = options.quiet ? "id" : options.format;
  }

  static async create(host: Host, options: OutputOptions): Promise<Output> {
    const colored = wantsColor(host.stdout, host.env, options.color);
    const [stdout, stderr] = await Promise.all([
      createPaint(colored),
      createPaint(wantsColor(host.stderr, host.env, options.color)),
    ]);
    return new Output(host, options, { stdout, stderr }, colored);
  }

  /**
   * Checks the fields that were asked for, for commands that change something before they show it.
   *
   * @throws CliError `usage`
   */
  expect<Row extends object>(view: View<Row>): void {
    this.#fields(view);
  }

  /** Shows records: a table, a JSON array, JSON lines, CSV with a header line, or IDs. */
  async list<Row extends object>(rows: readonly Row[], view: View<Row>, empty: string): Promise<void> {
    const fields = this.#fields(view);
    switch (this.format) {
      case "json":
        return this.#data(
          json(
            rows.map((row) => pick(row, fields)),
            2,
          ),
        );
      case "jsonl":
        return this.#data(rows.map((row) => json(pick(row, fields))).join(""));
      case "csv":
        return this.#csv(
          [csvLine(fields), ...rows.map((row) => csvLine(fields.map((field) => row[field])))].join("\n") + "\n",
        );
      case "id":
        return this.#data(rows.map((row) => `${sanitizeLine(view.id(row))}\n`).join(""));
      case "table": {
        if (rows.length === 0) return this.note(empty);
        const columns = this.#columns(view);
        // A terminal that does not know its width says 0.
        const width = this.#host.stdout.isTTY ? this.#host.stdout.columns || undefined : undefined;
        this.#data(`${await renderTable(rows, columns, this.#paint.stdout, width)}\n`);
      }
    }
  }

  /** Shows one record. */
  async item<Row extends object>(row: Row, view: View<Row>): Promise<void> {
    if (this.format === "json") {
      return this.#data(json(pick(row, this.#fields(view)), 2));
    }
    if (this.format !== "table") return this.list([row], view, "");
    const details = this.#options.fields ? undefined : view.details?.(row, this.#when);
    const lines = details ?? this.#columns(view).map(asDetail(row));
    this.#data(this.#detailLines(lines, this.#paint.stdout));
  }

  /** A text with its commands as they have to be typed here, see {@link withFlags}. What goes to standard error has them so. */
  typed(text: string): string {
    return withFlags(text, this.#options.platformFlags);
  }

  /** Writes one event of a stream as a JSON line, whatever machine format was asked for. */
  event(event: object): void {
    this.#data(json(event));
  }

  /** Writes a bare value, such as an ID or a path, as a line of standard output. */
  line(text: string): void {
    this.#data(`${sanitize(text)}\n`);
  }

  /**
   * A line of standard output behind a coloured mark: a label, padded to where the text begins, and the text, which is folded
   * at the terminal's width. `below` are further lines, which are not: commands to be copied.
   */
  marked(color: Color, mark: string, label: string, text: string, below: readonly string[]): void {
    const head = `  ${this.#paint.stdout(color, mark)} ${sanitizeLine(label)}`;
    const indent = " ".repeat(4 + label.length);
    const columns = this.#host.stdout.isTTY ? this.#host.stdout.columns || Infinity : Infinity;
    const lines = fold(sanitizeLine(text), Math.max(20, columns - indent.length));
    this.#data(`${head}${[...lines, ...below.map((line) => sanitizeLine(this.typed(line)))].join(`\n${indent}`)}\n`);
  }

  /** A stream for text from the customer's machine. Its colours survive where the terminal takes colour. */
  untrusted(): { write(text: string): void; end(): void } {
    const stream = new SanitizingStream({ colors: this.#colored });
    let lineOpen = false;
    const write = (text: string) => {
      if (text === "") return;
      lineOpen = !text.endsWith("\n");
      this.#data(text);
    };
    return {
      write: (text) => write(stream.push(text)),
      end: () => {
        write(stream.end());
        if (lineOpen) this.#data("\n");
        if (this.#colored) this.#data("\u001b[0m");
      },
    };
  }

  /** Shows a whole text from the customer's machine: in the user's pager where it is longer than the terminal, unless not `paged`. */
  async page(text: string, { paged = true } = {}): Promise<void> {
    const { pagerOf, isLongerThanScreen, page } = await import("./pager.ts");
    const pager = !paged || this.quiet || this.accessible ? undefined : pagerOf(this.#host);
    if (pager !== undefined) {
      const safe = sanitize(text, { colors: this.#colored });
      const end = this.#colored ? "\u001b[0m" : "";
      if (isLongerThanScreen(safe, this.#host.stdout) && (await page(this.#host, pager, safe + end))) return;
    }
    const stream = this.untrusted();
    stream.write(text);
    stream.end();
  }

  /** Writes text to standard output byte for byte. For files and pipes: the caller refuses a terminal. */
  raw(text: string): void {
    this.#data(text);
  }

  /** What a confirmation or a question about this place begins with; empty where it is not production. */
  mark({ origin, production }: Place): string {
    return production ? `${this.#paint.stderr("alarm", `PRODUCTION ${hostOf(origin)}`)} ` : "";
  }

  /**
   * Says once, above all else, that what follows is production. To a person who looks at a terminal only: machine formats
   * and `--quiet` stay as they are.
   */
  announce(place: Place): void {
    const { stdout, stderr } = this.#host;
    if (this.#announced || !place.production || this.format !== "table" || !stdout.isTTY || !stderr.isTTY) return;
    this.#announced = true;
    this.#message(`${this.mark(place)}profile "${sanitizeLine(place.profile)}"`);
  }

  /** Tells the user something, on standard error. Left out when quiet. */
  note(text: string): void {
    if (!this.quiet) this.#message(sanitize(text));
  }

  /** Marks something as done, on standard error. Left out when quiet. */
  success(text: string): void {
    if (!this.quiet) this.#message(`${this.#paint.stderr("green", "✓")} ${sanitize(text)}`);
  }

  /** Warns on standard error, also when quiet. */
  warn(text: string): void {
    this.#message(`${this.#paint.stderr("yellow", "warning:")} ${sanitize(text)}`);
  }

  /** A line of another program's on standard error, also when quiet. `who` says whose it is. */
  relayed(who: string, line: string): void {
    this.#stderr(`${this.#paint.stderr("dim", sanitizeLine(who))} ${sanitizeLine(line)}\n`);
  }

  /**
   * A block of labelled values on standard error: what is about to happen, or what is in the way. Left out when quiet,
   * unless the user cannot go on without it.
   */
  notes(details: readonly Detail[], { needed = false } = {}): void {
    if (needed || !this.quiet) this.#message(this.#detailLines(details, this.#paint.stderr).trimEnd());
  }

  /** One line with a coloured head, on standard error. Left out when quiet. */
  headline(color: Color, head: string, rest: string): void {
    if (!this.quiet) this.#message(`${this.#paint.stderr(color, sanitizeLine(head))} ${sanitizeLine(rest)}`);
  }

  /**
   * Says at the bottom of the terminal what is going on, until the returned handle is stopped. Shown only to a person who
   * sees a terminal that can redraw.
   */
  async busy(text: string): Promise<{ show(text: string): void; stop(): void }> {
    const { stderr, env } = this.#host;
    const redraws =
      (stderr.columns ?? 0) > 0 && stderr.isTTY === true && env.TERM !== "dumb" && !this.accessible && !this.quiet;
    this.#progress ??= await Progress.create(this.#host, redraws);
    this.#progress.show(text);
    return this.#progress;
  }

  /**
   * A table at the bottom of the terminal that follows its rows, until the returned handle is ended, which takes it away.
   * `undefined` where nothing can be redrawn. `foot` is the line below it; `rest` stands for the rows there is no room for.
   */
  async live<Row>(
    columns: readonly Column<Row>[],
    frame: () => {
      readonly rows: readonly Row[];
      readonly foot: string;
      readonly rest: (left: readonly Row[]) => string;
    },
  ): Promise<{ refresh(): void; end(): Promise<void> } | undefined> {
    const { stdout, env } = this.#host;
    if (!stdout.isTTY || !stdout.columns || env.TERM === "dumb" || this.accessible || this.format !== "table") return;
    const [{ Live }, { default: stringWidth }] = await Promise.all([import("./live.ts"), import("string-width")]);
    const cut = (text: string, width: number) => {
      let line = sanitizeLine(text);
      while (stringWidth(line) > width) line = line.slice(0, -1);
      return line;
    };
    const draw = async (size: FrameSize) => {
      const { rows, foot, rest } = frame();
      // Its head, what stands for the rest, the foot, and one more so that nothing scrolls.
      const room = Math.max(1, size.rows - 3);
      const shown = rows.slice(0, rows.length > room ? Math.max(1, room - 1) : room);
      const left = rows.slice(shown.length);
      const table = await renderTable(shown, columns, this.#paint.stdout, size.columns - 1);
      const below = [...(left.length > 0 ? [rest(left)] : []), foot];
      return [table, ...below.map((line) => cut(line, size.columns - 1))].join("\n");
    };
    const live = await Live.create(stdout, draw);
    const over = new AbortController();
    this.#host.onResize(() => live.refresh(), over.signal);
    this.#live = live;
    live.refresh();
    return {
      refresh: () => live.refresh(),
      end: async () => {
        over.abort();
        await live.end();
        this.#live = undefined;
      },
    };
  }

  /** Lets something else have the terminal's last line for a while. */
  async aside<T>(work: () => Promise<T>): Promise<T> {
    return this.#progress ? this.#progress.aside(work) : work();
  }

  readonly #when: When = (instant) => {
    if (!instant) return "-";
    return this.#options.utc || !this.#host.stdout.isTTY ? instant.toISOString() : formatAgo(instant, new Date());
  };

  #detailLines(details: readonly Detail[], paint: Paint): string {
    const width = Math.max(...details.map(({ label }) => label.length));
    return details
      .map(({ label, value, color }) => {
        const text = sanitize(value).replaceAll("\n", `\n${" ".repeat(width + 2)}`);
        return `${paint("dim", label.padEnd(width))}  ${color ? paint(color, text) : text}\n`;
      })
      .join("");
  }

  #columns<Row extends object>(view: View<Row>): readonly Column<Row>[] {
    if (view.columns && !this.#options.fields) return view.columns(this.#when);
    return fieldColumns<Row>(this.#fields(view), this.#when);
  }

  #fields<Row extends object>(view: View<Row>): (keyof Row & string)[] {
    const asked = this.#options.fields;
    if (!asked) return [...view.fields];
    return asked.map((name) => {
      const field = view.fields.find((known) => known === name);
      if (field) return field;
      throw new CliError("usage", `unknown field "${name}"`, { hint: `valid fields: ${view.fields.join(", ")}` });
    });
  }

  /** CSV cannot escape control characters: a file gets them as they are, a terminal never. */
  #csv(text: string): void {
    this.#data(this.#host.stdout.isTTY ? sanitize(text) : text);
  }

  #data(text: string): void {
    this.#write(text, () => this.#host.stdout.write(text));
  }

  #message(text: string): void {
    this.#stderr(`${this.typed(text)}\n`);
  }

  #stderr(text: string): void {
    this.#write(text, () => this.#host.stderr.write(text));
  }

  #write(text: string, write: () => void): void {
    if (this.#live) this.#live.around(write);
    else if (this.#progress) this.#progress.around(text, write);
    else write();
  }
}

/** What a person knows a platform by: its host name, and the port where there is one. */
export function hostOf(origin: string): string {
  return sanitizeLine(new URL(origin).host);
}

/** A text in lines of at most so many characters, where its words allow it. */
function fold(text: string, width: number): string[] {
  const lines = [""];
  for (const word of text.split(" ")) {
    const last = lines.at(-1) ?? "";
    if (last !== "" && last.length + 1 + word.length > width) lines.push(word);
    else lines[lines.length - 1] = last === "" ? word : `${last} ${word}`;
  }
  return lines;
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

function json(value: object, indent?: number): string {
  return `${sanitizeJson(JSON.stringify(value, null, indent))}\n`;
}

function pick<Row extends object>(row: Row, fields: readonly (keyof Row & string)[]): object {
  return Object.fromEntries(fields.map((field) => [field, row[field] ?? null]));
}
