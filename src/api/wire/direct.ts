import http from "node:http";
import type https from "node:https";
import type { LookupFunction } from "node:net";
import { callAfter } from "../../async/wait.ts";
import { KEEP_ALIVE_MS, SWITCHED_PROTOCOLS, type Wire, type WireAnswer, type WireRequest } from "./wire.ts";

/**
 * Straight to the platform with Node's own client. undici would do, but its parser is WebAssembly: compiling it takes longer
 * than everything else that a short command does.
 */
export class DirectWire implements Wire {
  readonly #kept = { keepAlive: true, timeout: KEEP_ALIVE_MS };
  readonly #connectMs: number;
  readonly #lookup: LookupFunction | undefined;
  #agent: http.Agent | undefined;

  /**
   * @param connectMs how long to wait for a connection.
   * @param lookup finds addresses in place of the system's own way.
   */
  constructor(connectMs: number, lookup?: LookupFunction) {
    this.#connectMs = connectMs;
    this.#lookup = lookup;
  }

  async send(request: WireRequest, onSent: () => void): Promise<WireAnswer> {
    const url = new URL(request.path, request.origin);
    const secure = url.protocol === "https:" ? (await import("node:https")).default : undefined;
    this.#agent ??= new (secure ?? http).Agent(this.#kept);
    const agent = request.ownConnection ? false : this.#agent;
    return exchange(url, request, { secure, agent, onSent, connectMs: this.#connectMs, lookup: this.#lookup });
  }

  async close(): Promise<void> {
    this.#agent?.destroy();
  }
}

function exchange(
  url: URL,
  { method, headers, body, signal }: WireRequest,
  {
    secure,
    agent,
    onSent,
    connectMs,
    lookup,
  }: {
    secure: typeof https | undefined;
    agent: http.Agent | false;
    onSent: () => void;
    connectMs: number;
    lookup: LookupFunction | undefined;
  },
): Promise<WireAnswer> {
  return new Promise((resolve, reject) => {
    const switched = ({ socket }: http.IncomingMessage) => {
      socket.destroy();
      reject(Object.assign(new Error("switched to another protocol"), { code: SWITCHED_PROTOCOLS }));
    };
    const outgoing = (secure ?? http).request(url, { method, headers, signal, agent, lookup }, (answer) => {
      const { statusCode: status = 0 } = answer;
      // Without saying to which.
      if (status === 101) switched(answer);
      else resolve({ status, headers: answer.headers, body: answer });
    });
    const slow = callAfter(connectMs, () => {
      outgoing.destroy(Object.assign(new Error("no connection"), { code: "ETIMEDOUT" }));
    });
    const connected = () => {
      slow.cancel();
      onSent();
    };
    outgoing.once("socket", (socket) => {
      // What is written before the connection stands is kept back until then.
      if (outgoing.reusedSocket) connected();
      else socket.once(secure ? "secureConnect" : "connect", connected);
    });
    // Neither an answer nor an error for Node: without a listener nothing at all would come of it.
    outgoing.once("upgrade", switched);
    outgoing.on("error", reject);
    // The last event of every exchange: after an answer or an error it says nothing new.
    outgoing.once("close", () => {
      slow.cancel();
      reject(Object.assign(new Error("closed without an answer"), { code: "ECONNRESET" }));
    });
    outgoing.end(body);
  });
}
