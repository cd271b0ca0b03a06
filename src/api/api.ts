import { createTRPCUntypedClient, httpBatchLink, splitLink, TRPCClientError } from "@trpc/client";
import type { AnyRouter } from "@trpc/server";
import type * as z from "zod";
import { ownSignal } from "../async/own-signal.ts";
import { admin, trpcError, type Procedure } from "../contract/procedures.ts";
import type { Route } from "../contract/rest.ts";
import type { Timing } from "../timing.ts";
import { ApiError, notUnderstood } from "./api-error.ts";
import {
  dataOf,
  entriesOf,
  isOwnBatch,
  isOwnRestRefusal,
  isRecord,
  parse,
  restAnswer,
  trpcRefusal,
} from "./own-answer.ts";
import type { PlatformClock } from "./platform-clock.ts";
import { withRetry } from "./retry.ts";
import { Transport, type TransportOptions } from "./transport.ts";

const MIB = 2 ** 20;
const MAX_BYTES = 64 * MIB;
/** A status answer carries up to 1,048,599 UTF-16 units of output, at most six bytes each as JSON, and change. */
const MAX_STATUS_BYTES = 16 * MIB;
const READ_TIMEOUT_MS = 45_000;
const WRITE_TIMEOUT_MS = 45_000;

/** The platform refuses request headers above 16 KiB; an edge in front of it may refuse earlier. */
const MAX_URL_LENGTH = 8_000;
const MAX_BATCH = 50;
/** Fewer of those whose answers can be megabytes each: who asks for many knows how long they were the last time. */
const MAX_STATUS_BATCH = 30;

const ENDPOINT = "/api/trpc";

type Query = Procedure & { readonly kind: "query" };
type Mutation = Procedure & { readonly kind: "mutation" };

export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
  /** Try again on transient trouble. Default true. Watching decides for itself. */
  readonly retry?: boolean;
}

export interface ApiOptions extends TransportOptions {
  /** Told of each answer to a question: what was asked, and what it says. */
  readonly onAnswer?: ((path: string, answer: unknown) => void) | undefined;
}

/** Typed calls to the platform. Queries made in the same tick share a request; a mutation is one request, sent once. */
export class Api {
  /** How long those wait who ask the platform. */
  readonly timing: Timing;
  readonly #transport: Transport;
  readonly #signal: AbortSignal | undefined;
  readonly #onAnswer: ApiOptions["onAnswer"];
  readonly #onPause: ((error: ApiError, ms: number) => () => void) | undefined;
  readonly #client: ReturnType<typeof createTRPCUntypedClient<AnyRouter>>;

  /** What time it is on the platform, by its answers so far. */
  get clock(): PlatformClock {
    return this.#transport.clock;
  }

