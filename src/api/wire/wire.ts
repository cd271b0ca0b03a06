import type { Readable } from "node:stream";

export interface WireRequest {
  readonly origin: string;
  /** Path and query. */
  readonly path: string;
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | undefined;
  readonly signal: AbortSignal;
  /** Use a connection of its own, so that no socket that the platform is just closing can swallow the request. */
  readonly ownConnection: boolean;
}

export interface WireAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Readable;
}

/** Carries one request to the platform and its answer back, once: no retry, no redirect. */
export interface Wire {
  /**
   * @param onSent called as soon as any byte of the request may have left: when it has a connected socket. If it was not
   *   called, nothing has reached anybody.
   */
  send(request: WireRequest, onSent: () => void): Promise<WireAnswer>;
  close(): Promise<void>;
}

/** The code of the error of an exchange that was answered with 101: nobody asked to speak anything but HTTP. */
export const SWITCHED_PROTOCOLS = "HTTP_101";

/** The platform closes connections that were idle for 5 s; reusing one at that moment is a reset. */
export const KEEP_ALIVE_MS = 4_000;
