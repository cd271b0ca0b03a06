import { Agent, EnvHttpProxyAgent, type Dispatcher } from "undici";
import { ApiError, notUnderstood } from "./api-error.ts";
import type { Origin } from "./origin.ts";

/** What went over the wire, for `--debug`: never a header, never a body. */
export interface ExchangeLog {
  readonly method: string;
  readonly path: string;
  readonly outcome: string;
  readonly ms: number;
  readonly bytes: number;
}

export interface TransportOptions {
  readonly origin: Origin;
  readonly token: string | undefined;
  readonly userAgent: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly onExchange?: ((exchange: ExchangeLog) => void) | undefined;
}

export interface Request {
  readonly method: string;
  /** Path and query, starting with `/`. */
  readonly path: string;
  /** What is asked for, in words of the contract: names the call in errors. */
  readonly procedure: string;
  readonly body?: string | undefined;
  readonly signal?: AbortSignal | undefined;
  /** How long to wait for the whole answer, in milliseconds. */
  readonly timeoutMs: number;
  /** The most decoded bytes of answer to take. */
  readonly maxBytes: number;
}

export interface Answer {
  readonly status: number;
  readonly text: string;
  readonly retryAfterMs: number | undefined;
}

const CONNECT_TIMEOUT_MS = 10_000;
/** The platform closes sockets that were idle for 5 s; reusing one at that moment is a reset. */
const KEEP_ALIVE_MS = 4_000;
/** Above every answer timeout, so that the request's own signal decides. */
const STALLED_MS = 300_000;

/**
 * One HTTP request at a time to one origin, each sent at most once: no retry, no redirect. The connection is kept alive
 * between reads; a request with a body gets a connection of its own, so that no stale socket can swallow it.
 */
export class Transport {
  readonly #options: TransportOptions;
  readonly #reads: Dispatcher;
  readonly #writes: Dispatcher;

