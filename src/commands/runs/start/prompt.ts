import { readFile, stat } from "node:fs/promises";
import { resolve } from "node:path";
import { addAbortSignal } from "node:stream";
import { text as readAll } from "node:stream/consumers";
import type { Context } from "../../../context.ts";
import { CliError, messageOf } from "../../../errors.ts";
import { checkPrompt } from "../../../runs/start/prompt.ts";
import { otherOptions } from "../../../strict-command.ts";
import { command, hint, option, type OptionsToType } from "../../../typed-command.ts";

export interface PromptSources {
  readonly prompt?: string | undefined;
  readonly promptFile?: string | undefined;
  /** The command's argument, if it has one: standard input. */
  readonly source?: "-" | undefined;
  /** Write it in an editor; what the others give is what the editor begins with. */
  readonly edit?: true | undefined;
}

/**
 * What the command's arguments name: standard input, or nothing.
 *
 * @param typed the command as it was typed.
 * @throws CliError `usage` with the line that was meant: a customer without `--user`, a prompt without quotes. It keeps all other
 *   options: without `--dry-run` it would start what was only to be looked at.
 */
export function sourceIn(
  words: readonly string[],
  { user = [], prompt }: { readonly user?: readonly string[] | undefined; readonly prompt?: string | undefined },
  typed: object,
): "-" | undefined {
  if (words.length === 0) return undefined;
  if (words.length === 1 && words[0] === "-") return "-";
  const customers = words.filter((word) => /^\S+@\S+\.\S+$/.test(word));
  const rest = words.filter((word) => !customers.includes(word));
  const text = [...(prompt === undefined ? [] : [prompt]), ...rest].join(" ");
  const others = otherOptions(typed, "--user", "--prompt");
  const users = [...user, ...customers].map((name): OptionsToType => ({ "--user": name }));
  throw new CliError("usage", `unexpected argument "${words.join(" ")}"`, {
    hint: [
      hint`did you mean: ${command("runs start", ...users, ...others, { "--prompt": text === "" ? undefined : text })}`,
      ...(rest.length > 0 ? ['a prompt of several words is one argument, in quotes; "-" reads standard input'] : []),
    ],
  });
}

/**
 * The prompt from wherever the user put it: `-p`, a file, or standard input. A file's last line ending is not part of it.
 *
 * @returns `undefined` when the user is to be asked.
 * @throws CliError `usage`
 */
export async function readPrompt(
  context: Pick<Context, "host" | "output" | "prompter">,
  sources: PromptSources,
): Promise<string | undefined> {
  const { prompter } = context;
  if (sources.edit) {
    if (prompter.canAsk) return undefined;
    throw new CliError("usage", "--edit needs a terminal");
  }
  const given = await givenPrompt(context, sources);
  if (given !== undefined) return checkPrompt(given);
  if (prompter.canAsk) return undefined;
  throw new CliError("usage", "there is no prompt", {
    hint: 'say what to repair: -p "gateway crash-loops since the config edit", --prompt-file FILE, or - for standard input',
  });
}

/**
 * Asks the user for the prompt. Last of all: what somebody has written must not be lost to something that could be found out before.
 * Whoever calls shows it back, before anything is sent.
 *
 * @throws CliError `usage`; `interrupted`
 */
export async function askForPrompt(
  context: Pick<Context, "host" | "output" | "prompter" | "platform">,
  sources: PromptSources,
): Promise<string> {
  const { prompter, platform } = context;
  const prompt = sources.edit
    ? await editPrompt(context, sources)
    : await prompter.text("What should the agent repair?", await platform());
  return checkPrompt(prompt);
}

async function editPrompt(
  context: Pick<Context, "host" | "output" | "prompter">,
  sources: PromptSources,
): Promise<string> {
  const text = await context.prompter.edited((await givenPrompt(context, sources)) ?? "", "prompt.md");
  if (text === undefined || text.trim() === "") {
    const how = text === undefined ? "was left as it was" : "is empty";
    throw new CliError("interrupted", `the prompt ${how}; nothing was sent`);
  }
  return text.trimEnd();
}

async function givenPrompt(
  { host, output }: Pick<Context, "host" | "output">,
  { prompt, promptFile, source }: PromptSources,
): Promise<string | undefined> {
  const given = [prompt, promptFile, source].filter((value) => value !== undefined);
  if (given.length > 1) throw new CliError("usage", "give the prompt once: -p TEXT, --prompt-file FILE, or -");
  if (prompt === "-" || source === "-" || promptFile === "-") return withoutLastLineEnd(await readStdin(host));
  if (promptFile !== undefined) return withoutLastLineEnd(await readPromptFile(resolve(host.cwd, promptFile)));
  if (prompt !== undefined && (await isFile(resolve(host.cwd, prompt)))) {
    output.note(
      hint`the prompt is the name of a file here; to send what is in the file: ${option("--prompt-file", prompt)}`,
    );
  }
  return prompt;
}

function isFile(path: string): Promise<boolean> {
  return stat(path).then(
    (facts) => facts.isFile(),
    () => false,
  );
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
