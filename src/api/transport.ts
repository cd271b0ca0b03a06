import type { LookupFunction } from "node:net";
import { pipeline, type Readable } from "node:stream";
import { limit } from "../async/limit.ts";
import { onAbort, unlessAborted } from "../async/on-abort.ts";
import { ownSignal } from "../async/own-signal.ts";
import { suspendSignal } from "../async/suspend.ts";
import type { Timing } from "../timing.ts";
import { ApiError, foreign, notUnderstood } from "./api-error.ts";
import { isLoopback, type Origin } from "./origin.ts";
import { PlatformClock } from "./platform-clock.ts";
import { tokenRemover } from "./token.ts";
import { openWire } from "./wire/open.ts";
import { ProxyTrouble } from "./wire/proxy.ts";
import { SWITCHED_PROTOCOLS, type Wire, type WireAnswer } from "./wire/wire.ts";

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
  /** Gives another token once a read was refused with 401; `undefined`: there is none. Asked once. */
  readonly renewToken?: (() => Promise<string | undefined>) | undefined;
  readonly userAgent: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly timing: Timing;
  /** Finds a host's addresses in place of the system's own way. */
  readonly lookup?: LookupFunction | undefined;
  /** Aborts reads that have no signal of their own. */
  readonly signal?: AbortSignal | undefined;
  /** Told with each answer that the platform's clock is so many milliseconds ahead of this machine's, where that is over a minute. */
  readonly onClockOff?: ((aheadMs: number) => void) | undefined;
  readonly onExchange?: ((exchange: ExchangeLog) => void) | undefined;
  /** Told what is waited for. */
  readonly waiting?: AwaitedAnswers | undefined;
}

/** Who says what is waited for. What a method returns is to be called when the wait is over. */
interface AwaitedAnswers {
  answer(): () => void;
  pause(why: string, ms: number): () => void;
}

export interface Outgoing {
  readonly method: string;
  /** Path and query, starting with `/`. */
  readonly path: string;
  /** What debug output shows instead of `path`, when the path itself is a secret. */
  readonly shownPath?: string | undefined;
  /** What is asked for, in words of the contract: names the call in errors. */
  readonly procedure: string;
  readonly body?: string | undefined;
  readonly signal?: AbortSignal | undefined;
  /** How long to wait for the whole answer, in milliseconds. */
  readonly timeoutMs: number;
  /** The most decoded bytes of answer to take. */
  readonly maxBytes: number;
  /** Whether an answer is the platform's own. Only its own 401 is a reason to log in anew. */
  readonly isOwn?: ((answer: Answer) => boolean) | undefined;
}

export interface Answer {
  readonly status: number;
  readonly text: string;
  readonly retryAfterMs: number | undefined;
  /** What time it was on the platform's clock, to the second. */
  readonly date: Date | undefined;
}

/**
 * Whether Node checks who answers at the other end of TLS: `NODE_TLS_REJECT_UNAUTHORIZED=0` turns that off for the whole
 * process.
 */
export function checksCertificates(env: Readonly<Record<string, string | undefined>>): boolean {
  return env.NODE_TLS_REJECT_UNAUTHORIZED !== "0";
}

/** The parts of Node whose debug output has the headers or bytes of a request, and so the token. */
const TELLING = ["http", "https", "net", "tls"];

/**
 * Whether Node itself would print what is sent: `NODE_DEBUG` names parts of Node, separated by commas, in any case and with `*`
 * for any characters.
 */
function printsRequests({ NODE_DEBUG }: Readonly<Record<string, string | undefined>>): boolean {
  if (!NODE_DEBUG) return false;
  return NODE_DEBUG.split(",").some((part) => {
    const pattern = part.replaceAll(/[.*+?^${}()|[\]\\]/g, (special) => (special === "*" ? ".*" : `\\${special}`));
    const named = new RegExp(`^${pattern}$`, "i");
    return TELLING.some((telling) => named.test(telling));
  });
}

/** Requests to one origin, each sent at most once, and its whole answer. */
export class Transport {
  /** What time it is on the platform, by the answers so far. */
  readonly clock = new PlatformClock();
  readonly #options: TransportOptions;
  /** Nothing that comes back carries the token any further. */
  #token: string | undefined;
  #withoutToken: (text: string) => string;
  #renewed: Promise<string | undefined> | undefined;
  #wire: Promise<Wire> | undefined;

  constructor(options: TransportOptions) {
    this.#options = options;
    this.#token = options.token;
    this.#withoutToken = tokenRemover(options.token);
  }

