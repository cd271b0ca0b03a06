import http from "node:http";
import https from "node:https";
import { isIP, type LookupFunction, type Socket } from "node:net";
import tls, { type TLSSocket } from "node:tls";
import { Pool, type buildConnector, type Dispatcher } from "undici";
import { limit } from "../../async/limit.ts";
import { endOf, ProxyTrouble, type Proxy } from "./proxy.ts";
import { KEEP_ALIVE_MS, type Wire, type WireAnswer, type WireRequest } from "./wire.ts";

/**
 * Through a proxy, which sees where the connection goes and nothing of what is said: CONNECT, and TLS with the platform in it.
 * undici's own ProxyAgent asks again for ever when the proxy hangs up and waits minutes for one that says nothing, so the
 * tunnel is made here, and undici talks through it.
 */
export class ProxyWire implements Wire {
  readonly #proxy: URL;
  readonly #variable: string;
  readonly #authorization: string | undefined;
  readonly #connectMs: number;
  readonly #lookup: LookupFunction | undefined;
  readonly #connecting = new AbortController();
  #kept: Pool | undefined;

  /**
   * @param connectMs how long to wait for a connection.
   * @param lookup finds the proxy's addresses in place of the system's own way.
   * @throws ProxyTrouble when the address is none of a proxy.
   */
  constructor(proxy: Proxy, connectMs: number, lookup?: LookupFunction) {
    const { url, authorization } = endOf(proxy);
    this.#proxy = url;
    this.#connectMs = connectMs;
    this.#lookup = lookup;
    this.#variable = proxy.variable;
    this.#authorization = authorization;
  }

  /** @throws ProxyTrouble when the proxy cannot be reached, refuses, or lets wait; nothing was sent then. */
  async send(request: WireRequest, onSent: () => void): Promise<WireAnswer> {
    const { origin, path, method, headers, body, signal, ownConnection } = request;
    const pool = ownConnection ? this.#pool(origin) : (this.#kept ??= this.#pool(origin));
    const asking = watched(pool, onSent).request({
      path,
      method: method as Dispatcher.HttpMethod,
      headers,
      body: body ?? null,
      signal,
      reset: ownConnection,
    });
    // A request that waits for its connection does not hear that it was aborted.
    const { statusCode, headers: answered, body: content } = await Promise.race([asking, abortOf(signal)]);
    return { status: statusCode, headers: answered, body: content };
  }

  async close(): Promise<void> {
    this.#connecting.abort();
    await this.#kept?.destroy();
  }

  #pool(origin: string): Pool {
    const connect: buildConnector.connector = ({ hostname, port }, made) => {
      this.#tunnel(hostname, Number(port) || 443).then(
        (socket) => made(null, socket),
        (error: unknown) => made(error instanceof Error ? error : new Error(String(error)), null),
      );
    };
    return new Pool(origin, {
      connect,
      keepAliveTimeout: KEEP_ALIVE_MS,
      keepAliveMaxTimeout: KEEP_ALIVE_MS,
      // The request's own signal decides how long to wait.
      headersTimeout: 0,
      bodyTimeout: 0,
    });
  }

  /** TLS with the platform, in a connection that the proxy made. All of it has as long as a direct connection has. */
  async #tunnel(host: string, port: number): Promise<TLSSocket> {
    const slow = limit(this.#connecting.signal, this.#connectMs);
    try {
      const socket = await this.#connect(`${isIP(host) === 6 ? `[${host}]` : host}:${port}`, slow.signal);
      return await encrypted(socket, host, slow.signal);
    } catch (error) {
      if (slow.expired) throw this.#trouble(`made no connection within ${this.#connectMs / 1_000} s`, error);
      throw error;
    } finally {
      slow.release();
    }
  }

  #connect(path: string, signal: AbortSignal): Promise<Socket> {
    const { protocol, origin } = this.#proxy;
    const authorization = this.#authorization;
    const headers = { host: path, ...(authorization === undefined ? {} : { "proxy-authorization": authorization }) };
    return new Promise((resolve, reject) => {
      const asking = (protocol === "https:" ? https : http).request(
        new URL(origin),
        { method: "CONNECT", path, headers, agent: false, signal, lookup: this.#lookup },
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
      asking.on("error", (error) => {
        const code = "code" in error ? String(error.code) : error.message;
        reject(this.#trouble(`made no connection (${code})`, error));
      });
      // After an answer or an error this says nothing new.
      asking.once("close", () => reject(this.#trouble("hung up", undefined)));
      asking.end();
    });
  }

  #trouble(what: string, cause: unknown, { wantsLogin = false } = {}): ProxyTrouble {
    const hint = wantsLogin
      ? `put your name and password for it into ${this.#variable}: http://name:password@proxy:port`
      : `check ${this.#variable}; hosts that need no proxy go into NO_PROXY`;
    return new ProxyTrouble(`the proxy ${this.#proxy.host} ${what}`, { hint, cause });
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
    encrypting.once("close", () => reject(new Error("closed before TLS was agreed on")));
    encrypting.once("secureConnect", () => {
      signal.removeEventListener("abort", giveUp);
      encrypting.off("error", reject);
      resolve(encrypting);
    });
  });
}

/** The dispatcher, telling when it is about to write a request to a connected socket. */
function watched(dispatcher: Dispatcher, onSent: () => void): Dispatcher {
  return dispatcher.compose(
    (dispatch) => (options, handler) =>
      dispatch(options, {
        onRequestStart(controller, context) {
          onSent();
          handler.onRequestStart?.(controller, context);
        },
        onRequestUpgrade: (...upgrade) => handler.onRequestUpgrade?.(...upgrade),
        onResponseStart: (...head) => handler.onResponseStart?.(...head),
        onResponseData: (...data) => handler.onResponseData?.(...data),
        onResponseEnd: (...end) => handler.onResponseEnd?.(...end),
        onResponseError: (...failure) => handler.onResponseError?.(...failure),
      }),
  );
}

function abortOf(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    const abort = () => reject(new Error("aborted", { cause: signal.reason }));
    if (signal.aborted) abort();
    else signal.addEventListener("abort", abort, { once: true });
  });
}
