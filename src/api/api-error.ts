import { CliError, type ErrorKind } from "../errors.ts";

export interface ApiErrorDetails {
  /** The procedure or route that was called. */
  readonly procedure: string;
  /**
   * Whether any byte of the request may have reached the platform. `false` is proof that nothing happened there; `true` is
   * no proof that something did.
   */
  readonly sent: boolean;
  readonly httpStatus?: number | undefined;
  /** The tRPC error code, such as `CONFLICT`, of an answer that is a well-formed tRPC error. */
  readonly trpcCode?: string | undefined;
  readonly upstreamCode?: string | undefined;
  /** How long the platform asked to wait, in milliseconds. */
  readonly retryAfterMs?: number | undefined;
  /** The same read may succeed if it is tried again. */
  readonly transient: boolean;
  readonly hint?: string | readonly string[] | undefined;
  readonly cause?: unknown;
}

/** A call that did not give a usable answer. */
export class ApiError extends CliError {
  override readonly name = "ApiError";
  readonly procedure: string;
  override readonly sent: boolean;
  readonly httpStatus: number | undefined;
  readonly trpcCode: string | undefined;
  readonly upstreamCode: string | undefined;
  readonly retryAfterMs: number | undefined;
  readonly transient: boolean;

  constructor(kind: ErrorKind, message: string, details: ApiErrorDetails) {
    super(kind, message, { retryable: details.transient, hint: details.hint ?? [], cause: details.cause });
    this.procedure = details.procedure;
    this.sent = details.sent;
    this.httpStatus = details.httpStatus;
    this.trpcCode = details.trpcCode;
    this.upstreamCode = details.upstreamCode;
    this.retryAfterMs = details.retryAfterMs;
    this.transient = details.transient;
  }
}

/** An answer that this version does not understand, with the place in it that is off. */
export function notUnderstood(procedure: string, what: string, details: Partial<ApiErrorDetails> = {}): ApiError {
  return new ApiError(
    "incompatible",
    `the platform answered something this version does not understand: ${procedure}: ${what}`,
    {
      procedure,
      sent: true,
      transient: false,
      hint: "see whether a newer kiloclaw-admin is out; the platform may have changed",
      ...details,
    },
  );
}

/** The error for a refusal with this HTTP status and message, whichever API it came from. */
export function refusal(httpStatus: number, message: string, details: Omit<ApiErrorDetails, "sent" | "transient">) {
  const { kind, transient, hint } = meaningOf(httpStatus);
  return new ApiError(kind, kind === "unreachable" ? `the platform answered ${httpStatus}: ${message}` : message, {
    hint,
    ...details,
    sent: true,
    transient,
    httpStatus,
  });
}

function meaningOf(httpStatus: number): { kind: ErrorKind; transient: boolean; hint?: string } {
  switch (httpStatus) {
    case 400:
    case 413:
    case 431:
      return { kind: "usage", transient: false };
    case 401:
      return { kind: "auth", transient: false, hint: "see why and what to do: kiloclaw-admin auth status" };
    case 403:
      return {
        kind: "auth",
        transient: false,
        hint: "this needs an admin's account; see who you are: kiloclaw-admin auth status",
      };
    case 404:
      return { kind: "not-found", transient: false };
    case 409:
    case 412:
      return { kind: "conflict", transient: false };
    case 408:
    case 429:
      return { kind: "unreachable", transient: true };
    default:
      return httpStatus >= 500 ? { kind: "unreachable", transient: true } : { kind: "incompatible", transient: false };
  }
}
