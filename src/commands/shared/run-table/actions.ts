/** What keys do with a selected run: what its commands do, by the commands themselves. */
import { onAbort } from "../../../async/on-abort.ts";
import { ownSignal } from "../../../async/own-signal.ts";
import type { Context } from "../../../context.ts";
import { CliError, messageOf } from "../../../errors.ts";
import { exitCodeOf } from "../../../exit-codes.ts";
import { reportError } from "../../../terminal/error-report.ts";
import type { Key } from "../../../terminal/keyboard.ts";
import type { Picture } from "../../../terminal/screen.ts";

/** A run in a table, as far as keys need it. */
export interface TableRun {
  readonly id: string;
  readonly customer: string;
  /** It has failed, or its outcome is unknown. */
  readonly failed: boolean;
}

export type ActionContext = Pick<
  Context,
  "explained" | "host" | "output" | "platform" | "prompter" | "runInside" | "stop"
>;

/** What a key does with a run. Never throws; gives what is to be said of it, in a few words, once it is over. */
export type RunAction = (context: ActionContext, picture: Picture, run: TableRun) => Promise<string>;

/** By the key's name. */
export const RUN_ACTIONS: Readonly<Record<string, RunAction>> = {
  return: (context, picture, { id }) => look(context, picture, ["runs", "watch", "--", id]),
  d: (context, picture, { id }) => look(context, picture, ["runs", "diagnose", "--", id]),
  c: (context, picture, { id }) => change(context, picture, ["runs", "cancel", "--", id]),
  r: retry,
  o: open,
  y: async ({ output }, _picture, { id }) => {
    output.copy(id);
    return `sent to the clipboard: ${id}`;
  },
};

/** The command asks nobody where one run is named. A key is pressed by mistake more easily than a command is typed. */
async function retry(context: ActionContext, picture: Picture, { id, customer, failed }: TableRun): Promise<string> {
  if (!failed) return `it has not failed: ${id}`;
  return change(context, picture, ["runs", "retry", "--", id], async () => {
    const platform = await context.platform();
    if (platform.confirm === "always") return;
    await context.prompter.confirm(`Retry run ${id} of ${customer}?`, { yes: false, platform });
  });
}

/** What it says stands below the table. */
async function open(context: ActionContext, _picture: Picture, { id }: TableRun): Promise<string> {
  try {
    await context.runInside(["runs", "open", "--", id], context.stop);
    return "";
  } catch (error) {
    return messageOf(await context.explained(error));
  }
}

/** Runs a command that only shows something: it ends when it is left. */
function look(context: ActionContext, picture: Picture, words: readonly string[]): Promise<string> {
  return onUsualScreen(context, picture, { leavable: true }, (stop) => context.runInside(words, stop));
}

/** Runs a command that changes something: what it has begun comes to its end. */
function change(
  context: ActionContext,
  picture: Picture,
  words: readonly string[],
  ask = async (): Promise<void> => undefined,
): Promise<string> {
  return onUsualScreen(context, picture, { leavable: false }, async (stop) => {
    await ask();
    await context.runInside(words, stop);
  });
}

const BACK = "Esc: back to the table";

/** Does some work on the usual screen, where everything that it says stays until it was read. */
async function onUsualScreen(
  { explained, host, output, stop }: ActionContext,
  picture: Picture,
  { leavable }: { readonly leavable: boolean },
  work: (stop: AbortSignal) => Promise<void>,
): Promise<string> {
  const left = ownSignal(stop);
  const untilLeft = () => new Promise<void>((resolve) => void onAbort(left.signal, resolve));
  let over = false;
  const pressed = ({ name }: Key) => {
    if ((name === "escape" || name === "q") && (leavable || over)) left.abort();
    if (name === "return" && over) left.abort();
  };
  /** @returns why it was not done, where the user wanted it so. */
  const attempt = async (): Promise<string | undefined> => {
    try {
      await work(left.signal);
    } catch (error) {
      if (error instanceof CliError && error.kind === "interrupted") return error.message;
      if (left.signal.aborted) return undefined;
      const exitCode = exitCodeOf(error instanceof CliError ? error.kind : "unexpected");
      reportError(host, await explained(error), { argv: [], exitCode, output });
    }
    return undefined;
  };
  try {
    return await picture.aside(() =>
      output.keys(pressed, async () => {
        if (leavable) output.note(BACK);
        const declined = await attempt();
        if (declined !== undefined) return declined;
        over = true;
        if (!left.signal.aborted) output.note(BACK);
        await untilLeft();
        return "";
      }),
    );
  } finally {
    left.release();
  }
}
