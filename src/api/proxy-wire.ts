import { type Dispatcher, EnvHttpProxyAgent } from "undici";
import { CONNECT_TIMEOUT_MS, KEEP_ALIVE_MS, type Wire, type WireAnswer, type WireRequest } from "./wire.ts";

export interface ProxySettings {
  readonly httpProxy: string | undefined;
  readonly httpsProxy: string | undefined;
  /** Hosts that are reached without a proxy. */
  readonly noProxy: string | undefined;
}

/** This machine is never behind a proxy. */
const LOOPBACK = "localhost,127.0.0.1,[::1]";

/** Through the proxy that the environment names (HTTPS_PROXY, HTTP_PROXY, NO_PROXY). */
export class ProxyWire implements Wire {
  readonly #kept: Dispatcher;
  readonly #own: Dispatcher;

  constructor({ httpProxy, httpsProxy, noProxy }: ProxySettings) {
    const options = {
      ...(httpProxy ? { httpProxy } : {}),
      ...(httpsProxy ? { httpsProxy } : {}),
      noProxy: noProxy ? `${noProxy},${LOOPBACK}` : LOOPBACK,
      connect: { timeout: CONNECT_TIMEOUT_MS },
      // The request's own signal decides how long to wait.
      headersTimeout: 0,
      bodyTimeout: 0,
    };
    this.#kept = new EnvHttpProxyAgent({
      ...options,
      keepAliveTimeout: KEEP_ALIVE_MS,
      keepAliveMaxTimeout: KEEP_ALIVE_MS,
    });
    this.#own = new EnvHttpProxyAgent({ ...options, pipelining: 0 });
  }

  async send({ origin, path, method, headers, body, signal, ownConnection }: WireRequest, onSent: () => void) {
    const dispatcher = watched(ownConnection ? this.#own : this.#kept, onSent);
    const answer = await dispatcher.request({ origin, path, method, headers, body: body ?? null, signal });
    return { status: answer.statusCode, headers: answer.headers, body: answer.body } satisfies WireAnswer;
  }

  async close(): Promise<void> {
    await Promise.all([this.#kept.destroy(), this.#own.destroy()]);
  }
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
