import type { Writable } from "node:stream";
import { CliError } from "../errors.ts";
import type { Host } from "./host.ts";
import { hostOf, type Output, type ShownPlatform } from "./output.ts";
import { QuestionInput } from "./question-input.ts";
import { sanitizeLine } from "./sanitize.ts";
import type { Terminal } from "./text-input.ts";

/** What a confirmation is about. */
export interface ConfirmOptions {
  /** The user's `--yes`. */
  readonly yes: boolean;
  /** The platform that would be changed; absent for what is on this machine only. */
  readonly platform?: (ShownPlatform & { readonly confirm: "auto" | "always" }) | undefined;
  /** A word to type in place of a yes, where what is confirmed is to be read first. */
  readonly word?: string | undefined;
  /** A yes will do on production, too: what is confirmed was typed a moment ago, by the same person. */
  readonly plain?: boolean;
}

/** Asks the user. Everything it shows goes to standard error. */
export class Prompter {
  readonly #host: Host;
  readonly #output: Pick<Output, "aside" | "mark">;
  readonly #input: boolean;
  /** Of several questions at once, one is asked after the other. */
  #asked: Promise<unknown> = Promise.resolve();

  constructor(host: Host, output: Pick<Output, "aside" | "mark">, { input }: { input: boolean }) {
    this.#host = host;
    this.#output = output;
    this.#input = input;
  }

  /** Whether there is a user to ask. */
  get canAsk(): boolean {
    // Opened when somebody wants to know: two streams take longer than the reading of the settings.
    return this.#input && this.#host.stderr.isTTY === true && this.#host.stdin.isTTY === true;
  }

  /** Loads what questions are made with, as {@link Output.prepare} does for lists: where there is anybody to ask. */
  async prepare(): Promise<void> {
    if (this.canAsk) await import("@inquirer/prompts");
  }

