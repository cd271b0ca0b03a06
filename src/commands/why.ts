import type { Context, Why } from "../context.ts";

/** The options that say why something is changed. */
export interface WhyOptions {
  readonly ticket?: string | undefined;
  readonly reason?: string | undefined;
}

/** Why something is changed, for the record. */
export async function whyOf(_context: Pick<Context, "prompter">, { ticket, reason }: WhyOptions): Promise<Why> {
  return { ticket: ticket ?? null, reason: reason ?? null };
}
