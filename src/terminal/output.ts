import { setImmediate } from "node:timers/promises";
import { isOn } from "../environment.ts";
import { CliError } from "../errors.ts";
import { type OptionsToType, type Said } from "../typed-command.ts";
import { fold } from "./fold.ts";
import type { Host } from "./host.ts";
import type { Jq } from "./jq.ts";
import type { Key } from "./keyboard.ts";
import type { TableFrame } from "./live-table.ts";
import { createPaint, wantsColor, type Color, type ColorChoice, type Paint } from "./paint.ts";
import { detailLines, Rows, type Detail, type Format, type View } from "./rows.ts";
import { sanitize, sanitizeLine, SanitizingStream } from "./sanitize.ts";
import { Screen, type Busy, type Picture } from "./screen.ts";
import type { Column } from "./table.ts";

export interface OutputOptions {
  readonly format: Format;
  readonly quiet: boolean;
  /** Names of the fields to show, as the user wrote them. */
  readonly fields: readonly string[] | undefined;
  /** An expression for jq that the JSON goes through. */
  readonly jq?: string | undefined;
  readonly color: ColorChoice;
  /** Exact times instead of relative ones. */
  readonly utc: boolean;
  /** CSV begins with a byte order mark. */
  readonly bom?: boolean;
  /** The flags that named the platform: commands that the user is told to type get them too. */
  readonly platformFlags: OptionsToType;
}

/** What the output is made with. */
interface Loaded {
  readonly paint: { readonly stdout: Paint; readonly stderr: Paint };
  readonly colored: boolean;
  readonly jq: Jq | undefined;
  readonly yaml: ((value: unknown) => string) | undefined;
}

const MAX_QUOTED_LINES = 30;

/** The platform that a command is about, as far as it changes what a person is shown. */
export interface ShownPlatform {
  readonly profile: string;
  readonly origin: string;
  readonly production: boolean;
}