  /**
   * Has the user confirm; on production, by typing the host's name, or `word` if there is one. `yes` stands for the answer, except
   * on a platform where `confirm` is `always` and there is a user to ask.
   *
   * @throws CliError `usage` when there is nobody to ask; `interrupted` when the user says no or Ctrl-C.
   */
  async confirm(question: string, { yes, platform, word, plain }: ConfirmOptions): Promise<void> {
    if (yes && !(platform?.confirm === "always" && this.canAsk)) return;
    if (!this.canAsk) {
      throw new CliError("usage", "this needs a confirmation, and there is no terminal to ask on", {
        hint: "look at what it would do, then add --yes",
      });
    }
    const { confirm, input } = await import("@inquirer/prompts");
    const mark = platform ? this.#output.mark(platform) : "";
    const name = word ?? (platform?.production && !plain ? hostOf(platform.origin) : undefined);
    const confirmed = await this.#ask(async (context) => {
      const message = `${mark}${sanitizeLine(question)}`;
      if (name === undefined) return confirm({ message, default: false }, context);
      const typed = await input({ message: `${message} Type ${name} to continue:` }, context);
      return typed.trim() === name;
    });
    if (!confirmed) throw new CliError("interrupted", "not confirmed; nothing was changed");
  }

  /**
   * Offers the user something; nobody to ask is a no. `platform`: the platform that it is about; absent for what is on this
   * machine only.
   *
   * @param withdrawn takes the question back when it is aborted: a no, too.
   * @throws CliError `interrupted` on Ctrl-C.
   */
  async offer(
    question: string,
    { platform, withdrawn }: { platform?: ShownPlatform; withdrawn?: AbortSignal } = {},
  ): Promise<boolean> {
    if (!this.canAsk || withdrawn?.aborted) return false;
    const { confirm } = await import("@inquirer/prompts");
    try {
      return await this.#ask((context) => {
        const signal = withdrawn ? AbortSignal.any([context.signal, withdrawn]) : context.signal;
        const message = `${platform ? this.#output.mark(platform) : ""}${sanitizeLine(question)}`;
        return confirm({ message, default: true }, { ...context, signal });
      });
    } catch (error) {
      if (withdrawn?.aborted && !this.#host.stop.aborted) return false;
      throw error;
    }
  }

  /**
   * Has the user choose one of several answers; the first is the proposed one. `platform`: the platform that it is about.
   *
   * @throws CliError `interrupted` on Ctrl-C.
   */
  async choose<T extends string>(
    question: string,
    platform: ShownPlatform,
    choices: readonly { readonly value: T; readonly name: string }[],
  ): Promise<T> {
    const [{ select }, { cutTo }] = await Promise.all([import("@inquirer/prompts"), import("./width.ts")]);
    const message = `${this.#output.mark(platform)}${sanitizeLine(question)}`;
    // A sign and a space come before, and the last column is left free: an answer is one line.
    const room = Math.max(20, (this.#host.stderr.columns || Infinity) - 3);
    const shown = choices.map(({ value, name }) => ({ value, name: cutTo(sanitizeLine(name), room) }));
    return this.#ask((context) => select<T>({ message, choices: shown }, context));
  }

  /**
   * Has the user write one line.
   *
   * @param check whether the line will do, or why not.
   * @throws CliError `interrupted`
   */
  async line(question: string, platform: ShownPlatform, check: (line: string) => true | string): Promise<string> {
    const { input } = await import("@inquirer/prompts");
    const message = `${this.#output.mark(platform)}${question}`;
    const line = await this.#ask((context) => input({ message, validate: (text) => check(text.trim()) }, context));
    return line.trim();
  }

  /**
   * Has the user type or paste a text of one or more lines. `platform`: the platform that it is for.
   *
   * @throws CliError `interrupted`
   */
  async text(question: string, platform: ShownPlatform): Promise<string> {
    const { readText } = await import("./text-input.ts");
    const text = await this.#atTerminal((terminal) => {
      this.#host.stderr.write(`? ${this.#output.mark(platform)}${question} (Alt-Enter: a new line; Enter: done)\n`);
      return readText(terminal);
    });
    if (text === undefined) throw new CliError("interrupted", "interrupted; nothing was changed");
    return text;
  }

  /**
   * Has the user edit a text in their editor.
   *
   * @returns `undefined` when it was left as it was.
   * @throws CliError `usage` when there is nobody to ask, or the editor failed.
   */
  async edited(text: string, name: string): Promise<string | undefined> {
    if (!this.canAsk) throw new CliError("usage", "there is no terminal for an editor");
    const { edit } = await import("./editor.ts");
    return this.#output.aside(() => edit(this.#host, text, name));
  }

  /** Ctrl-Z leaves the terminal in the middle of a question: afterwards it is asked anew. */
  async #ask<T>(ask: (context: Terminal) => Promise<T>): Promise<T> {
    for (;;) {
      const resumed = new AbortController();
      try {
        return await this.#atTerminal((terminal) => {
          terminal.onSuspend(
            () => undefined,
            () => resumed.abort(),
            resumed.signal,
          );
          return ask({ ...terminal, signal: AbortSignal.any([terminal.signal, resumed.signal]) });
        });
      } catch (error) {
        if (resumed.signal.aborted && !this.#host.stop.aborted) continue;
        if (error instanceof Error && /^(ExitPrompt|AbortPrompt|CancelPrompt)Error$/.test(error.name)) {
          throw new CliError("interrupted", "interrupted; nothing was changed");
        }
        throw error;
      } finally {
        resumed.abort();
      }
    }
  }

  #atTerminal<T>(ask: (terminal: Terminal) => Promise<T>): Promise<T> {
    const { stdin, stderr, stop, timing, onExit, onSuspend } = this.#host;
    const before = this.#asked;
    const asking = this.#output.aside(async () => {
      await before.catch(() => undefined);
      const input = new QuestionInput(stdin, timing.questionMs);
      try {
        // The terminal's own stream: questions move the cursor on it.
        return await ask({ input, output: stderr as unknown as Writable, signal: stop, onExit, onSuspend });
      } finally {
        input.close();
      }
    });
    this.#asked = asking;
    return asking;
  }
}