  constructor(options: ApiOptions) {
    this.timing = options.timing;
    this.#transport = new Transport(options);
    this.#signal = options.signal;
    this.#onAnswer = options.onAnswer;
    const { waiting } = options;
    this.#onPause = waiting && ((error, ms) => waiting.pause(whyPaused(error), ms));
    const link = (maxItems: number) =>
      httpBatchLink({
        url: ENDPOINT,
        maxItems,
        maxURLLength: MAX_URL_LENGTH,
        fetch: (url, init) => this.#fetchBatch(String(url), init?.signal ?? undefined),
      });
    this.#client = createTRPCUntypedClient<AnyRouter>({
      links: [
        splitLink({
          condition: ({ path }) => path === admin.getKiloCliRunStatus.path,
          true: link(MAX_STATUS_BATCH),
          false: link(MAX_BATCH),
        }),
      ],
    });
  }

  /**
   * Asks the platform something.
   *
   * @throws ApiError
   */
  async query<P extends Query>(procedure: P, input: z.input<P["input"]>, options: CallOptions = {}) {
    const { signal: given = this.#signal, retry = true } = options;
    const { retryMs } = this.timing;
    // Its own for each query: whoever listens to it for as long as the tool runs must not become ever more.
    const own = given && ownSignal(given);
    const signal = own?.signal;
    const ask = async (): Promise<z.output<P["output"]>> => {
      try {
        const data = await this.#client.query(procedure.path, input, signal ? { signal } : {});
        const answer = parse<P["output"]>(procedure.path, procedure.output, data);
        this.#onAnswer?.(procedure.path, answer);
        return answer;
      } catch (error) {
        throw queryError(error, procedure.path);
      }
    };
    try {
      return await (retry
        ? withRetry(ask, ({ transient }) => transient, { signal, retryMs, onPause: this.#onPause })
        : ask());
    } finally {
      own?.release();
    }
  }

  /**
   * Asks the platform to change something: one request, sent once, never again by this method. An error whose `sent` is
   * true leaves open whether the change was made, unless `provesNothingHappened` knows better.
   *
   * @param timeoutMs how long to wait for the answer.
   * @throws ApiError
   */
  async mutate<P extends Mutation>(
    procedure: P,
    input: z.input<P["input"]>,
    { signal, timeoutMs = WRITE_TIMEOUT_MS }: { signal?: AbortSignal | undefined; timeoutMs?: number } = {},
  ): Promise<z.output<P["output"]>> {
    const answer = await this.#transport.exchange({
      method: "POST",
      path: `${ENDPOINT}/${procedure.path}`,
      procedure: procedure.path,
      body: JSON.stringify(input),
      signal,
      timeoutMs,
      maxBytes: MAX_BYTES,
    });
    return parse<P["output"]>(procedure.path, procedure.output, dataOf(answer, procedure.path));
  }

  /**
   * Calls one of the platform's REST reads.
   *
   * @throws ApiError whose message is the platform's own reason, which tRPC hides.
   */
  async get<A extends z.ZodType>(
    route: Route<A> & { readonly method: "GET" },
    query: Record<string, string> = {},
    { signal = this.#signal, retry = true }: CallOptions = {},
  ): Promise<z.output<A>> {
    const search = new URLSearchParams(query).toString();
    const path = search ? `${route.path}?${search}` : route.path;
    const answer = await withRetry(
      async () => {
        const answer = await this.#transport.exchange({
          method: "GET",
          path,
          procedure: route.path,
          signal,
          timeoutMs: READ_TIMEOUT_MS,
          maxBytes: MAX_BYTES,
          isOwn: isOwnRestRefusal,
        });
        return restAnswer(answer, route);
      },
      ({ transient }) => retry && transient,
      { signal, retryMs: this.timing.retryMs, onPause: this.#onPause },
    );
    this.#onAnswer?.(route.path, answer);
    return answer;
  }

  async close(): Promise<void> {
    await this.#transport.close();
  }

  async #fetchBatch(url: string, signal: AbortSignal | undefined) {
    const procedures = url
      .slice(ENDPOINT.length + 1)
      .replace(/\?.*/s, "")
      .split(",");
    const statuses = procedures.filter((path) => path === admin.getKiloCliRunStatus.path).length;
    const answer = await this.#transport.exchange({
      method: "GET",
      path: url,
      procedure: [...new Set(procedures)].join(","),
      signal,
      timeoutMs: READ_TIMEOUT_MS,
      maxBytes: statuses === procedures.length ? Math.min(MAX_BYTES, statuses * MAX_STATUS_BYTES) : MAX_BYTES,
      isOwn: (own) => isOwnBatch(own, procedures),
    });
    const body = entriesOf(answer, procedures);
    return {
      status: answer.status,
      ok: answer.status < 300,
      json: async () => withRetryAfter(body, answer.retryAfterMs),
    };
  }
}

function whyPaused({ httpStatus }: ApiError): string {
  if (httpStatus === 429) return "throttled";
  if (httpStatus === undefined) return "no answer";
  return httpStatus >= 500 ? `the platform is failing (HTTP ${httpStatus})` : `unexpected answer (HTTP ${httpStatus})`;
}

/** A batch has one `Retry-After` for all. */
function withRetryAfter(body: unknown, retryAfterMs: number | undefined): unknown {
  for (const entry of Array.isArray(body) ? body : [body]) {
    if (isRecord(entry) && isRecord(entry.error) && isRecord(entry.error.data)) {
      entry.error.data.retryAfterMs = retryAfterMs;
    }
  }
  return body;
}

function queryError(error: unknown, path: string): unknown {
  if (!(error instanceof TRPCClientError)) return error;
  if (error.cause instanceof ApiError) return error.cause;
  const shape = trpcError().safeParse({ error: error.shape });
  if (shape.success) {
    const data = error.data as { retryAfterMs?: number };
    return trpcRefusal(shape.data.error, path, data.retryAfterMs);
  }
  if (error.message.startsWith("Input is too big")) {
    return new ApiError("usage", `the search text is too long for ${path}`, {
      procedure: path,
      sent: false,
      transient: false,
    });
  }
  return notUnderstood(path, error.message, { transient: true, cause: error });
}
