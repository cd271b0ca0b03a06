/** What each shell hands over of the line that is being typed, and how it is handed the candidates. */
import type { Answer } from "./candidates.ts";

export const SHELLS = ["bash", "zsh", "fish", "powershell"] as const;
export type Shell = (typeof SHELLS)[number];

/** A line as far as the cursor. */
export interface Line {
  /** The words before the one that the cursor stands in, without the program's name. */
  readonly words: readonly string[];
  /** What is typed of the word that the cursor stands in. */
  readonly typed: string;
  /** So many characters of that word the shell keeps by itself: it replaces what stands behind them. */
  readonly kept: number;
}

/**
 * Reads what a shell's script hands over:
 *
 * - `bash`: the characters at which it cuts words, and the line as far as the cursor, as it is typed.
 * - `zsh`: each word, up to the cursor. `fish`: the same, the last one as it is typed.
 * - `powershell`: each word with `=` before it. Some versions pass no empty arguments on.
 */
export function readLine(shell: string, given: readonly string[]): Line | undefined {
  switch (shell) {
    case "bash": {
      const [breaks = "", line = ""] = given;
      const { words, ...current } = split(line, breaks);
      return { words: words.slice(1), ...current };
    }
    case "zsh":
      return { words: given.slice(0, -1), typed: given.at(-1) ?? "", kept: 0 };
    case "fish":
      return { words: given.slice(0, -1), typed: split(given.at(-1) ?? "", "").typed, kept: 0 };
    case "powershell": {
      const words = given.map((word) => word.slice(1));
      return { words: words.slice(0, -1), typed: words.at(-1) ?? "", kept: 0 };
    }
    default:
      return undefined;
  }
}

/**
 * The lines that a shell's script reads: a candidate on each, with its description behind a TAB where the shell shows it. The
 * last one begins with a colon and says what the shell may complete by itself: whoever reads it need not wait for more.
 */
export function linesFor(shell: string, { kept }: Line, { candidates, files = "none" }: Answer): string {
  const lines = candidates.map(({ value, description }) =>
    shell === "bash" || description === "" ? value.slice(kept) : `${value}\t${description}`,
  );
  return [...lines, `:${files}`, ""].join("\n");
}

/**
 * Splits a line into words as a POSIX shell does that expands nothing.
 *
 * @param breaks the characters at which readline begins a word of its own.
 */
function split(line: string, breaks: string): { words: string[]; typed: string; kept: number } {
  const words: string[] = [];
  let word = "";
  let begun = false;
  let quote: { readonly mark: string; readonly at: number } | undefined;
  let brokenAt = 0;
  for (let at = 0; at < line.length; at += 1) {
    const char = line[at] ?? "";
    const next = line[at + 1] ?? "";
    if (quote ? char === quote.mark : char === "'" || char === '"') {
      quote = quote ? undefined : { mark: char, at: word.length };
      begun = true;
    } else if (char === "\\" && (quote ? quote.mark === '"' && '"\\$`'.includes(next) : true)) {
      word += next;
      at += 1;
      begun = true;
    } else if (!quote && /\s/.test(char)) {
      if (begun) words.push(word);
      word = "";
      begun = false;
      brokenAt = 0;
    } else {
      // "@" begins the new word; every other break ends the old one.
      if (!quote && breaks.includes(char)) brokenAt = char === "@" ? word.length : word.length + 1;
      word += char;
      begun = true;
    }
  }
  return { words, typed: word, kept: quote ? quote.at : brokenAt };
}
