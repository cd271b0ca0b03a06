/** The faults of the matrix, each as what it does to one exchange. What a seed decides is decided once for a whole case. */
import { setTimeout as sleep } from "node:timers/promises";
import { TRPC_CODES } from "../../src/contract/procedures.ts";
import type { Dice } from "./dice.ts";
import { onTheWire, type Answer, type Deal, type Exchange } from "./proxy.ts";

/** A fault as a seed has made it. */
export interface Made {
  readonly deal: Deal;
  /** What the seed decided, for whoever looks for the cause of a failure. */
  readonly what: string;
}

/** Whether a request that gets a bad answer has done its work all the same. */
type Reach = "not delivered" | "delivered meanwhile" | "delivered";

const reaches = (dice: Dice): Reach => dice.pick<Reach>("not delivered", "delivered", "delivered meanwhile");

async function reach(exchange: Exchange, how: Reach): Promise<void> {
  // A read that is handed on tells nothing more.
  if (how === "not delivered" || exchange.method === "GET") return;
  const delivery = exchange.deliver();
  if (how === "delivered") await delivery;
  else keep(exchange, delivery);
}

/** Work that goes on after the exchange was dealt with. */
const behind = new WeakMap<Exchange, Promise<unknown>>();
function keep(exchange: Exchange, work: Promise<unknown>): void {
  work.catch(() => undefined);
  behind.set(exchange, Promise.all([behind.get(exchange), work]));
}

/** Waits for the deliveries that were not waited for. */
export async function arrived(exchanges: readonly Exchange[]): Promise<void> {
  await Promise.all(exchanges.map((exchange) => behind.get(exchange)));
}

const JSON_TYPE = { "content-type": "application/json" };

function page(status: number, type: string, text: string, headers: Record<string, string> = {}): Answer {
  return { status, headers: { "content-type": type, ...headers }, body: Buffer.from(text) };
}

/** The platform's own error, in the form of the exchange. */
function platformError(
  exchange: Exchange,
  status: number,
  code: string,
  more: { headers?: Record<string, string>; upstreamCode?: string } = {},
): Answer {
  const errors = exchange.paths.map((path) => trpcError({ status, code, path, upstreamCode: more.upstreamCode }));
  const body = {
    batch: errors,
    single: errors[0],
    rest: { error: `a fault: ${code}`, success: false },
  }[exchange.form];
  return page(status, "application/json", JSON.stringify(body), more.headers);
}

interface TrpcErrorParts {
  readonly status: number;
  readonly code: string;
  readonly path: string;
  readonly upstreamCode?: string | undefined;
}

function trpcError({ status, code, path, upstreamCode }: TrpcErrorParts) {
  const data = { code, httpStatus: status, path, zodError: null, upstreamCode };
  return { error: { message: `a fault: ${code}`, code: TRPC_CODES[code]?.number, data } };
}

/**
 * An answer that reads like a definite refusal, or a success, and contradicts itself in one part. REST has no second part to
 * contradict: there it is a refusal without the word that it is one.
 */
function contradiction(exchange: Exchange, part: Part): Answer {
  const gone = { status: 404, code: "NOT_FOUND", upstreamCode: "instance_not_found" };
  const status = part === "status" ? 502 : part === "result" ? 200 : 404;
  const entries = exchange.paths.map((own) => {
    const path = part === "path" ? `${own}Again` : own;
    const { error } = trpcError({ ...gone, path, ...(part === "code" ? { code: "UNAUTHORIZED" } : {}) });
    return part === "result" ? { result: { data: {} }, error } : { error };
  });
  const body = { batch: entries, single: entries[0], rest: { error: "a fault: not here" } }[exchange.form];
  return page(exchange.form === "rest" ? 404 : status, "application/json", JSON.stringify(body));
}

const PARTS = ["status", "result", "path", "code"] as const;
type Part = (typeof PARTS)[number];

/** An answer that comes in place of the right one. */
function instead(dice: Dice, name: string, answer: (exchange: Exchange) => Answer, how = reaches(dice)): Made {
  return {
    what: `${name}, ${how}`,
    deal: async (exchange) => {
      await reach(exchange, how);
      exchange.answer(answer(exchange));
    },
  };
}

/** A refusal by the platform itself, which has then done nothing. */
function refusal(name: string, answer: (exchange: Exchange) => Answer): Made {
  return {
    what: name,
    deal: (exchange) => {
      exchange.refused = true;
      exchange.answer(answer(exchange));
    },
  };
}

