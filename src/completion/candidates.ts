/** What can be typed at the cursor. */
import { nameOf, placeholderOf, type Cursor, type Node } from "./cursor.ts";

/** What a value can be, as far as that is known before it is typed. */
export type ValueKind =
  | "run"
  | "user"
  | "instance"
  | "job"
  | "playbook"
  | "profile"
  | "setting"
  | "setting-value"
  | "topic"
  | "procedure"
  | "field";

/** Several of these can be typed in one word, with commas between. */
const LISTED: readonly string[] = ["field"] satisfies ValueKind[];

/** What a value is where it is a file's name, which the shell itself completes. */
type FileKind = "file" | "directory";

/** What a value is by its name in the help (`run` of `<run>`), or by the option that takes it (`--instance`). */
export type KindTable = Readonly<Record<string, readonly (ValueKind | FileKind)[]>>;

export interface Candidate {
  readonly value: string;
  /** What a person should know to choose it, where the shell shows that. */
  readonly description: string;
}

export interface Answer {
  /** In the order in which they are to be shown, each as the whole word to type. */
  readonly candidates: readonly Candidate[];
  /** What the shell may complete by itself as well. */
  readonly files?: FileKind | "none" | undefined;
}

export const NOTHING: Answer = { candidates: [] };

/** Long enough for a line of help, and short enough for a column. */
const MAX_DESCRIPTION = 80;

/**
 * The candidates for what is typed at the cursor.
 *
 * @param kinds what the values are.
 * @param valuesOf the known values of a kind.
 */
export async function candidatesAt(
  cursor: Cursor,
  kinds: KindTable,
  valuesOf: (kind: ValueKind, cursor: Cursor) => Promise<readonly Candidate[]>,
): Promise<Answer> {
  const { wanted, typed, command } = cursor;
  const fitting = (found: readonly Candidate[], { head, typed }: Place = cursor): Candidate[] => {
    const unique = new Map<string, Candidate>();
    // What is known twice is known best where it was found first.
    for (const candidate of found) if (!unique.has(candidate.value)) unique.set(candidate.value, candidate);
    return [...unique.values()]
      .filter(({ value }) => value.startsWith(typed))
      .map(({ value, description }) => ({ value: head + value, description: shown(description) }));
  };
  if (wanted === "command") {
    const names = fitting(commandsOf(command));
    // Another tool's word is understood, and offered to whoever has begun to type it: there is a name of our own for it.
    return { candidates: names.length > 0 ? names : fitting(aliasesOf(command)) };
  }
  if (wanted === "option") return { candidates: fitting(optionsOf(cursor)) };
  const choices = wanted.argChoices?.map((value) => ({ value, description: "" }));
  if (choices) return { candidates: fitting(choices) };
  const isOption = "flags" in wanted;
  const known = (isOption ? kinds[nameOf(wanted)] : undefined) ?? kinds[placeholderOf(wanted)];
  // An argument of which nothing is known helps nobody; what else can be typed there may.
  if (!known) return !isOption && typed === "" ? { candidates: fitting(optionsOf(cursor)) } : NOTHING;
  const found = await Promise.all(
    known.map((kind) => (kind === "file" || kind === "directory" ? [] : valuesOf(kind, cursor))),
  );
  const files = known.find((kind) => kind === "file" || kind === "directory");
  if (!known.some((kind) => LISTED.includes(kind))) return { candidates: fitting(found.flat()), files };
  const { head, listed, typed: last } = lastOfList(cursor);
  const others = found.flat().filter(({ value }) => !listed.includes(value));
  return { candidates: fitting(others, { head, typed: last }), files };
}

/** Where a value is being typed. */
type Place = Pick<Cursor, "head" | "typed">;

/** The last of values with commas between, and those before it. */
function lastOfList({ head, typed }: Place): Place & { readonly listed: readonly string[] } {
  const comma = typed.lastIndexOf(",") + 1;
  return { head: head + typed.slice(0, comma), typed: typed.slice(comma), listed: typed.split(",").slice(0, -1) };
}

/** The commands that a command's help lists. */
export function commandsOf(command: Node): Candidate[] {
  const visible = command.createHelp().visibleCommands(command);
  return visible.map((child) => ({ value: child.name(), description: child.summary() }));
}

function aliasesOf(command: Node): Candidate[] {
  const visible = command.createHelp().visibleCommands(command);
  return visible.flatMap((child) =>
    child.aliases().map((value) => ({ value, description: `short for ${child.name()}` })),
  );
}

/** The options that a command's help lists, without flags that are given already. */
function optionsOf({ command, options }: Cursor): Candidate[] {
  const visible = command.createHelp().visibleOptions(command);
  return visible
    .map((option) => ({ value: nameOf(option), description: option.description }))
    .filter(({ value }) => options.get(value) !== true);
}

/** In one line, with nothing in it that a terminal could take for more than text. */
function shown(description: string): string {
  const line = description.replaceAll(/[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Zl}\p{Zp}]/gu, "?");
  return line.length > MAX_DESCRIPTION ? `${line.slice(0, MAX_DESCRIPTION - 1)}…` : line;
}
