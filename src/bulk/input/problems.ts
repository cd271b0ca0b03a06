import { CliError } from "../../errors.ts";

const MAX_NAMED = 10;

/** What is wrong with an input, gathered so that it is said all at once: every problem is counted, the first ten are named. */
export class Problems {
  readonly #named: string[] = [];
  #count = 0;

  /** @param where such as `line 3`. */
  add(where: string, what: string): void {
    this.#count += 1;
    if (this.#named.length < MAX_NAMED) this.#named.push(`${where}: ${what}`);
  }

  /**
   * @param words says of so many of them what is wrong in general.
   * @throws CliError `usage` when there are any.
   */
  throwIfAny(words: (count: number) => string, hint: readonly string[] = []): void {
    if (this.#count === 0) return;
    const more = this.#count - this.#named.length;
    throw new CliError("usage", `${words(this.#count)}; nothing was sent`, {
      hint: [...this.#named, ...(more > 0 ? [`and ${more} more`] : []), ...hint],
    });
  }
}

/** A value as it is shown in a problem. */
export function quoted(text: string): string {
  return `"${text.length > 60 ? `${text.slice(0, 60)}…` : text}"`;
}