  /**
   * Sends the request and reads the whole answer, whatever its status.
   *
   * @throws ApiError when there is no complete answer; its `sent` says whether any byte may have left this machine.
   */
  async exchange(outgoing: Outgoing): Promise<Answer> {
    const answer = await this.#exchangeOnce(outgoing);
    // Only a read is asked again: what changes something goes out once, whatever the answer.
    if (answer.status !== 401 || outgoing.method !== "GET" || !this.#options.renewToken) return answer;
    if (!outgoing.isOwn?.(answer)) return answer;
    this.#renewed ??= this.#options.renewToken();
    const token = await this.#renewed;
    if (token === undefined) return answer;
    this.#token = token;
    this.#withoutToken = tokenRemover(token);
    return this.#exchangeOnce(outgoing);
  }

  async #exchangeOnce(outgoing: Outgoing): Promise<Answer> {
    const { origin, env, onExchange } = this.#options;
    const late = limit(outgoing.signal, outgoing.timeoutMs);
    const sleep = suspendSignal();
    const own = ownSignal(late.signal, sleep.signal);
    const answered = this.#options.waiting?.answer();
    let sent = false;
    const began = performance.now();
    const log = (outcome: string, bytes = 0) =>
      onExchange?.({
        method: outgoing.method,
        path: (outgoing.shownPath ?? outgoing.path).replace(/\?.*/s, ""),
        outcome,
        bytes,
        ms: performance.now() - began,
      });
    try {
      if (!checksCertificates(env) && !isLoopback(new URL(origin).hostname))
        throw unchecked(outgoing.procedure, origin);
      if (printsRequests(env)) throw printed(outgoing.procedure);
      // Whatever the wire does or fails to do, the exchange ends with its time, its caller's wish or the machine's sleep.
      const answer = await unlessAborted(
        own.signal,
        this.#ask(outgoing, own.signal, () => (sent = true)),
      );
      log(String(answer.status), answer.text.length);
      return answer;
    } catch (error) {
      const failure =
        error instanceof ApiError
          ? error
          : this.#failure(error, outgoing, { sent, late: late.expired, asleep: sleep.signal.aborted });
      log(failure.message);
      throw failure;
    } finally {
      answered?.();
      late.release();
      sleep.release();
      own.release();
      if (sleep.signal.aborted) await this.#dropConnections();
    }
  }

  /** @throws whatever the wire throws; ApiError for an answer that is none. */
  async #ask(outgoing: Outgoing, signal: AbortSignal, onSent: () => void): Promise<Answer> {
    const { origin, userAgent } = this.#options;
    const token = this.#token;
    this.#wire ??= openWire(this.#options);
    const wire = await this.#wire;
    const sentAtMs = Date.now();
    const response = await wire.send(
      {
        origin,
        path: outgoing.path,
        method: outgoing.method,
        signal,
        headers: {
          accept: "application/json",
          "accept-encoding": "gzip, br",
          "user-agent": userAgent,
          ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
          ...(outgoing.body === undefined ? {} : { "content-type": "application/json" }),
        },
        body: outgoing.body,
        ownConnection: outgoing.method !== "GET",
      },
      onSent,
    );
    const { status, headers, body } = response;
    // What nobody reads would keep the connection, and with it the process.
    onAbort(signal, () => body.destroy());
    try {
      const date = parseHttpDate(headers.date);
      if (date) this.clock.note(date, sentAtMs);
      if (this.clock.offMs !== 0) this.#options.onClockOff?.(this.clock.offMs);
      if (status >= 300 && status < 400) {
        // Not followed: a token goes to no other address.
        const to = this.#withoutToken(redirectedTo(headers.location, origin));
        throw foreign(outgoing.procedure, status, `a redirect to ${outgoing.shownPath ? "another address" : to}`);
      }
      const text = this.#withoutToken(await readCapped(await decoded(response), outgoing, status));
      return { status, text, retryAfterMs: parseRetryAfter(headers["retry-after"], date), date };
    } catch (error) {
      body.destroy();
      throw error;
    }
  }

  /** What is kept open from before a sleep would only swallow the next request. */
  async #dropConnections(): Promise<void> {
    await this.close();
    this.#wire = undefined;
  }

  async close(): Promise<void> {
    // A way that could not be opened has been reported where it was needed.
    await (await this.#wire?.catch(() => undefined))?.close();
  }

  #failure(
    error: unknown,
    outgoing: Outgoing,
    { sent, late, asleep }: { sent: boolean; late: boolean; asleep: boolean },
  ): ApiError {
    const { procedure } = outgoing;
    const { hostname, origin } = new URL(this.#options.origin);
    const fail = (what: string, hint?: string) =>
      new ApiError("unreachable", what, { procedure, sent, transient: true, cause: error, hint });
    if (outgoing.signal?.aborted) {
      return new ApiError("interrupted", "interrupted", { procedure, sent, transient: false, cause: error });
    }
    if (late) return fail(`${origin} did not answer ${procedure} within ${outgoing.timeoutMs / 1000} s`);
    if (asleep) return fail(`this machine was asleep while ${origin} was asked for ${procedure}`);
    if (error instanceof ProxyTrouble) {
      return fail(`no way to ${origin}: ${error.message}`, error.hint);
    }
    const code = networkCode(error);
    switch (code) {
      case "ENOTFOUND":
      case "EAI_AGAIN":
        return fail(`cannot resolve the host name ${hostname} (${code})`, "check the network, the VPN and --host");
      case "ECONNREFUSED":
        return fail(`${origin} refuses connections (${code})`, "is it the right address, and is it running?");
      case "ETIMEDOUT":
      case "UND_ERR_CONNECT_TIMEOUT":
        return fail(
          `no connection to ${origin} within ${this.#options.timing.connectMs / 1000} s`,
          "check the network and proxy",
        );
      case "ECONNRESET":
      case "UND_ERR_SOCKET":
      case "EPIPE":
        return fail(`the connection to ${origin} broke before the answer to ${procedure} was complete (${code})`);
      case SWITCHED_PROTOCOLS:
        return fail(`unexpected answer from ${origin} to ${procedure}: it switched to another protocol (HTTP 101)`);
      default:
        if (!sent && /CERT|TLS|SSL|SELF_SIGNED|UNABLE_TO/.test(code ?? "")) {
          return fail(
            `${origin} could not prove its identity (${code})`,
            "if your company inspects TLS, name its certificate in NODE_EXTRA_CA_CERTS",
          );
        }
        return fail(`the call ${procedure} to ${origin} failed (${code ?? this.#withoutToken(rootMessage(error))})`);
    }
  }
}