function serverError(status: number, code: string) {
  return (dice: Dice): Made => {
    const form = dice.pick("tRPC", "JSON", "HTML", "empty");
    return instead(dice, form, (exchange) => {
      switch (form) {
        case "tRPC":
          return platformError(exchange, status, code);
        case "JSON":
          return page(status, "application/json", `{"error":{"code":"${status}","message":"edge"}}`);
        case "HTML":
          return page(status, "text/html", `<!doctype html><title>${status}</title><h1>Sorry</h1>`);
        case "empty":
          return { status, headers: {}, body: Buffer.alloc(0) };
      }
    });
  };
}

/** The connection ends, with a reset or as if all had been said, somewhere between request and whole answer. */
function broken(end: (exchange: Exchange) => void) {
  return (dice: Dice): Made => {
    const where = dice.pick("before the request is read on", "after it was delivered", "within the answer");
    const part = dice.chance();
    return {
      what: where === "within the answer" ? `${where}, at ${Math.round(part * 100)}%` : where,
      deal: async (exchange) => {
        if (where !== "before the request is read on") {
          const bytes = onTheWire(await exchange.deliver());
          if (where === "within the answer") {
            const sent = bytes.subarray(0, Math.floor(bytes.length * part));
            exchange.write(sent);
            // A reset overtakes what is still in the buffers.
            await sleep(5);
          }
        }
        end(exchange);
      },
    };
  };
}

/** 65 MiB of nothing: above the cap of any answer. Made once. */
let nothing: Buffer | undefined;
const overCap = (): Buffer => (nothing ??= Buffer.alloc(65 * 2 ** 20, " "));

const GARBAGE: readonly [string, ...string[]] = [
  "\x00\x01\x02 this is not HTTP\r\n\r\n",
  "HTTP/1.1 200 OK\r\nno colon in here\r\n\r\n{}",
  "HTTP/1.1 200 OK\r\ncontent-length: many\r\n\r\n{}",
  `HTTP/1.1 200 OK\r\nx-padding: ${"x".repeat(100_000)}\r\n\r\n{}`,
  "HTTP/1.1 999999 What\r\n\r\n",
];

