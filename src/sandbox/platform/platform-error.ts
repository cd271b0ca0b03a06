import { TRPCError } from "@trpc/server";
import { DrizzleQueryError } from "drizzle-orm";
import { UPSTREAM_CODES } from "../../contract/procedures.ts";
import { WorkerError, WorkerUnreachable } from "../machines/worker.ts";

type Code = ConstructorParameters<typeof TRPCError>[0]["code"];

/** A failed call with the worker's own code, which the answer carries as `upstreamCode`. */
export class PlatformError extends TRPCError {
  readonly upstreamCode: string | undefined;

  constructor(code: Code, message: string, upstreamCode?: string) {
    super({ code, message });
    this.upstreamCode = upstreamCode;
  }
}

export function instanceNotFound(message = "Instance not found"): PlatformError {
  return new PlatformError("NOT_FOUND", message, UPSTREAM_CODES.instanceNotFound);
}

/** The tRPC codes that the web app takes over from the worker; all other statuses become a 500. */
const PASSED_ON: Record<number, Code> = {
  400: "BAD_REQUEST",
  404: "NOT_FOUND",
  409: "CONFLICT",
  412: "PRECONDITION_FAILED",
  429: "TOO_MANY_REQUESTS",
};

/** What the web app makes of trouble on a start or a cancel: the worker's, or the database's while it settles a run. */
export function commandFailed(error: unknown, doing: "start" | "cancel"): unknown {
  if (error instanceof WorkerUnreachable || error instanceof DrizzleQueryError) {
    return new PlatformError("INTERNAL_SERVER_ERROR", `Failed to ${doing} kilo CLI run: ${error.message}`);
  }
  if (!(error instanceof WorkerError)) return error;
  if (error.code === UPSTREAM_CODES.routeUnavailable) {
    return new PlatformError("PRECONDITION_FAILED", "Instance needs redeploy to support recovery", error.code);
  }
  return new PlatformError(PASSED_ON[error.status] ?? "INTERNAL_SERVER_ERROR", error.message, error.code);
}

/** Why a start for an organization was refused, as far as the web app tells its members: the rest is a bare 500. */
const TOLD_TO_MEMBERS: readonly (string | undefined)[] = [
  UPSTREAM_CODES.alreadyActive,
  UPSTREAM_CODES.instanceNotRunning,
  UPSTREAM_CODES.routeUnavailable,
];

/** What the web app makes of trouble on a start or a cancel by an organization's member. */
export function memberCommandFailed(error: unknown, doing: "start" | "cancel"): unknown {
  const isTold = error instanceof WorkerError && doing === "start" && TOLD_TO_MEMBERS.includes(error.code);
  return isTold ? commandFailed(error, doing) : statusFailed(error);
}

/** What the web app makes of the worker's trouble on a status poll: nothing but a 500. */
export function statusFailed(error: unknown): unknown {
  if (error instanceof WorkerUnreachable) return new PlatformError("INTERNAL_SERVER_ERROR", error.message);
  if (error instanceof WorkerError)
    return new PlatformError("INTERNAL_SERVER_ERROR", `KiloClaw API error (${error.status})`);
  return error;
}