/** The answer's body as it was before an edge compressed it. */
async function decoded({ headers, body }: WireAnswer): Promise<Readable> {
  const encoding = headers["content-encoding"];
  if (encoding === undefined || encoding === "identity") return body;
  const { createBrotliDecompress, createGunzip, createInflate } = await import("node:zlib");
  const decoders = new Map([
    ["gzip", createGunzip],
    ["br", createBrotliDecompress],
    ["deflate", createInflate],
  ]);
  const decoder = decoders.get(String(encoding))?.();
  if (!decoder) throw new Error(`the answer is encoded as ${String(encoding)}`);
  pipeline(body, decoder, () => undefined);
  return decoder;
}

/** Decoded bytes are what is counted: 300 kB of gzip can be 300 MB of text. */
async function readCapped(body: Readable, { maxBytes, procedure }: Outgoing, httpStatus: number): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  let bytes = 0;
  for await (const chunk of body as AsyncIterable<Uint8Array>) {
    bytes += chunk.byteLength;
    if (bytes > maxBytes) {
      throw notUnderstood(procedure, `the answer is larger than ${Math.round(maxBytes / 2 ** 20)} MiB`, { httpStatus });
    }
    text += decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
}

/** Whom a redirect leads to, without what may be secret in its path. */
function redirectedTo(location: string | string[] | undefined, origin: string): string {
  return typeof location === "string" && URL.canParse(location, origin)
    ? new URL(location, origin).host || "another address"
    : "nowhere";
}

/** How long to wait, in milliseconds: digits, or a date that is compared with the answer's own. Anything else says nothing. */
function parseRetryAfter(header: string | string[] | undefined, date: Date | undefined): number | undefined {
  if (typeof header === "string" && /^\d+$/.test(header)) return Number(header) * 1000;
  const until = parseHttpDate(header);
  const ms = until && date ? until.getTime() - date.getTime() : -1;
  return ms < 0 ? undefined : ms;
}

/** The form that HTTP prescribes (RFC 9110, 5.6.7), and the older one with a name of the weekday. */
const HTTP_DATE = /^[A-Z][a-z]+, \d\d[ -][A-Z][a-z]{2}[ -](?:\d\d){1,2} \d\d:\d\d:\d\d GMT$/;

function parseHttpDate(header: string | string[] | undefined): Date | undefined {
  if (typeof header !== "string" || !HTTP_DATE.test(header)) return undefined;
  const date = new Date(header);
  return Number.isNaN(date.getTime()) ? undefined : date;
}

/**
 * Anybody on the way could read a token that is sent, or hand out one at login. A `usage` error: what is wrong is how the tool
 * was called, and logging in again would not help.
 */
function unchecked(procedure: string, origin: Origin): ApiError {
  return new ApiError(
    "usage",
    `NODE_TLS_REJECT_UNAUTHORIZED=0 turns off the check of who answers at ${origin}: nothing was sent there`,
    {
      procedure,
      sent: false,
      transient: false,
      hint: [
        "unset NODE_TLS_REJECT_UNAUTHORIZED",
        "if your company inspects TLS, name its certificate in NODE_EXTRA_CA_CERTS",
      ],
    },
  );
}

/** Also without a token: an answer may hold one, and a path a code that is worth one. */
function printed(procedure: string): ApiError {
  return new ApiError("usage", "NODE_DEBUG would have Node print every request, the token included: nothing was sent", {
    procedure,
    sent: false,
    transient: false,
    hint: ["unset NODE_DEBUG", "to see each request without its secrets, use --debug"],
  });
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
