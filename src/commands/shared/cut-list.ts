import type { Context } from "../../context.ts";

/** What is known of a list of which only the beginning was read. */
export interface Cut {
  /** How many there are; `undefined` where that was not told. */
  readonly total: number | undefined;
}

/** Says that a list is not the whole one. Without a `cut`, it is. */
export function sayCut({ output }: Pick<Context, "output">, shown: number, cut: Cut | undefined): void {
  if (!cut || shown === 0) return;
  output.note(`${cut.total === undefined ? `the first ${shown}` : `${shown} of ${cut.total}`}: --limit 0 for all`);
}
