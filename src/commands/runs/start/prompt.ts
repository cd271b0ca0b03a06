import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { addAbortSignal } from "node:stream";
import { text as readAll } from "node:stream/consumers";
import type { Context } from "../../../context.ts";
import { CliError, messageOf } from "../../../errors.ts";
import { checkPrompt } from "../../../runs/start/prompt.ts";

export interface PromptSources {
  readonly prompt?: string | undefined;
  readonly promptFile?: string | undefined;
  /** The command's argument: `-` for standard input. */
  readonly source?: string | undefined;
}

/**
 * The prompt from wherever the user put it: `-p`, a file, or standard input. A file's last line ending is not part of it.
 *
 * @returns `undefined` when the user did not say, and can be asked.
 * @throws CliError `usage`
 */
export async function readPrompt(
  { host, prompter }: Pick<Context, "host" | "prompter">,
  { prompt, promptFile, source }: PromptSources,
): Promise<string | undefined> {
  if (source !== undefined && source !== "-") {
    throw new CliError("usage", `unexpected argument "${source}"`, {
      hint: `to give the prompt on the command line, quote it: -p "${source} …"; "-" reads standard input`,
    });
  }
  const given = [prompt, promptFile, source].filter((value) => value !== undefined);
  if (given.length > 1) throw new CliError("usage", "give the prompt once: -p TEXT, --prompt-file FILE, or -");
  if (prompt !== undefined) return checkPrompt(prompt);
  if (source === "-" || promptFile === "-") return checkPrompt(withoutLastLineEnd(await readStdin(host)));
  if (promptFile !== undefined)
    return checkPrompt(withoutLastLineEnd(await readPromptFile(resolve(host.cwd, promptFile))));
  if (prompter.canAsk) return undefined;
  throw new CliError("usage", "there is no prompt", {
    hint: 'say what to repair: -p "gateway crash-loops since the config edit", --prompt-file FILE, or - for standard input',
  });
}

/**
 * Asks the user for the prompt. Last of all: what somebody has written must not be lost to something that could be found out
 * before.
 *
 * @throws CliError `usage`; `interrupted`
 */
export async function askForPrompt({ prompter, target }: Pick<Context, "prompter" | "target">): Promise<string> {
  return checkPrompt(withoutLastLineEnd(await prompter.text("What should the agent repair?", await target())));
}

/** Standard input to its end, or until the user wants the tool to end. */
function readStdin({ stdin, stop }: Context["host"]): Promise<string> {
  return readAll(addAbortSignal(stop, stdin));
}

async function readPromptFile(path: string): Promise<string> {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(await readFile(path));
  } catch (error) {
    throw new CliError("usage", `cannot read the prompt from ${path}: ${messageOf(error)}`, { cause: error });
  }
}

function withoutLastLineEnd(text: string): string {
  return text.replace(/\r?\n$/, "");
}