/** Faults that strike an exchange. */
export const EXCHANGE_FAULTS = {
  reset: broken(({ socket }) => socket.resetAndDestroy()),
  eof: broken(({ socket }) => socket.end()),
  blackhole: (dice) => {
    const how = reaches(dice);
    return { what: how, deal: (exchange) => reach(exchange, how) };
  },
  "429": (dice) => {
    const headers: Record<string, string> = dice.hits(0.5) ? { "retry-after": "1" } : {};
    return refusal(JSON.stringify(headers), (exchange) =>
      platformError(exchange, 429, "TOO_MANY_REQUESTS", { headers }),
    );
  },
  "429-edge": (dice) => {
    const headers: Record<string, string> = dice.hits(0.5) ? { "retry-after": "1" } : {};
    const html = dice.hits(0.5);
    return instead(dice, `${html ? "HTML" : "JSON"} ${JSON.stringify(headers)}`, () =>
      html
        ? page(429, "text/html", "<h1>Slow down</h1>", headers)
        : page(429, "application/json", '{"error":{"code":"429","message":"rate limited"}}', headers),
    );
  },
  "500": serverError(500, "INTERNAL_SERVER_ERROR"),
  "502": serverError(502, "BAD_GATEWAY"),
  "503": serverError(503, "SERVICE_UNAVAILABLE"),
  "401": () => refusal("", (exchange) => platformError(exchange, 401, "UNAUTHORIZED")),
  "403": () => refusal("", (exchange) => platformError(exchange, 403, "FORBIDDEN")),
  "403-edge": (dice) => instead(dice, "HTML", () => page(403, "text/html", "<h1>Blocked by a firewall</h1>")),
  portal: (dice) => {
    const status = dice.pick(200, 200, 401, 403, 404, 511);
    const text = dice.pick("<!doctype html><title>Hotel Wi-Fi</title><form>", "Please log in", "", "[]", "null");
    return instead(dice, `HTTP ${status}, ${JSON.stringify(text)}`, () => page(status, "text/html", text));
  },
  contradiction: (dice) => {
    const part = dice.pick(...PARTS);
    return instead(dice, part, (exchange) => contradiction(exchange, part));
  },
  "409": (dice) => {
    const more = dice.hits(0.5) ? { upstreamCode: "kilo_cli_run_already_active" } : {};
    return instead(dice, JSON.stringify(more), (exchange) => platformError(exchange, 409, "CONFLICT", more));
  },
  "bad-json": (dice) => instead(dice, "", () => page(200, "application/json", '{"result":{"data":')),
  "wrong-shape": (dice) => {
    const text = dice.pick('{"result":{"data":{"ok":"maybe"}}}', '[{"result":{"data":{}}}]');
    return instead(dice, text, () => page(200, "application/json", text));
  },
  // Not compressed: decoding takes thousands of turns of a loop that all cases share. `transport.test.ts` has that.
  "over-cap": (dice) => instead(dice, "", () => ({ status: 200, headers: JSON_TYPE, body: overCap() })),
  truncated: (dice) => {
    const part = dice.chance();
    return {
      what: `${Math.round(part * 100)}%`,
      deal: async (exchange) => {
        const { body, ...answer } = await exchange.deliver();
        // All that was promised is there, and is not whole.
        exchange.answer({ ...answer, body: body.subarray(0, Math.max(1, Math.floor(body.length * part))) });
      },
    };
  },
  redirect: (dice) => {
    const status = dice.pick(301, 302, 307, 308);
    return instead(dice, String(status), () => ({
      status,
      headers: { location: "https://elsewhere.invalid/" },
      body: Buffer.alloc(0),
    }));
  },
  "garbage-headers": (dice) => {
    const how = reaches(dice);
    const text = dice.pick(...GARBAGE);
    return {
      what: `${JSON.stringify(text.slice(0, 40))}, ${how}`,
      deal: async (exchange) => {
        await reach(exchange, how);
        exchange.write(text);
        await sleep(5);
        exchange.socket.end();
      },
    };
  },
  "switching-protocols": (dice) => {
    const how = reaches(dice);
    const to = dice.pick("connection: upgrade\r\nupgrade: websocket\r\n", "");
    const then = dice.pick("stays", "ends");
    return {
      what: `101, ${to ? "to another" : "to none"}, ${then}, ${how}`,
      deal: async (exchange) => {
        await reach(exchange, how);
        exchange.write(`HTTP/1.1 101 Switching Protocols\r\n${to}\r\n`);
        if (then === "ends") exchange.socket.end();
      },
    };
  },
  "gzip-garbage": (dice) => {
    const headers = { ...JSON_TYPE, "content-encoding": dice.pick("gzip", "br", "zstd") };
    return instead(dice, headers["content-encoding"], () => ({ status: 200, headers, body: Buffer.alloc(200, 0x9d) }));
  },
  slow: (dice) => {
    const pieces = dice.between(2, 20);
    const pauseMs = dice.between(5, 100);
    return {
      what: `${pieces} pieces, ${pauseMs} ms between`,
      deal: async (exchange) => {
        const bytes = onTheWire(await exchange.deliver());
        const size = Math.ceil(bytes.length / pieces);
        for (let at = 0; at < bytes.length; at += size) {
          exchange.write(bytes.subarray(at, at + size));
          await sleep(pauseMs);
        }
        exchange.socket.end();
      },
    };
  },
  duplicated: (dice) => {
    const together = dice.hits(0.5);
    const shown = dice.pick("the first answer", "the second answer", "no answer");
    return {
      what: `${together ? "both at once" : "one after the other"}, ${shown}`,
      deal: async (exchange) => {
        const first = exchange.deliver();
        if (!together) await first;
        const answers = await Promise.all([first, exchange.deliver()]);
        if (shown === "no answer") return exchange.socket.destroy() && undefined;
        exchange.answer(shown === "the first answer" ? answers[0] : answers[1]);
      },
    };
  },
  delayed: (dice) => {
    // The last look for a row is 30 s after the answer.
    const ms = dice.pick(300, 1_500, 6_000, 20_000, 34_000);
    return {
      what: `${ms} ms after a 502`,
      deal: (exchange) => {
        exchange.answer(page(502, "text/html", "<h1>Bad gateway</h1>"));
        if (exchange.method !== "GET")
          keep(
            exchange,
            sleep(ms).then(() => exchange.deliver()),
          );
      },
    };
  },
} as const satisfies Record<string, (dice: Dice) => Made>;

export type ExchangeFault = keyof typeof EXCHANGE_FAULTS;

/** Faults of the way, of the machine, and of people. */
const OTHER_FAULTS = [
  "dns",
  "refused",
  "tls",
  "connect-timeout",
  "SIGINT",
  "SIGTERM",
  "SIGHUP",
  "stdout-closed",
  "unwritable-state",
  "two-processes",
] as const;

export type FaultName = ExchangeFault | (typeof OTHER_FAULTS)[number];

export const FAULTS: readonly FaultName[] = [
  ...OTHER_FAULTS.slice(0, 4),
  ...(Object.keys(EXCHANGE_FAULTS) as ExchangeFault[]),
  ...OTHER_FAULTS.slice(4),
];
