/** Commands of this tool that are shown to be pasted: data until they are written, then quoted for a POSIX shell. */
import { withoutTokens } from "./secrets.ts";

/** The options of a command to show, in order; `true` is a flag alone, `undefined` leaves it out. */
export type OptionsToType = Readonly<Record<`--${string}`, string | number | true | undefined>>;

/** What the commands of this kind are about lies on this machine: no flag that names a platform changes anything. */
const LOCAL = new Set(["config", "help", "sandbox"]);

/** What a person is told: a text, or one with commands in it that are to be typed. */
export type Said = string | Hint;

/** A text with commands in it. It is written only where the flags are known that its commands depend on. */
export class Hint {
  readonly #write: (flags: OptionsToType) => string;

  constructor(write: (flags: OptionsToType) => string) {
    this.#write = write;
  }

  /** The text, its commands with the flags that named the platform on this command's own line. */
  typed(flags: OptionsToType): string {
    return this.#write(flags);
  }

  toString(): string {
    return this.#write({});
  }

  toJSON(): string {
    return this.#write({});
  }
}

/**
 * A command of this tool, every word quoted for the shell. Where it asks a platform, it is written with the flags that named that,
 * unless it names one itself.
 *
 * @param name such as `runs list`; empty is the tool alone.
 * @param args operands as texts, options as objects. What begins with a dash is written so that it stays what it is.
 */
export function command(name: string, ...args: readonly (string | undefined | OptionsToType)[]): Hint {
  const given = args.filter((arg) => arg !== undefined);
  const operands = given.filter((arg) => typeof arg === "string");
  const options = given.filter((arg) => typeof arg !== "string");
  const dashed = operands.some((operand) => operand.startsWith("-"));
  const write = (arg: string | OptionsToType) => (typeof arg === "string" ? [quoted(arg)] : optionWords(arg));
  const words = (dashed ? [...options, "--", ...operands] : given).flatMap((arg) =>
    arg === "--" && dashed ? ["--"] : write(arg),
  );
  const named = options.some((option) => "--profile" in option || "--host" in option);
  const local = name === "" || named || LOCAL.has(name.split(" ")[0] ?? "");
  return new Hint((flags) =>
    ["kiloclaw-admin", ...(local ? [] : optionWords(flags)), ...(name === "" ? [] : [name]), ...words].join(" "),
  );
}

/** An option to add to a command, as it has to be typed. */
export function option(name: `--${string}`, value: string | number | true): Hint {
  const text = optionWords({ [name]: value }).join(" ");
  return new Hint(() => text);
}

/**
 * A text with commands and options in it. Whatever else is filled in comes from somewhere else, and is quoted for the shell like
 * their words: a line is pasted whole.
 */
export function hint(texts: TemplateStringsArray, ...values: readonly (string | number | Hint)[]): Hint {
  return new Hint((flags) =>
    texts
      .map((text, index) => {
        const value = values[index];
        if (value === undefined) return text;
        return text + (value instanceof Hint ? value.typed(flags) : quoted(String(value)));
      })
      .join(""),
  );
}

/** A text of the tool's own inside {@link hint}, which needs no quotes. */
export function plain(text: string): Hint {
  return new Hint(() => text);
}

/** What is said, with a change made to the text that it is written as. */
export function rewritten(said: Said, change: (text: string) => string): Said {
  return typeof said === "string" ? change(said) : new Hint((flags) => change(said.typed(flags)));
}

function optionWords(options: OptionsToType): string[] {
  return Object.entries(options).flatMap(([name, value]) => {
    if (value === undefined) return [];
    if (value === true) return [name];
    const text = String(value);
    return text.startsWith("-") ? [`${name}=${quoted(text)}`] : [name, quoted(text)];
  });
}

/** Words that no shell reads as anything but themselves: not `~`, nor `=` in front, which zsh expands. */
const SAFE = /^[\w@%+:,./-][\w@%+:,./=-]*$/;

/**
 * A word as a POSIX shell reads it back. Control characters become `?`: a line break would leave the rest on a line of its own, and the
 * others cannot be shown as they are.
 */
export function quoted(word: string): string {
  // Taken out first: what stands for it is not safe without quotes.
  const shown = withoutTokens(word);
  return SAFE.test(shown) ? shown : `'${shown.replaceAll(/\p{Cc}/gu, "?").replaceAll("'", `'\\''`)}'`;
}
