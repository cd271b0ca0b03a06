import { withoutTokens } from "./secrets.ts";
import { rewritten, type Said } from "./typed-command.ts";

/** What kind of thing went wrong, in the terms of whoever reads it. `exit-codes.ts` gives each its number. */
export type ErrorKind =
  | "unexpected"
  | "incompatible"
  | "unhealthy"
  | "usage"
  | "run-failed"
  | "auth"
  | "not-found"
  | "ambiguous"
  | "conflict"
  | "outcome-unknown"
  | "still-running"
  | "partial"
  | "run-cancelled"
  | "unreachable"
  | "local-state"
  | "interrupted"
  | "terminated"
  | "hung-up";

export interface CliErrorOptions {
  /** What to type or do next, one line each, with the IDs filled in; commands are made by `command`. */
  hint?: Said | readonly Said[];
  /** Whether the same command may work later without any change. */
  retryable?: boolean;
  /**
   * `silent`: the command has already said everything there is to say (a watched run's result, for example), only the exit
   * code is left to set.
   */
  silent?: boolean;
  /**
   * Whether a request that changes something had left this machine. A conflict can come before that or after it; the kinds that
   * promise that nothing was sent never come after it.
   */
  sent?: boolean;
  /** What another machine said, word for word, where the message has it in fewer words. Shown with `--debug` only. */
  detail?: string | undefined;
  cause?: unknown;
}

/** An error that a user can expect and act upon. Everything else that reaches `main` is a bug. */
export class CliError extends Error {
  override readonly name: string = "CliError";
  readonly kind: ErrorKind;
  readonly hints: readonly Said[];
  readonly retryable: boolean;
  readonly silent: boolean;
  readonly sent: boolean | undefined;
  readonly detail: string | undefined;

  constructor(kind: ErrorKind, message: string, options: CliErrorOptions = {}) {
    super(withoutTokens(message), { cause: options.cause });
    this.kind = kind;
    this.hints = [options.hint ?? []].flat().map((said) => rewritten(said, withoutTokens));
    this.retryable = options.retryable ?? false;
    this.silent = options.silent ?? false;
    this.sent = options.sent;
    this.detail = options.detail;
  }
}

/** The message of whatever was thrown. */
export function messageOf(error: unknown): string {
  return withoutTokens(error instanceof Error ? error.message : String(error));
}
