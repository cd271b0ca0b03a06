/** The forms in which an input names its users, and the entries in it. */
import type { CsvError } from "csv-parse/sync";
import { messageOf } from "../../errors.ts";
import type { Value } from "./columns.ts";
import { quoted } from "./problems.ts";

export const USERS_FORMATS = ["lines", "csv", "json", "jsonl"] as const;
export type UsersFormat = (typeof USERS_FORMATS)[number];

export interface RawEntry {
  /** From 1; `null` in a form that does not go by lines. */
  readonly line: number | null;
  /** Where it is, in words. */
  readonly where: string;
  readonly values: Readonly<Record<string, Value>>;
}

interface Reader {
  readonly take: (entry: RawEntry) => void;
  /** Gets the columns' names before the first entry, in a form that has a header; throws if they will not do. */
  readonly headOf: (names: readonly string[], where: string) => void;
  /** Whether a header line of these cells would do. */
  readonly isHead: (cells: readonly string[]) => boolean;
  /** Gets what is no entry. */
  readonly reject: (where: string, what: string) => void;
}

/** Reads the entries of a text, one after the other. */
export async function readEntries(text: string, format: UsersFormat, reader: Reader): Promise<void> {
  switch (format) {
    case "lines":
      return eachLine(text, (line, content) => {
        if (!content.startsWith("#")) reader.take({ line, where: `line ${line}`, values: { user: bare(content) } });
      });
    case "jsonl":
      return eachLine(text, (line, content) => takeObject(reader, line, `line ${line}`, parsed(content)));
    case "json":
      return readJson(text, reader);
    case "csv":
      return readCsv(text, reader);
  }
}

/** What a cell of a list is separated from the next one with. */
const DELIMITERS = [",", ";", "\t"] as const;

/** Spreadsheets write it above the header line. */
const SEPARATOR_LINE = /^\s*sep=([,;\t])[ \t]*(?=\r|\n|$)/i;

/** How a text's cells are separated, if it is one with a header line that will do; with the most cells where several are possible. */
export function delimiterOf(text: string, isHead: Reader["isHead"]): string | undefined {
  const [, separator] = SEPARATOR_LINE.exec(text) ?? [];
  if (separator !== undefined) return separator;
  const line = firstLine(text);
  return DELIMITERS.map((delimiter) => ({ delimiter, cells: headCells(line, delimiter) }))
    .filter(({ cells }) => isHead(cells))
    .toSorted((a, b) => b.cells.length - a.cells.length)[0]?.delimiter;
}

/** The same of a header line that will not do. */
function likelyDelimiter(text: string): string {
  const line = firstLine(text);
  const [most] = DELIMITERS.toSorted((a, b) => line.split(b).length - line.split(a).length);
  return most ?? ",";
}

/** Whether there is a blank between a delimiter and a quotation mark, as some programs write it. */
function isSpaced(text: string, delimiter: string): boolean {
  return firstLine(text).includes(`${delimiter} "`);
}

function firstLine(text: string): string {
  return /\S.*/.exec(text)?.[0].trimEnd() ?? "";
}

function headCells(line: string, delimiter: string): string[] {
  return line.split(delimiter).map((cell) => cell.trim().replace(/^"(.*)"$/, "$1"));
}

const QUOTES: Readonly<Record<string, string>> = {
  '"': '"',
  "'": "'",
  "`": "`",
  "\u201c": "\u201d",
  "\u2018": "\u2019",
  "\u00ab": "\u00bb",
};

/** A name without what it may have kept of where it was copied from: quotation marks, commas after it, `Jane Doe <…>` around it. */
export function bare(text: string): string {
  const [, address] = /^[^<>]*<([^\s<>]+@[^\s<>]+)>$/.exec(text.trim()) ?? [];
  const cut = (address ?? text)
    .trim()
    .replace(/[,;]+$/, "")
    .trim();
  const close = QUOTES[cut[0] ?? ""];
  const inner = close !== undefined && cut.length > 1 && cut.endsWith(close) ? cut.slice(1, -1) : cut;
  return inner === text ? text : bare(inner);
}

export function withoutByteOrderMark(text: string): string {
  return text.startsWith("\ufeff") ? text.slice(1) : text;
}

/** Lines with something on them, without the white space around it. */
function eachLine(text: string, take: (line: number, content: string) => void): void {
  let line = 0;
  for (const raw of text.split(/\r\n|\r|\n/)) {
    line += 1;
    const content = raw.trim();
    if (content !== "") take(line, content);
  }
}

