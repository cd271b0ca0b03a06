import http from "node:http";
import type https from "node:https";
import { CONNECT_TIMEOUT_MS, KEEP_ALIVE_MS, type Wire, type WireAnswer, type WireRequest } from "./wire.ts";

/**
 * Straight to the platform with Node's own client. `fetch` would do, but its parser is WebAssembly: compiling it takes longer
 * than everything else that a short command does.
 */
export class DirectWire implements Wire {
  readonly #kept = { keepAlive: true, timeout: KEEP_ALIVE_MS };
  #agent: http.Agent | undefined;

  async send(request: WireRequest, onSent: () => void): Promise<WireAnswer> {
    const url = new URL(request.path, request.origin);
    const secure = url.protocol === "https:" ? (await import("node:https")).default : undefined;
    this.#agent ??= new (secure ?? http).Agent(this.#kept);
    return exchange(url, request, {
      http: secure ?? http,
      agent: request.ownConnection ? false : this.#agent,
      connectedAt: secure ? "secureConnect" : "connect",
      onSent,
    });
  }

  async close(): Promise<void> {
    this.#agent?.destroy();
  }
}

interface ExchangeOptions {
  readonly http: typeof http | typeof https;
  readonly agent: http.Agent | false;
  /** The event that says that a new socket is connected; absent when the agent hands over connected ones, in its own time. */
  readonly connectedAt?: "connect" | "secureConnect";
  readonly onSent: () => void;
}

/** One request and its answer. */
export function exchange(
  url: URL,
  { method, headers, body, signal }: WireRequest,
  { http, agent, connectedAt, onSent }: ExchangeOptions,
): Promise<WireAnswer> {
  return new Promise((resolve, reject) => {
    const outgoing = http.request(url, { method, headers, signal, agent }, (answer) =>
      resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body: answer }),
    );
    // A request that waits for its socket does not say that it was aborted.
    const aborted = () => reject(new Error("aborted", { cause: signal.reason }));
    signal.addEventListener("abort", aborted, { once: true });
    const slow =
      connectedAt &&
      setTimeout(() => {
        outgoing.destroy(Object.assign(new Error("no connection"), { code: "ETIMEDOUT" }));
      }, CONNECT_TIMEOUT_MS);
    const connected = () => {
      clearTimeout(slow);
      onSent();
    };
    outgoing.once("socket", (socket) => {
      signal.removeEventListener("abort", aborted);
      // What is written before the connection stands is kept back until then.
      if (outgoing.reusedSocket || !connectedAt) connected();
      else socket.once(connectedAt, connected);
    });
    outgoing.once("error", (error) => {
      clearTimeout(slow);
      signal.removeEventListener("abort", aborted);
      reject(error);
    });
    outgoing.end(body);
  });
}
