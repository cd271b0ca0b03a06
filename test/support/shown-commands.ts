/** Holds of everything that any test is shown: a command of ours in it can be pasted into a shell, and the program knows it. */
import { stripVTControlCharacters } from "node:util";
import type { Command } from "@commander-js/extra-typings";
import { createProgram } from "../../src/program.ts";
import type { Host } from "../../src/terminal/host.ts";

const NAME = "kiloclaw-admin";
/** What stands for a value that the user fills in, where not every word is one. */
const PLACEHOLDERS = new Map([["INSTANCE", "d0000000-0000-4000-8000-000000000004"]]);
/** Where the name stands in a sentence. */
const PROSE = new Set(["is", "may", "refuses", "will"]);

/**
 * Checks every command that was shown: from its name to the line's end it is what a POSIX shell takes as commands, without any expansion,
 * and each of ours parses with the program's own tree.
 *
 * @throws Error that has the line.
 */
export async function checkShownCommands(
  argv: readonly string[],
  { stdout, stderr }: { readonly stdout: string; readonly stderr: string },
): Promise<void> {
  for (const line of shownLines(argv, stdout, stderr)) await checkLine(line);
  await checkHintedOptions(argv, stderr);
}

/**
 * Checks that an error's hints name no option that the command does not have. Where they name a command, that has been parsed.
 *
 * @throws Error that has the hint.
 */
async function checkHintedOptions(argv: readonly string[], stderr: string): Promise<void> {
  const lines = stripVTControlCharacters(stderr).split(/[\r\n]+/);
  const error = lines.findIndex((line) => line.startsWith("error: "));
  const hints = textsOf(stderr) ?? (error < 0 ? [] : lines.slice(error + 1));
  const named = hints
    .filter((hint) => !hint.includes(NAME))
    .flatMap((hint) => [...hint.matchAll(/(?<![\w'"=-])--[a-z][a-z-]*\w/g)].map(([option]) => ({ hint, option })));
  if (named.length === 0) return;
  const command = await commandOf(argv);
  for (const { hint, option } of named) {
    if (!command || command.options.some(({ long }) => long === option)) continue;
    throw new Error(`${command.name()} has no ${option}: ${hint}`);
  }
}

/** The command that the arguments name, as far as they can be parsed. */
async function commandOf(argv: readonly string[]): Promise<Pick<Command, "name" | "options"> | undefined> {
  let command: Pick<Command, "name" | "options"> | undefined;
  await parseOnly(argv, (parsed) => (command = parsed)).catch(() => undefined);
  return command;
}

function* shownLines(argv: readonly string[], stdout: string, stderr: string): Generator<string> {
  for (const line of stripVTControlCharacters(stderr).split(/[\r\n]+/)) yield* textsOf(line) ?? [line];
  // Examples in help texts have notes beside them.
  if (argv.includes("--help") || argv[0] === "help" || /^Usage: /m.test(stdout)) return;
  yield* (
    textsOf(stdout) ??
      stripVTControlCharacters(stdout)
        .split(/[\r\n]+/)
        .filter((line) => /^\s+(?:→ .*)?kiloclaw-admin /.test(line))
  );
}

/** The texts of a JSON answer that are there to be typed; `undefined` where it is none. */
function textsOf(json: string): string[] | undefined {
  if (!/^\s*[[{]/.test(json)) return undefined;
  const texts: string[] = [];
  try {
    JSON.parse(json, (key, value: unknown) => {
      if (typeof value === "string" && /^(?:command|hint|remedy)$/.test(key)) texts.push(...value.split("\n"));
      return value;
    });
    return texts;
  } catch {
    return undefined;
  }
}

const known = new Set<string>();

async function checkLine(line: string): Promise<void> {
  const at = [...line.matchAll(/kiloclaw-admin ([a-z-]+)/g)].find(([, next = ""]) => !PROSE.has(next))?.index;
  if (at === undefined) return;
  const script = line.slice(at);
  if (known.has(script)) return;
  try {
    for (const [name, ...words] of shellCommands(script)) {
      if (name !== NAME) throw new Error(`"${name}" is no command of ours`);
      await parseOnly(words.map((word) => PLACEHOLDERS.get(word) ?? word));
    }
  } catch (error) {
    throw new Error(`cannot be pasted: ${line}`, { cause: error });
  }
  known.add(script);
}

/**
 * Parses as the program does, and stops before anything is done.
 *
 * @throws Error where the program would refuse the words.
 */
export async function parseOnly(
  words: readonly string[],
  onParsed: (command: Pick<Command, "name" | "options">) => void = () => undefined,
): Promise<void> {
  const parsed = new Error("parsed");
  const host = { version: "0", stdout: { columns: 80, write: () => true } };
  const { program, parse: parseWith } = createProgram(host as unknown as Host);
  program.hook("preAction", (_program, command) => {
    onParsed(command as unknown as Command);
    throw parsed;
  });
  await parseWith(words).catch((error: unknown) => {
    if (error !== parsed) throw error;
  });
}

/**
 * The commands that a POSIX shell reads in a line, as lists of words. What is redirected is left out.
 *
 * @throws Error where the shell would expand anything, or not take the line.
 */
export function shellCommands(line: string): string[][] {
  const commands: string[][] = [[]];
  let word: string | undefined;
  let redirect = false;
  const end = () => {
    if (word !== undefined && !redirect) commands.at(-1)?.push(word);
    if (word !== undefined) redirect = false;
    word = undefined;
  };
  for (let at = 0; at < line.length; at += 1) {
    const char = line[at] ?? "";
    if (char === "'" || char === '"') {
      const closing = line.indexOf(char, at + 1);
      if (closing < 0) throw new Error(`${char} is not closed`);
      const text = line.slice(at + 1, closing);
      if (char === '"' && /[$`\\!]/.test(text)) throw new Error(`expanded: ${text}`);
      word = (word ?? "") + text;
      at = closing;
    } else if (char === "\\") {
      at += 1;
      word = (word ?? "") + (line[at] ?? "");
    } else if (/\s/.test(char)) end();
    else if (char === ";" || char === "|") {
      end();
      commands.push([]);
    } else if (char === "<" || char === ">") {
      end();
      redirect = true;
    } else if (/[$`*?[\]{}()&!^]/.test(char) || (word === undefined && /[~#=]/.test(char))) {
      throw new Error(`expanded, or no word: ${line.slice(at)}`);
    } else word = (word ?? "") + char;
  }
  end();
  if (redirect) throw new Error("redirected to nothing");
  return commands;
}