function readJson(text: string, reader: Reader): void {
  const all = parsed(text);
  if (!("value" in all)) return reader.reject("the whole text", all.problem);
  if (!Array.isArray(all.value)) return reader.reject("the whole text", "it is not a JSON array");
  all.value.forEach((value: unknown, index) => takeObject(reader, null, `item ${index + 1}`, { value }));
}

type Parsed = { readonly value: unknown } | { readonly problem: string };

function parsed(json: string): Parsed {
  try {
    return { value: JSON.parse(json) };
  } catch (error) {
    // The message repeats what it read, line ends and all.
    return { problem: `not JSON: ${messageOf(error).replaceAll(/\s+/g, " ").slice(0, 120)}` };
  }
}

function takeObject(reader: Reader, line: number | null, where: string, json: Parsed): void {
  if (!("value" in json)) return reader.reject(where, json.problem);
  const { value } = json;
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    return reader.reject(where, `${quoted(JSON.stringify(value))} is not a JSON object`);
  }
  const values = Object.entries(value).map(([name, part]: [string, unknown]) => [name, valueOf(part)]);
  reader.take({ line, where, values: Object.fromEntries(values) });
}

function valueOf(part: unknown): Value {
  if (typeof part === "string" || part === null) return part;
  return typeof part === "object" ? undefined : String(part);
}

/** CSV as RFC 4180 has it, with a header line. */
async function readCsv(text: string, reader: Reader): Promise<void> {
  const { parse } = await import("csv-parse/sync");
  const delimiter = delimiterOf(text, reader.isHead) ?? likelyDelimiter(text);
  // Its line stays: lines are counted.
  const bytes = Buffer.from(text.replace(SEPARATOR_LINE, ""));
  const lines = new LineCount(bytes);
  const shown = (line: number) => quoted(text.split(/\r\n|\r|\n/)[line - 1] ?? "");
  let head: string[] | undefined;
  const takeRow = (cells: string[], { bytes: end }: { readonly bytes: number }) => {
    const line = lines.ofEntryUpTo(end);
    if (cells.every((cell) => cell.trim() === "")) return null;
    const where = `line ${line}`;
    if (head === undefined) {
      head = cells.map((cell) => cell.trim());
      const names = head;
      const twice = names.find((name, at) => name !== "" && names.indexOf(name) !== at);
      if (twice !== undefined) throw new Unusable(where, `there are two columns "${twice}"`);
      reader.headOf(names, where);
    } else if (cells.length < head.length || cells.slice(head.length).some((cell) => cell.trim() !== "")) {
      reader.reject(
        where,
        `it has ${cells.length === 1 ? "1 cell" : `${cells.length} cells`}, and the header line has ${head.length}: ${shown(line)}`,
      );
    } else {
      const values = head.map((name, at) => [name, unguarded(cells[at] ?? "")]);
      reader.take({ line, where, values: Object.fromEntries(values) });
    }
    return null;
  };
  try {
    parse(bytes, {
      delimiter,
      ltrim: isSpaced(text, delimiter),
      relax_column_count: true,
      skip_empty_lines: true,
      on_record: takeRow,
    });
  } catch (error) {
    if (error instanceof Unusable) return reader.reject(error.where, error.message);
    if (!isCsvError(error)) throw error;
    const line = lines.ofEntryUpTo(bytes.length);
    const what = error.code === "CSV_QUOTE_NOT_CLOSED" ? "unclosed" : "misplaced";
    reader.reject(`line ${line}`, `${what} quotation mark; the rest of the file was not read: ${shown(line)}`);
  }
}

class Unusable extends Error {
  readonly where: string;

  constructor(where: string, message: string) {
    super(message);
    this.where = where;
  }
}

function isCsvError(error: unknown): error is CsvError {
  return error instanceof Error && "code" in error && String(error.code).match(/^(?:CSV|INVALID)_/) !== null;
}

/** Counts lines along with the parser, whose own count takes a CRLF in a cell for two. */
class LineCount {
  readonly #bytes: Buffer;
  #at = 0;
  #line = 1;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  /** The line on which the next entry begins. @param end where it ends. */
  ofEntryUpTo(end: number): number {
    let start: number | undefined;
    for (; this.#at < end; this.#at++) {
      const byte = this.#bytes[this.#at];
      const isBreak = byte === LF || (byte === CR && this.#bytes[this.#at + 1] !== LF);
      if (!isBreak && byte !== CR) start ??= this.#line;
      if (isBreak) this.#line += 1;
    }
    return start ?? this.#line;
  }
}

const LF = 0x0a;
const CR = 0x0d;

/** A cell without the `'` that our own CSV puts before what a spreadsheet would run as a formula. */
function unguarded(cell: string): string {
  return /^'[=+\-@\t\r]/.test(cell) ? cell.slice(1) : cell;
}
