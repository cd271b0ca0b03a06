import { UPSTREAM_CODES } from "../contract/procedures.ts";
import { CliError, type ErrorKind } from "../errors.ts";
import { command, hint, type Said } from "../typed-command.ts";
import { inWords } from "./words.ts";

export interface ApiErrorDetails {
  /** The procedure or route that was called. */
  readonly procedure: string;
  /**
   * Whether any byte of the request may have reached the platform. `false` is proof that nothing happened there; `true` is
   * no proof that something did.
   */
  readonly sent: boolean;
  /** The platform itself refused or failed, in its own form, and the answer agrees with itself. */
  readonly own?: boolean | undefined;
  /** Of whatever answered. */
  readonly httpStatus?: number | undefined;
  /** The tRPC error code, such as `CONFLICT`, of a refusal that is the platform's own. */
  readonly trpcCode?: string | undefined;
  readonly upstreamCode?: string | undefined;
  /** The platform refused the input before it did anything. */
  readonly hasZodError?: boolean | undefined;
  /** The platform does not know what was called. */
  readonly noSuchProcedure?: boolean | undefined;
  /** What was answered, word for word: it may hold SQL, markup and a run's output. */
  readonly detail?: string | undefined;
  /** How long the platform asked to wait, in milliseconds. */
  readonly retryAfterMs?: number | undefined;
  /** The same read may succeed if it is tried again. */
  readonly transient: boolean;
  readonly hint?: Said | readonly Said[] | undefined;
  readonly cause?: unknown;
}

/** A call that did not give a usable answer. */
export class ApiError extends CliError {
  override readonly name = "ApiError";
  readonly procedure: string;
  override readonly sent: boolean;
  /** The platform itself refused or failed. False: no answer, one of something in between, or one that contradicts itself. */
  readonly own: boolean;
  readonly httpStatus: number | undefined;
  /** Of a refusal of the platform's own only. */
  readonly trpcCode: string | undefined;
  readonly upstreamCode: string | undefined;
  readonly hasZodError: boolean;
  readonly noSuchProcedure: boolean;
  readonly retryAfterMs: number | undefined;
  readonly transient: boolean;

  constructor(kind: ErrorKind, message: string, details: ApiErrorDetails) {
    const { transient: retryable, hint = [], cause, detail } = details;
    super(kind, message, { retryable, hint, cause, detail });
    this.procedure = details.procedure;
    this.sent = details.sent;
    this.own = details.own ?? false;
    this.httpStatus = details.httpStatus;
    this.trpcCode = details.trpcCode;
    this.upstreamCode = details.upstreamCode;
    this.hasZodError = details.hasZodError ?? false;
    this.noSuchProcedure = details.noSuchProcedure ?? false;
    this.retryAfterMs = details.retryAfterMs;
    this.transient = details.transient;
  }

  /** Something in between has answered, or the answer contradicts itself. */
  get foreign(): boolean {
    return this.kind === "unreachable" && !this.own && this.httpStatus !== undefined;
  }
}

/** The one code that each of these statuses comes with where nothing was tried; without it, the worker may have tried. */
const REFUSED_BEFORE: Readonly<Record<number, string>> = {
  404: UPSTREAM_CODES.instanceNotFound,
  412: UPSTREAM_CODES.routeUnavailable,
};

/**
 * Whether a call that ended with this error is known to have changed nothing: nothing of it was ever sent, or the platform itself
 * refused it before it did anything. Whatever else came back, a 409, a 5xx, a page, a contradiction, leaves that open.
 */
export function provesNothingHappened(error: ApiError): boolean {
  const { sent, own, httpStatus, trpcCode, upstreamCode, hasZodError, noSuchProcedure } = error;
  if (!sent) return true;
  if (!own) return false;
  if (noSuchProcedure) return true;
  if (trpcCode === undefined || httpStatus === undefined) return false;
  if (httpStatus === 401 || httpStatus === 403) return true;
  if (httpStatus === 400) return hasZodError;
  return upstreamCode !== undefined && REFUSED_BEFORE[httpStatus] === upstreamCode;
}

/** Whether what went wrong is that the platform fails, rather than the way there or what was asked. */
export function platformFails(error: unknown): boolean {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if (cause instanceof ApiError && (cause.httpStatus ?? 0) >= 500) return true;
  }
  return false;
}

/** What an answer is called that begins as the platform's own and is not. */
export const CONTRADICTION = "an answer that contradicts itself";

/**
 * An answer of something in between, or one that contradicts itself: it says nothing about what was asked, and a read may be
 * tried again.
 *
 * @param what answered, in words, such as `a page titled "Welcome"`.
 */
export function foreign(
  procedure: string,
  httpStatus: number,
  what: string,
  details: Pick<ApiErrorDetails, "detail" | "retryAfterMs"> = {},
): ApiError {
  const { message, hint } = foreignWords(httpStatus, what);
  const { detail = what, ...rest } = details;
  return new ApiError("unreachable", message, {
    procedure,
    sent: true,
    transient: true,
    httpStatus,
    hint,
    detail,
    ...rest,
  });
}

/** A status alone tells a platform that fails, or asks for less, from something else that answers in its place. */
function foreignWords(httpStatus: number, what: string): { message: string; hint: Said } {
  const doctor = command("doctor");
  // What the platform began to say was changed on its way.
  const edge = what !== CONTRADICTION;
  if (edge && httpStatus === 429) {
    return { message: "throttled (HTTP 429 from the platform's edge)", hint: "try again in a minute" };
  }
  if (edge && httpStatus >= 500) {
    return {
      message: `the platform is failing (HTTP ${httpStatus} from its edge)`,
      hint: hint`try again in a minute; to see whether it is the platform or the way there: ${doctor}`,
    };
  }
  return {
    message: `unexpected answer (HTTP ${httpStatus}), not from the platform itself: ${what}`,
    hint: hint`a proxy, a firewall or a network's login page may answer in its place; check the way there: ${doctor}`,
  };
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
      hint: "check for a newer kiloclaw-admin; the platform may have changed",
      ...details,
    },
  );
}

/**
 * The error for a refusal by the platform itself, whichever API it came from.
 *
 * @param message the platform's own, word for word.
 */
export function refusal(httpStatus: number, message: string, details: Omit<ApiErrorDetails, "sent" | "transient">) {
  const { kind, transient, hint } = meaningOf(httpStatus);
  const words = inWords(message);
  return new ApiError(kind, kind === "unreachable" ? `the platform answered ${httpStatus}: ${words}` : words, {
    hint,
    detail: message,
    ...details,
    own: true,
    sent: true,
    transient,
    httpStatus,
  });
}

function meaningOf(httpStatus: number): { kind: ErrorKind; transient: boolean; hint?: Said } {
  switch (httpStatus) {
    case 400:
    case 413:
      return { kind: "usage", transient: false };
    case 401:
      return { kind: "auth", transient: false, hint: hint`see why and what to do: ${command("auth status")}` };
    case 403:
      return {
        kind: "auth",
        transient: false,
        hint: hint`this needs an admin's account; see who you are: ${command("auth status")}`,
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