  constructor(options: TransportOptions) {
    this.#options = options;
    this.#reads = createDispatcher(options.env, {
      keepAliveTimeout: KEEP_ALIVE_MS,
      keepAliveMaxTimeout: KEEP_ALIVE_MS,
    });
    this.#writes = createDispatcher(options.env, { pipelining: 0 });
  }

  /**
   * Sends the request and reads the whole answer, whatever its status.
   *
   * @throws ApiError when there is no complete answer; its `sent` says whether any byte may have left this machine.
   */
  async exchange(request: Request): Promise<Answer> {
    const { origin, token, userAgent, onExchange } = this.#options;
    const timeout = AbortSignal.timeout(request.timeoutMs);
    const signal = request.signal ? AbortSignal.any([request.signal, timeout]) : timeout;
    const wire = watchedDispatcher(request.method === "GET" ? this.#reads : this.#writes);
    const began = performance.now();
    const log = (outcome: string, bytes = 0) =>
      onExchange?.({
        method: request.method,
        path: request.path.replace(/\?.*/s, ""),
        outcome,
        bytes,
        ms: performance.now() - began,
      });
    // `dispatcher` is an option of Node's fetch that its types know only for the undici inside Node.
    const init = {
      method: request.method,
      redirect: "error" as const,
      signal,
      dispatcher: wire.dispatcher,
      headers: {
        accept: "application/json",
        "user-agent": userAgent,
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        ...(request.body === undefined ? {} : { "content-type": "application/json" }),
      },
      ...(request.body === undefined ? {} : { body: request.body }),
    };
    try {
      const response = await fetch(origin + request.path, init as object);
      const text = await readCapped(response, request);
      log(String(response.status), text.length);
      return { status: response.status, text, retryAfterMs: parseRetryAfter(response.headers.get("retry-after")) };
    } catch (error) {
      const failure = error instanceof ApiError ? error : this.#failure(error, request, wire.sent(), timeout);
      log(failure.message);
      throw failure;
    }
  }

  async close(): Promise<void> {
    await Promise.all([this.#reads.destroy(), this.#writes.destroy()]);
  }

  #failure(error: unknown, request: Request, sent: boolean, timeout: AbortSignal): ApiError {
    const { procedure } = request;
    const { hostname, origin } = new URL(this.#options.origin);
    const fail = (what: string, hint?: string) =>
      new ApiError("unreachable", what, { procedure, sent, transient: true, cause: error, hint });
    if (request.signal?.aborted) {
      return new ApiError("interrupted", "interrupted", { procedure, sent, transient: false, cause: error });
    }
    if (timeout.aborted) return fail(`${origin} did not answer ${procedure} within ${request.timeoutMs / 1000} s`);
    const code = networkCode(error);
    switch (code) {
      case "ENOTFOUND":
      case "EAI_AGAIN":
        return fail(`cannot resolve the host name ${hostname} (${code})`, "check the network, the VPN and --host");
      case "ECONNREFUSED":
        return fail(`${origin} refuses connections (${code})`, "is it the right address, and is it running?");
      case "UND_ERR_CONNECT_TIMEOUT":
        return fail(`no connection to ${origin} within ${CONNECT_TIMEOUT_MS / 1000} s`, "check the network and proxy");
      case "ECONNRESET":
      case "UND_ERR_SOCKET":
      case "EPIPE":
        return fail(`the connection to ${origin} broke before the answer to ${procedure} was complete (${code})`);
      default:
        if (!sent && /CERT|TLS|SSL|SELF_SIGNED|UNABLE_TO/.test(code ?? "")) {
          return fail(
            `${origin} could not prove its identity (${code})`,
            "if your company inspects TLS, name its certificate in NODE_EXTRA_CA_CERTS",
          );
        }
        return fail(`the call ${procedure} to ${origin} failed (${code ?? rootMessage(error)})`);
    }
  }
}

function createDispatcher(env: TransportOptions["env"], options: Agent.Options): Dispatcher {
  const common = {
    ...options,
    connect: { timeout: CONNECT_TIMEOUT_MS },
    headersTimeout: STALLED_MS,
    bodyTimeout: STALLED_MS,
  };
  const httpProxy = env.http_proxy ?? env.HTTP_PROXY;
  const httpsProxy = env.https_proxy ?? env.HTTPS_PROXY;
  if (!httpProxy && !httpsProxy) return new Agent(common);
  return new EnvHttpProxyAgent({
    ...common,
    ...(httpProxy ? { httpProxy } : {}),
    ...(httpsProxy ? { httpsProxy } : {}),
    noProxy: env.no_proxy ?? env.NO_PROXY ?? "localhost,127.0.0.1,[::1]",
  });
}

/** The dispatcher with a memory: whether the request came to the point of being written to a connected socket. */
function watchedDispatcher(dispatcher: Dispatcher): { dispatcher: Dispatcher; sent: () => boolean } {
  let sent = false;
  const watched = dispatcher.compose(
    (dispatch) => (options, handler) =>
      dispatch(options, {
        onRequestStart(controller, context) {
          sent = true;
          handler.onRequestStart?.(controller, context);
        },
        onRequestUpgrade: (...upgrade) => handler.onRequestUpgrade?.(...upgrade),
        onResponseStart: (...head) => handler.onResponseStart?.(...head),
        onResponseData: (...data) => handler.onResponseData?.(...data),
        onResponseEnd: (...end) => handler.onResponseEnd?.(...end),
        onResponseError: (...failure) => handler.onResponseError?.(...failure),
      }),
  );
  return { dispatcher: watched, sent: () => sent };
}

/** Decoded bytes are what is counted: 300 kB of gzip can be 300 MB of text. */
async function readCapped(response: Response, { maxBytes, procedure }: Request): Promise<string> {
  if (!response.body) return "";
  const decoder = new TextDecoder();
  let text = "";
  let bytes = 0;
  for await (const chunk of response.body) {
    bytes += chunk.byteLength;
    if (bytes > maxBytes) {
      throw notUnderstood(procedure, `the answer is larger than ${Math.round(maxBytes / 2 ** 20)} MiB`, {
        httpStatus: response.status,
      });
    }
    text += decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
}

function parseRetryAfter(header: string | null): number | undefined {
  if (header === null) return undefined;
  if (/^\d+$/.test(header)) return Number(header) * 1000;
  const at = Date.parse(header);
  return Number.isNaN(at) ? undefined : Math.max(0, at - Date.now());
}

function networkCode(error: unknown): string | undefined {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if (cause instanceof AggregateError && cause.errors[0] instanceof Error) return networkCode(cause.errors[0]);
    if ("code" in cause && typeof cause.code === "string") return cause.code;
  }
  return undefined;
}

function rootMessage(error: unknown): string {
  let message = String(error);
  for (let cause = error; cause instanceof Error; cause = cause.cause) message = cause.message;
  return message;
}
