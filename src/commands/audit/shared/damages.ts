import type { Context } from "../../../context.ts";
import { CliError } from "../../../errors.ts";
import type { JournalFile } from "../../../journal/folder.ts";
import { command, hint } from "../../../typed-command.ts";

/** The journals that could not be read to their end: said at once, and not forgotten at the end. */
export class Damages {
  readonly #output: Pick<Context["output"], "warn">;
  readonly #errors = new Map<string, CliError>();

  constructor(output: Pick<Context["output"], "warn">) {
    this.#output = output;
  }

  /** Takes a journal that cannot be read on. One that is read twice is told of once. */
  readonly onDamaged = ({ name }: JournalFile, error: CliError): void => {
    if (!this.#errors.has(name)) this.#output.warn(error.message);
    this.#errors.set(name, error);
  };

  /** @throws CliError `local-state` */
  throwIfAny(): void {
    const [first, ...more] = this.#errors.values();
    if (!first) return;
    const what = more.length === 0 ? "a journal" : `${more.length + 1} journals`;
    throw new CliError("local-state", `this is not all: ${what} could not be read to the end`, {
      hint: [
        hint`see which: ${command("audit verify", { "--offline": true })}`,
        ...(more.length === 0 ? first.hints : []),
      ],
    });
  }
}
