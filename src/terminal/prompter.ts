import { CliError } from "../errors.ts";
import type { Host } from "./host.ts";

/** Asks the user. Everything it shows goes to standard error. */
export class Prompter {
  /** Whether there is a user to ask. */
  readonly canAsk: boolean;
  readonly #host: Host;

  constructor(host: Host, { input }: { input: boolean }) {
    this.#host = host;
    this.canAsk = input && host.stdin.isTTY === true && host.stderr.isTTY === true;
  }

  /**
   * Has the user confirm. `yes` stands for the answer.
   *
   * @throws CliError `usage` when there is nobody to ask; `interrupted` when the user says no or Ctrl-C.
   */
  async confirm(question: string, { yes }: { yes: boolean }): Promise<void> {
    if (yes) return;
    if (!this.canAsk) {
      throw new CliError("usage", "this needs a confirmation, and there is no terminal to ask on", {
        hint: "look at what it would do, then add --yes",
      });
    }
    const { confirm } = await import("@inquirer/prompts");
    const confirmed = await this.#ask((context) => confirm({ message: question, default: false }, context));
    if (!confirmed) throw new CliError("interrupted", "not confirmed; nothing was changed");
  }

  /**
   * Offers the user something; nobody to ask is a no.
   *
   * @param withdrawn takes the question back when it is aborted: a no, too.
   * @throws CliError `interrupted` on Ctrl-C.
   */
  async offer(question: string, withdrawn?: AbortSignal): Promise<boolean> {
    if (!this.canAsk || withdrawn?.aborted) return false;
    const { confirm } = await import("@inquirer/prompts");
    try {
      return await this.#ask((context) => {
        const signal = withdrawn ? AbortSignal.any([context.signal, withdrawn]) : context.signal;
        return confirm({ message: question, default: true }, { ...context, signal });
      });
    } catch (error) {
      if (withdrawn?.aborted && !this.#host.stop.aborted) return false;
      throw error;
    }
  }

  /**
   * Has the user choose one of several answers; the first is the proposed one.
   *
   * @throws CliError `interrupted` on Ctrl-C.
   */
  async choose<T extends string>(
    question: string,
    choices: readonly { readonly value: T; readonly name: string }[],
  ): Promise<T> {
    const { select } = await import("@inquirer/prompts");
    return this.#ask((context) => select<T>({ message: question, choices: [...choices] }, context));
  }

  /**
   * Has the user write a text, in their editor if they have named one.
   *
   * @throws CliError `interrupted`
   */
  async text(question: string): Promise<string> {
    const { editor, input } = await import("@inquirer/prompts");
    const { VISUAL, EDITOR } = this.#host.env;
    if (VISUAL || EDITOR) {
      return this.#ask((context) => editor({ message: question, waitForUserInput: false }, context));
    }
    return this.#ask((context) => input({ message: question, required: true }, context));
  }

  async #ask<T>(
    ask: (context: { input: NodeJS.ReadableStream; output: NodeJS.WritableStream; signal: AbortSignal }) => Promise<T>,
  ): Promise<T> {
    try {
      return await ask({
        input: this.#host.stdin,
        // The terminal's own stream: prompts move the cursor on it.
        output: this.#host.stderr as unknown as NodeJS.WritableStream,
        signal: this.#host.stop,
      });
    } catch (error) {
      if (error instanceof Error && /^(ExitPrompt|AbortPrompt|CancelPrompt)Error$/.test(error.name)) {
        throw new CliError("interrupted", "interrupted; nothing was changed");
      }
      throw error;
    }
  }
}
