import { type Dispatcher, ProxyAgent } from "undici";
import type { Proxy } from "./proxy.ts";
import { CONNECT_TIMEOUT_MS, KEEP_ALIVE_MS, type Wire, type WireAnswer, type WireRequest } from "./wire.ts";

/** Through a proxy, which sees where the connection goes and nothing of what is said. */
export class ProxyWire implements Wire {
  readonly #kept: Dispatcher;
  readonly #own: Dispatcher;

  constructor({ url }: Proxy) {
    const options = {
      uri: url,
      connect: { timeout: CONNECT_TIMEOUT_MS },
      // The request's own signal decides how long to wait.
      headersTimeout: 0,
      bodyTimeout: 0,
    };
    this.#kept = new ProxyAgent({ ...options, keepAliveTimeout: KEEP_ALIVE_MS, keepAliveMaxTimeout: KEEP_ALIVE_MS });
    this.#own = new ProxyAgent({ ...options, pipelining: 0 });
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
