import { CliError } from "../errors.ts";
import type { Host } from "./host.ts";
import { hostOf, type Output, type Place } from "./output.ts";

/** What a confirmation is about. */
export interface ConfirmOptions {
  /** The user's `--yes`. */
  readonly yes: boolean;
  /** The platform that would be changed; absent for what is on this machine only. */
  readonly place?: (Place & { readonly confirm: "auto" | "always" }) | undefined;
  /** A word to type in place of a yes, where what is confirmed is to be read first. */
  readonly word?: string;
}

/** Asks the user. Everything it shows goes to standard error. */
export class Prompter {
  /** Whether there is a user to ask. */
  readonly canAsk: boolean;
  readonly #host: Host;
  readonly #output: Pick<Output, "aside" | "mark">;

  constructor(host: Host, output: Pick<Output, "aside" | "mark">, { input }: { input: boolean }) {
    this.#host = host;
    this.#output = output;
    this.canAsk = input && host.stdin.isTTY === true && host.stderr.isTTY === true;
  }

  /** Loads what questions are made with, as {@link Output.prepare} does for lists: where there is anybody to ask. */
  async prepare(): Promise<void> {
    if (this.canAsk) await import("@inquirer/prompts");
  }

  /**
   * Has the user confirm; on production, by typing the host's name, or `word` if there is one. `yes` stands for the answer, except at a place where
   * `confirm` is `always` and there is a user to ask.
   *
   * @throws CliError `usage` when there is nobody to ask; `interrupted` when the user says no or Ctrl-C.
   */
  async confirm(question: string, { yes, place, word }: ConfirmOptions): Promise<void> {
    if (yes && !(place?.confirm === "always" && this.canAsk)) return;
    if (!this.canAsk) {
      throw new CliError("usage", "this needs a confirmation, and there is no terminal to ask on", {
        hint: "look at what it would do, then add --yes",
      });
    }
    const { confirm, input } = await import("@inquirer/prompts");
    const mark = place ? this.#output.mark(place) : "";
    const name = word ?? (place?.production ? hostOf(place.origin) : undefined);
    const confirmed = await this.#ask(async (context) => {
      if (name === undefined) return confirm({ message: `${mark}${question}`, default: false }, context);
      const typed = await input({ message: `${mark}${question} Type ${name} to go on:` }, context);
      return typed.trim() === name;
    });
    if (!confirmed) throw new CliError("interrupted", "not confirmed; nothing was changed");
  }

  /**
   * Offers the user something; nobody to ask is a no. `place`: the platform that it is about; absent for what is on this
   * machine only.
   *
   * @param withdrawn takes the question back when it is aborted: a no, too.
   * @throws CliError `interrupted` on Ctrl-C.
   */
  async offer(
    question: string,
    { place, withdrawn }: { place?: Place; withdrawn?: AbortSignal } = {},
  ): Promise<boolean> {
    if (!this.canAsk || withdrawn?.aborted) return false;
    const { confirm } = await import("@inquirer/prompts");
    try {
      return await this.#ask((context) => {
        const signal = withdrawn ? AbortSignal.any([context.signal, withdrawn]) : context.signal;
        const message = `${place ? this.#output.mark(place) : ""}${question}`;
        return confirm({ message, default: true }, { ...context, signal });
      });
    } catch (error) {
      if (withdrawn?.aborted && !this.#host.stop.aborted) return false;
      throw error;
    }
  }

  /**
   * Has the user choose one of several answers; the first is the proposed one. `place`: the platform that it is about.
   *
   * @throws CliError `interrupted` on Ctrl-C.
   */
  async choose<T extends string>(
    question: string,
    place: Place,
    choices: readonly { readonly value: T; readonly name: string }[],
  ): Promise<T> {
    const { select } = await import("@inquirer/prompts");
    const message = `${this.#output.mark(place)}${question}`;
    return this.#ask((context) => select<T>({ message, choices: [...choices] }, context));
  }

  /**
   * Has the user write one line.
   *
   * @param check whether the line will do, or why not.
   * @throws CliError `interrupted`
   */
  async line(question: string, place: Place, check: (line: string) => true | string): Promise<string> {
    const { input } = await import("@inquirer/prompts");
    const message = `${this.#output.mark(place)}${question}`;
    const line = await this.#ask((context) => input({ message, validate: (text) => check(text.trim()) }, context));
    return line.trim();
  }

  /**
   * Has the user write a text, in their editor if they have named one. `place`: the platform that it is for.
   *
   * @throws CliError `interrupted`
   */
  async text(question: string, place: Place): Promise<string> {
    const { editor, input } = await import("@inquirer/prompts");
    const message = `${this.#output.mark(place)}${question}`;
    const { VISUAL, EDITOR } = this.#host.env;
    if (VISUAL || EDITOR) {
      return this.#ask((context) => editor({ message, waitForUserInput: false }, context));
    }
    return this.#ask((context) => input({ message, required: true }, context));
  }

  async #ask<T>(
    ask: (context: { input: NodeJS.ReadableStream; output: NodeJS.WritableStream; signal: AbortSignal }) => Promise<T>,
  ): Promise<T> {
    try {
      return await this.#output.aside(() =>
        ask({
          input: this.#host.stdin,
          // The terminal's own stream: prompts move the cursor on it.
          output: this.#host.stderr as unknown as NodeJS.WritableStream,
          signal: this.#host.stop,
        }),
      );
    } catch (error) {
      if (error instanceof Error && /^(ExitPrompt|AbortPrompt|CancelPrompt)Error$/.test(error.name)) {
        throw new CliError("interrupted", "interrupted; nothing was changed");
      }
      throw error;
    }
  }
}
