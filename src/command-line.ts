/** The command as it was typed, to be shown again with what it should have been. */
import type { Command, Option } from "@commander-js/extra-typings";
import { optionIn } from "./strict-command.ts";
import { Hint, quoted } from "./typed-command.ts";

/** Longer lines are not shown: they have a prompt in them. In characters. */
const MAX_LENGTH = 400;

/** The options whose value names somebody or something that can be named in other words. */
const NAMING = new Set(["--user", "--run"]);

export class CommandLine {
  readonly #words: readonly string[];
  readonly #options: readonly Option[];

  /**
   * @param argv the arguments, without the program's own name.
   * @param command the innermost command that they name.
   */
  constructor(argv: readonly string[], command: Pick<Command, "options">) {
    this.#words = argv;
    this.#options = command.options;
  }

  /** Whether the command has this option. */
  takes(flag: `--${string}`): boolean {
    return this.#find(flag) !== undefined;
  }

  /**
   * The line with another word in place of one that names a user, an instance or a run; `undefined` where it is not to be found, or
   * the line cannot be shown so that it can be pasted.
   */
  instead(word: string, by: string): Hint | undefined {
    const words = [...this.#words];
    let operandsOnly = false;
    let found = false;
    const replace = (at: number, head = "") => {
      if (words[at] !== head + word) return;
      words[at] = head + by;
      found = true;
    };
    for (let at = 0; at < words.length; at += 1) {
      const text = words[at] ?? "";
      if (operandsOnly || !text.startsWith("-") || text === "-") {
        replace(at);
      } else if (text === "--") {
        operandsOnly = true;
      } else {
        const { option, rest } = optionIn(text, (flag) => this.#find(flag));
        if (!option?.required) continue;
        const names = NAMING.has(option.long ?? "");
        if (rest !== undefined) {
          if (names) replace(at, text.slice(0, text.length - rest.length));
        } else if (names) replace((at += 1));
        else at += 1;
      }
    }
    return found ? shown(words) : undefined;
  }

  /** The line with one more option; `undefined` where it cannot be shown so that it can be pasted. */
  with(flag: `--${string}`, value: string): Hint | undefined {
    const operands = this.#words.indexOf("--");
    const at = operands < 0 ? this.#words.length : operands;
    return shown([...this.#words.slice(0, at), flag, value, ...this.#words.slice(at)]);
  }

  #find(flag: string): Option | undefined {
    return this.#options.find(({ short, long }) => flag === short || flag === long);
  }
}

function shown(words: readonly string[]): Hint | undefined {
  const line = ["kiloclaw-admin", ...words.map(quoted)].join(" ");
  return line.length > MAX_LENGTH || words.some((word) => /\p{Cc}/u.test(word)) ? undefined : new Hint(() => line);
}
