import http from "node:http";
import https from "node:https";
import { isIP, type Socket } from "node:net";
import tls, { type TLSSocket } from "node:tls";
import { exchange } from "./direct-wire.ts";
import type { Proxy } from "./proxy.ts";
import {
  CONNECT_TIMEOUT_MS,
  KEEP_ALIVE_MS,
  ProxyTrouble,
  type Wire,
  type WireAnswer,
  type WireRequest,
} from "./wire.ts";

/** Where a tunnel is to end, as Node's agent hands it over. */
interface End {
  readonly host: string;
  readonly port: number | string;
}

type Made = (error: Error | null, socket?: TLSSocket) => void;

/**
 * Through a proxy, which sees where the connection goes and nothing of what is said: CONNECT, and TLS with the platform in it.
 * The libraries for this ask again for ever when the proxy hangs up, wait minutes for one that says nothing, or pass its
 * refusal off as the platform's answer, and none of that says whether anything was sent.
 */
export class ProxyWire implements Wire {
  readonly #proxy: URL;
  readonly #kept: https.Agent;
  readonly #connecting = new AbortController();

  /** @throws ProxyTrouble when the address is none of a proxy. */
  constructor({ url }: Proxy) {
    if (!/^https?:/i.test(url) || !URL.canParse(url)) throw new ProxyTrouble("the proxy's address is not an http: URL");
    this.#proxy = new URL(url);
    this.#kept = this.#agent({ keepAlive: true, timeout: KEEP_ALIVE_MS });
  }

  /** @throws ProxyTrouble when the proxy cannot be reached, refuses, or lets wait; nothing was sent then. */
  send(request: WireRequest, onSent: () => void): Promise<WireAnswer> {
    const agent = request.ownConnection ? this.#agent({}) : this.#kept;
    return exchange(new URL(request.path, request.origin), request, { http: https, agent, onSent });
  }

  async close(): Promise<void> {
    this.#connecting.abort();
    this.#kept.destroy();
  }

  #agent(options: https.AgentOptions): https.Agent {
    const createConnection = (end: End, made: Made): undefined => {
      this.#tunnel(end).then(
        (socket) => made(null, socket),
        (error: unknown) => made(error instanceof Error ? error : new Error(String(error))),
      );
    };
    return Object.assign(new https.Agent(options), { createConnection });
  }

  /** TLS with the platform, in a connection that the proxy made. All of it has as long as a direct connection has. */
  async #tunnel({ host, port }: End): Promise<TLSSocket> {
    const slow = AbortSignal.timeout(CONNECT_TIMEOUT_MS);
    const signal = AbortSignal.any([slow, this.#connecting.signal]);
    try {
      const socket = await this.#connect(`${host}:${port}`, signal);
      return await encrypted(socket, host, signal);
    } catch (error) {
      if (slow.aborted) throw this.#trouble(`made no connection within ${CONNECT_TIMEOUT_MS / 1_000} s`, error);
      throw error;
    }
  }

  #connect(path: string, signal: AbortSignal): Promise<Socket> {
    const { protocol, username, password } = this.#proxy;
    const login = Buffer.from(`${decodeURIComponent(username)}:${decodeURIComponent(password)}`).toString("base64");
    const headers = { host: path, ...(username ? { "proxy-authorization": `Basic ${login}` } : {}) };
    return new Promise((resolve, reject) => {
      const asking = (protocol === "https:" ? https : http).request(
        new URL(this.#proxy.origin),
        { method: "CONNECT", path, headers, agent: false, signal },
        // Never: what answers CONNECT comes as an event of its own.
      );
      asking.once("connect", ({ statusCode = 0 }, socket: Socket, early) => {
        if (statusCode < 200 || statusCode > 299) {
          socket.destroy();
          reject(this.#trouble(`answered ${statusCode}`, undefined, { wantsLogin: statusCode === 407 }));
          return;
        }
        if (early.length > 0) socket.unshift(early);
        resolve(socket);
      });
      asking.once("error", (error) => {
        const code = "code" in error ? String(error.code) : error.message;
        reject(this.#trouble(`made no connection (${code})`, error));
      });
      asking.end();
    });
  }

  #trouble(what: string, cause: unknown, details: { wantsLogin?: boolean } = {}): ProxyTrouble {
    return new ProxyTrouble(`the proxy ${this.#proxy.host} ${what}`, { ...details, cause });
  }
}

/** The connection, once the platform has proved who it is. */
function encrypted(socket: Socket, host: string, signal: AbortSignal): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const name = host.replace(/^\[|\]$/g, "");
    const encrypting = tls.connect({
      socket,
      host: name,
      servername: isIP(name) ? "" : name,
      ALPNProtocols: ["http/1.1"],
    });
    const giveUp = () => encrypting.destroy(new Error("given up", { cause: signal.reason }));
    signal.addEventListener("abort", giveUp);
    encrypting.once("error", reject);
    encrypting.once("secureConnect", () => {
      signal.removeEventListener("abort", giveUp);
      encrypting.off("error", reject);
      resolve(encrypting);
    });
  });
}