/**
 * The only way to the user's screen: rows go to standard output in the format that was asked for, everything else to
 * standard error. All text is sanitized here, and what the user is told is one line: with a line break in a customer's address
 * another one, and a command to paste in it, could be made up.
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
  readonly #platformFlags: OptionsToType;
  readonly #rows: Rows;
  readonly #paint: { stdout: Paint; stderr: Paint };
  readonly #colored: boolean;
  readonly #screen: Screen;
  readonly #jq: Jq | undefined;
  #documents = 0;
  readonly #jqProblems = new Set<string>();
  /** Everything so far has gone through `--jq`. Never rejects. */
  #filtered: Promise<void> = Promise.resolve();
  #clock: () => Date | undefined = () => undefined;
  #announced = false;

  private constructor(host: Host, options: OutputOptions, { paint, colored, jq, yaml }: Loaded) {
    this.#host = host;
    this.#jq = jq;
    this.#platformFlags = options.platformFlags;
    this.#paint = paint;
    this.#colored = colored;
    this.quiet = options.quiet;
    this.color = options.color;
    this.hasFields = options.fields !== undefined;
    this.accessible = isOn(host.env.KILOCLAW_ADMIN_ACCESSIBLE);
    this.format = options.quiet ? "id" : options.format;
    this.#screen = new Screen(host, { quiet: this.quiet, accessible: this.accessible });
    const tty = host.stdout.isTTY === true;
    this.#rows = new Rows({
      format: this.format,
      fields: options.fields,
      exact: options.utc || !tty,
      bom: options.bom ?? false,
      paint: paint.stdout,
      yaml,
      now: () => this.now(),
      // A terminal that does not know its width says 0.
      width: () => (tty ? host.stdout.columns || undefined : undefined),
    });
  }

  /**
   * @throws CliError `usage` when `jq` is no expression: before anything is sent.
   */
  static async create(host: Host, options: OutputOptions): Promise<Output> {
    const colored = wantsColor(host.stdout, host.env, options.color);
    const [stdout, stderr] = await Promise.all([
      createPaint(colored),
      createPaint(wantsColor(host.stderr, host.env, options.color)),
    ]);
    const jq =
      options.jq === undefined
        ? undefined
        : await (await import("./jq.ts")).Jq.compile(host, options.jq, host.stdout.isTTY ? 2 : undefined);
    const yaml = options.format === "yaml" && !options.quiet ? (await import("./yaml.ts")).yaml : undefined;
    return new Output(host, options, { paint: { stdout, stderr }, colored, jq, yaml });
  }

  /** Whether something that was to be printed is missing: `--jq` could not be applied to it. */
  get incomplete(): boolean {
    return this.#jqProblems.size > 0;
  }

  /**
   * Checks the fields that were asked for, for commands that change something before they show it.
   *
   * @throws CliError `usage`
   */
  expect<Row extends object>(view: View<Row>): void {
    this.#rows.fieldsOf(view);
  }

  /**
   * Loads what lists and headers are made with: for commands that show them late, or after they have sent something, when an
   * upgrade may have replaced the files.
   */
  async prepare(): Promise<void> {
    if (this.format === "table") await (await import("./table.ts")).tables();
  }

  /** Shows rows: a table, a JSON array, JSON lines, YAML, CSV with a header line, or IDs. */
  async list<Row extends object>(rows: readonly Row[], view: View<Row>, empty: string): Promise<void> {
    const text = await this.#rows.list(rows, view);
    if (this.format === "table" && rows.length === 0) this.note(empty);
    else await this.#document(text);
  }

  /** Shows one row. */
  async item<Row extends object>(row: Row, view: View<Row>): Promise<void> {
    await this.#document(await this.#rows.item(row, view));
  }

  /** From here on, ages are counted by `clock`, as far as it knows what time it is: rows of the platform have its times. */
  countAgesBy(clock: () => Date | undefined): void {
    this.#clock = clock;
  }

  /** What time it is where the rows come from. */
  readonly now = (): Date => this.#clock() ?? new Date();

  /** A text with its commands as they have to be typed here. */
  typed(said: Said): string {
    return typeof said === "string" ? said : said.typed(this.#platformFlags);
  }

  /**
   * Checks that {@link document} can be written, for commands that change something before.
   *
   * @throws CliError `usage`
   */
  expectDocument(): void {
    const { format } = this;
    if (this.hasFields || format === "csv" || format === "id") {
      const given = this.hasFields ? "--fields" : format === "csv" ? "-o csv" : "-q and -o id";
      throw new CliError("usage", `this prints JSON of any shape, which has no form for ${given}`, {
        hint: "pick what you need with --jq",
      });
    }
  }

  /** Writes a JSON value of any shape: as JSON where people look, too. */
  document(value: unknown): void {
    void this.#document(this.#rows.document(value, this.format === "jsonl" ? undefined : 2));
  }

  /** Writes one event of a stream: as a YAML document where that was asked for, else as a line of JSON. */
  event(event: object): void {
    void this.#document(this.#rows.document(event));
  }

  /** Writes a bare value, such as an ID or a path, as a line of standard output. */
  line(text: string): void {
    if (this.#jq) void this.#document(JSON.stringify(text));
    else this.#data(`${sanitize(text)}\n`);
  }

  /**
   * Repeats the ID of a run that was started, and was just written to standard output, on standard error where standard output
   * cannot be written.
   */
  async ensureKnown(runId: string): Promise<void> {
    await this.#filtered;
    // A stream says only afterwards that it could not be written.
    await setImmediate();
    if (this.#host.closed.aborted) this.warn(`standard output is closed; the run: ${runId}`);
    if (this.incomplete) this.warn(`the run: ${runId}`);
  }

  /**
   * A line of standard output behind a coloured mark: a label, padded to where the text begins, and the text, which is folded
   * at the terminal's width. `below` are further lines, which are not: commands to be copied.
   */
  marked([color, mark]: readonly [Color, string], label: string, text: string, below: readonly Said[]): void {
    const head = `  ${this.#paint.stdout(color, mark)} ${sanitizeLine(label)}`;
    const indent = " ".repeat(4 + label.length);
    const columns = this.#host.stdout.isTTY ? this.#host.stdout.columns || Infinity : Infinity;
    const lines = fold(sanitizeLine(text), Math.max(20, columns - indent.length));
    this.#data(`${head}${[...lines, ...below.map((line) => sanitizeLine(this.typed(line)))].join(`\n${indent}`)}\n`);
  }

  /** A stream for text from the customer's machine. Its colours survive where the terminal takes colour, and are left out elsewhere. */
  untrusted(): { write(text: string): void; end(): void } {
    const stream = new SanitizingStream({ colors: this.#colored ? "keep" : "drop" });
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
      const safe = sanitize(text, { colors: this.#colored ? "keep" : "drop" });
      const end = this.#colored ? "\u001b[0m" : "";
      if (isLongerThanScreen(safe, this.#host.stdout) && (await page(this.#host, pager, safe + end))) return;
    }
    const stream = this.untrusted();
    stream.write(text);
    stream.end();
  }

  /** Writes text to standard output byte for byte. For files and pipes: the caller refuses a terminal. */
  raw(text: string): void {
    if (this.#jq) throw new CliError("usage", "this is printed as it stands, and is no JSON that --jq could filter");
    this.#data(text);
  }

  /** What a confirmation or a question about this platform begins with; empty where it is not production. */
  mark({ origin, production }: ShownPlatform): string {
    return production ? `${this.#paint.stderr("alarm", `PRODUCTION ${hostOf(origin)}`)} ` : "";
  }

  /**
   * Says once, above all else, that what follows is production. To a person who looks at a terminal only: machine formats
   * and `--quiet` stay as they are.
   */
  announce(platform: ShownPlatform): void {
    const { stdout, stderr } = this.#host;
    if (this.#announced || !platform.production || this.format !== "table" || !stdout.isTTY || !stderr.isTTY) return;
    this.#announced = true;
    this.#message(`${this.mark(platform)}profile "${sanitizeLine(platform.profile)}"`);
  }

  /** Tells the user something, on standard error. Left out when quiet. */
  note(text: Said): void {
    if (!this.quiet) this.#message(sanitizeLine(this.typed(text)));
  }

  /** Shows a text as it was written, set apart from what the tool says; of a very long one, both ends. */
  quote(text: string): void {
    const lines = text.split("\n").map((line) => `  | ${sanitizeLine(line)}`);
    const left = lines.length - MAX_QUOTED_LINES;
    if (left > 0) lines.splice(MAX_QUOTED_LINES / 2, left, `  … ${left} more lines …`);
    this.#message(lines.join("\n"));
  }

  /** Marks something as done, on standard error. Left out when quiet. */
  success(text: Said): void {
    if (!this.quiet) this.#message(`${this.#paint.stderr("green", "✓")} ${sanitizeLine(this.typed(text))}`);
  }

  /** Warns on standard error, also when quiet. */
  warn(text: Said): void {
    this.#message(`${this.#paint.stderr("yellow", "warning:")} ${sanitizeLine(this.typed(text))}`);
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
    if (needed || !this.quiet) this.#message(detailLines(details, this.#paint.stderr).trimEnd());
  }

  /** As {@link notes}, each value on one line: where it is longer than the terminal is wide, it is cut, unless it `wraps`. */
  async header(details: readonly Detail[], { needed = false } = {}): Promise<void> {
    const { cutTo } = await import("./width.ts");
    const { isTTY, columns } = this.#host.stderr;
    const label = Math.max(...details.map((detail) => detail.label.length)) + 2;
    const room = isTTY && columns && !this.accessible ? Math.max(1, columns - label - 1) : Infinity;
    const line = ({ value, wraps }: Detail) => cutTo(sanitizeLine(value), wraps ? Infinity : room);
    this.notes(
      details.map((detail) => ({ ...detail, value: line(detail) })),
      { needed },
    );
  }

  /** One line with a coloured head, on standard error. Left out when quiet. */
  headline(color: Color, head: string, rest: Said): void {
    if (!this.quiet)
      this.#message(`${this.#paint.stderr(color, sanitizeLine(head))} ${sanitizeLine(this.typed(rest))}`);
  }

  /**
   * Says at the bottom of the terminal what is going on, until the returned handle is stopped. Shown only to a person who
   * sees a terminal that can redraw.
   */
  busy(text: string): Promise<Busy> {
    return this.#screen.busy(text);
  }

  /** Says there what is waited for meanwhile; `undefined`: nothing any more. */
  wait(text: string | undefined): void {
    this.#screen.wait(text);
  }

  /**
   * A table that has the terminal to itself and follows its rows, until the returned handle is ended. `undefined` where nothing
   * can be redrawn.
   *
   * @param pressed told of each key; without it, keys are not read.
   */
  async live<Row>(
    columns: readonly Column<Row>[],
    frame: () => TableFrame<Row>,
    pressed?: (key: Key) => void,
  ): Promise<Picture | undefined> {
    if (this.format !== "table") return undefined;
    const drawer = async () => (await import("./live-table.ts")).tableDrawer(columns, this.#paint.stdout, frame);
    return this.#screen.live(drawer, pressed);
  }

  /** Tells `pressed` of each key while `work` goes on, but for those that a question asks for meanwhile. */
  keys<T>(pressed: (key: Key) => void, work: () => Promise<T>): Promise<T> {
    return this.#screen.keys(pressed, work);
  }

  /**
   * Puts a text into the clipboard of the terminal, also of one that is far away, where it takes that from programs (OSC 52). It does
   * not say whether it has.
   */
  copy(text: string): void {
    this.#host.stdout.write(`\u001b]52;c;${Buffer.from(sanitizeLine(text)).toString("base64")}\u0007`);
  }

  /** Lets something else have the terminal for a while. */
  aside<T>(work: () => Promise<T>): Promise<T> {
    return this.#screen.aside(work);
  }

  /** Waits until all that was to be printed has gone through `--jq`. From then on nothing more does. */
  async close(): Promise<void> {
    await this.#filtered;
    await this.#jq?.close();
  }

  /** Writes what is JSON where that was asked for, through `--jq` where there is one: one after the other, in their order. */
  #document(text: string): Promise<void> {
    // Several YAML documents stand apart.
    if (this.format === "yaml" && this.#documents++ > 0) this.#data("---\n");
    const jq = this.#jq;
    if (jq) this.#filtered = this.#filtered.then(() => this.#filter(jq, text));
    else this.#data(text);
    return this.#filtered;
  }

  async #filter(jq: Jq, text: string): Promise<void> {
    const { text: filtered, problem } = await jq.apply(text);
    this.#data(filtered);
    // Of a stream of events, each may have it.
    if (problem === undefined || this.#jqProblems.has(problem)) return;
    this.#jqProblems.add(problem);
    this.#message(`${this.#paint.stderr("red", "error:")} --jq: ${sanitizeLine(problem)}`);
  }

  #data(text: string): void {
    this.#screen.write(text, this.#host.stdout);
  }

  #message(text: string): void {
    this.#stderr(`${text}\n`);
  }

  #stderr(text: string): void {
    this.#screen.write(text, this.#host.stderr);
  }
}

/** What a person knows a platform by: its host name, and the port where there is one. */
export function hostOf(origin: string): string {
  return sanitizeLine(new URL(origin).host);
}
