import { extname } from "node:path";
import { isUuid } from "../../customers/find.ts";
import { CliError } from "../../errors.ts";
import type { Entry } from "../item.ts";
import { Columns } from "./columns.ts";
import { bare, delimiterOf, readEntries, withoutByteOrderMark, type UsersFormat, type RawEntry } from "./formats.ts";
import { Problems, quoted } from "./problems.ts";

export interface InputOptions {
  /** Absent: told by the name's ending, else by the text. */
  readonly format?: UsersFormat | undefined;
  readonly userColumn?: string | undefined;
  readonly instanceColumn?: string | undefined;
  /** The fields that are needed later; absent: all there are. */
  readonly fields?: readonly string[] | undefined;
}

export interface Input {
  readonly entries: Entry[];
  /** What the input has for a prompt's `{{field}}`, needed or not. */
  readonly columns: readonly string[];
}

/** No e-mail address and no ID is longer. */
const MAX_NAME_LENGTH = 320;

/**
 * Reads the users that a text names: one a line, or CSV, JSON or JSON lines as this tool's own lists write them.
 *
 * @param name what to call the text in errors: its path, or "standard input".
 * @throws CliError `usage` that names the offending lines.
 */
export async function readUsers(text: string, name: string, options: InputOptions = {}): Promise<Input> {
  const clean = withoutByteOrderMark(text);
  const format = options.format ?? formatOf(clean, name, options);
  if (format === "lines" && (options.userColumn !== undefined || options.instanceColumn !== undefined)) {
    throw new CliError("usage", `${name} has one user per line and no columns`, {
      hint: "if it has columns, name its format: --users-format csv, json or jsonl",
    });
  }
  const columns = new Columns(options);
  const known = new Set<string>();
  const problems = new Problems();
  const entries: Entry[] = [];
  const take = (raw: RawEntry) => {
    for (const column of Object.keys(raw.values)) known.add(column);
    const entry = entryOf(raw, columns, options.fields);
    if (typeof entry === "string") problems.add(raw.where, entry);
    else entries.push(entry);
  };
  const headOf = (names: readonly string[], where: string) => {
    const problem = columns.problemWith(names);
    if (problem === undefined) return;
    throw new CliError("usage", `${name}, ${where}: ${problem}; nothing was sent`, {
      hint: names.some((one) => one.includes("@"))
        ? "a file with columns needs a header line, such as: email,name"
        : "name the columns: --user-column NAME, --instance-column NAME",
    });
  };
  const isHead = (cells: readonly string[]) => columns.problemWith(cells) === undefined;
  const reject = (where: string, what: string) => problems.add(where, what);
  await readEntries(clean, format, { take, headOf, isHead, reject });
  problems.throwIfAny((count) => `${count === 1 ? "1 line" : `${count} lines`} of ${name} cannot be used`);
  if (entries.length === 0) throw new CliError("usage", `${name} names no user; nothing was sent`);
  return { entries, columns: [...known] };
}

/** What a raw entry says, or what is wrong with it. */
function entryOf({ line, values }: RawEntry, columns: Columns, needed: readonly string[] | undefined): Entry | string {
  const found = columns.of(values);
  if (typeof found === "string") return found;
  const user = found.user && bare(found.user);
  const instance = found.instance && bare(found.instance);
  if (instance !== null && !isUuid(instance)) return `${quoted(instance)} is not an instance ID (a UUID)`;
  const named = user ?? instance;
  if (named === null) return "it names no user and no instance";
  const problem = problemWithName(named);
  if (/[,;\t]/.test(named))
    return `${quoted(named)} is not one user: a file with columns needs a header line, such as: email,name`;
  if (problem !== undefined) return `${quoted(named)} ${problem}`;
  return { named, instance: instance?.toLowerCase() ?? null, line, fields: fieldsOf(values, named, needed) };
}

/** What keeps a text from being the name of one user. */
export function problemWithName(named: string): string | undefined {
  if (/[\s\p{Cc}]/u.test(named)) return "is not one user: there is white space or a control character in it";
  if (named.length > MAX_NAME_LENGTH) return `is too long for a user: ${named.length} characters`;
  return undefined;
}

const NO_FIELDS = {};

/** The `user` of a template is there without being kept twice. */
function fieldsOf(values: RawEntry["values"], named: string, needed?: readonly string[]): Entry["fields"] {
  const names = needed ?? Object.keys(values);
  const fields = names.flatMap((name): [string, string][] => {
    const value = Object.hasOwn(values, name) ? values[name] : undefined;
    return value === undefined || (name === "user" && value === named) ? [] : [[name, value ?? ""]];
  });
  return fields.length === 0 ? NO_FIELDS : Object.fromEntries(fields);
}

/** How a text is written, where nobody says: one user a line, unless it is certainly something else. */
function formatOf(text: string, name: string, options: InputOptions): UsersFormat {
  const first = /\S.*/.exec(text)?.[0].trimEnd() ?? "";
  switch (extname(name).toLowerCase()) {
    case ".csv":
    case ".tsv":
    case ".tab":
      return "csv";
    case ".jsonl":
    case ".ndjson":
      return "jsonl";
    case ".json":
      return first.startsWith("[") ? "json" : "jsonl";
  }
  if (first.startsWith("{")) return "jsonl";
  if (first.startsWith("[")) return "json";
  const columns = new Columns(options);
  const isHead = (cells: readonly string[]) => columns.problemWith(cells) === undefined;
  return delimiterOf(text, isHead) === undefined ? "lines" : "csv";
}
