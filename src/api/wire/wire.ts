import type { Readable } from "node:stream";
import type { Origin } from "../origin.ts";
import { proxyFor } from "./proxy.ts";

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

export const CONNECT_TIMEOUT_MS = 10_000;

/** The way there: direct, or through the proxy that the environment names. Each is loaded only where it is used. */
export async function openWire(origin: Origin, env: Readonly<Record<string, string | undefined>>): Promise<Wire> {
  const proxy = proxyFor(origin, env);
  if (!proxy) {
    const { DirectWire } = await import("./direct.ts");
    return new DirectWire();
  }
  const { ProxyWire } = await import("./proxied.ts");
  return new ProxyWire(proxy);
}
