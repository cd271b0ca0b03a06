import http from "node:http";
import type https from "node:https";
import { CONNECT_TIMEOUT_MS, KEEP_ALIVE_MS, type Wire, type WireAnswer, type WireRequest } from "./wire.ts";

/**
 * Straight to the platform with Node's own client. undici would do, but its parser is WebAssembly: compiling it takes longer
 * than everything else that a short command does.
 */
export class DirectWire implements Wire {
  readonly #kept = { keepAlive: true, timeout: KEEP_ALIVE_MS };
  #agent: http.Agent | undefined;

  async send(request: WireRequest, onSent: () => void): Promise<WireAnswer> {
    const url = new URL(request.path, request.origin);
    const secure = url.protocol === "https:" ? (await import("node:https")).default : undefined;
    this.#agent ??= new (secure ?? http).Agent(this.#kept);
    return exchange(url, request, { secure, agent: request.ownConnection ? false : this.#agent, onSent });
  }

  async close(): Promise<void> {
    this.#agent?.destroy();
  }
}

function exchange(
  url: URL,
  { method, headers, body, signal }: WireRequest,
  { secure, agent, onSent }: { secure: typeof https | undefined; agent: http.Agent | false; onSent: () => void },
): Promise<WireAnswer> {
  return new Promise((resolve, reject) => {
    const outgoing = (secure ?? http).request(url, { method, headers, signal, agent }, (answer) =>
      resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body: answer }),
    );
    const slow = setTimeout(() => {
      outgoing.destroy(Object.assign(new Error("no connection"), { code: "ETIMEDOUT" }));
    }, CONNECT_TIMEOUT_MS);
    const connected = () => {
      clearTimeout(slow);
      onSent();
    };
    outgoing.once("socket", (socket) => {
      // What is written before the connection stands is kept back until then.
      if (outgoing.reusedSocket) connected();
      else socket.once(secure ? "secureConnect" : "connect", connected);
    });
    outgoing.once("error", (error) => {
      clearTimeout(slow);
      reject(error);
    });
    outgoing.end(body);
  });
}
