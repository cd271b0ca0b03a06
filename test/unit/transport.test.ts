/** What goes over the wire, seen from the other end: real servers, real sockets. */
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import {
  createServer as createSocketServer,
  type AddressInfo,
  type Server as SocketServer,
  type Socket,
} from "node:net";
import { setImmediate } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { brotliCompressSync, deflateSync, gzipSync } from "node:zlib";
import { afterEach, describe, expect, it, vi } from "vitest";
import { ApiError } from "../../src/api/api-error.ts";
import { Api } from "../../src/api/api.ts";
import { parseOrigin } from "../../src/api/origin.ts";
import { Transport, type ExchangeLog } from "../../src/api/transport.ts";
import { admin } from "../../src/contract/procedures.ts";
import { profile } from "../../src/contract/rest.ts";
import { eventually } from "../support/eventually.ts";
import { QUICK } from "../support/timing.ts";

const TOKEN = "canary-token";
const RUN = "11111111-1111-4111-8111-111111111111";
const USER = "22222222-2222-4222-8222-222222222222";

const opened: { close(): unknown }[] = [];
afterEach(async () => {
  vi.useRealTimers();
  await Promise.all(opened.splice(0).map((one) => one.close()));
});

async function listening<S extends Server | SocketServer>(server: S): Promise<string> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  opened.push({
    close: () => {
      if ("closeAllConnections" in server) server.closeAllConnections();
      server.close();
    },
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const serving = (listener: RequestListener) => listening(createServer(listener));

/** A proxy that takes down what it is asked for, and connects nobody. */
async function proxyThatRefuses(): Promise<{ url: string; asked: string[] }> {
  const asked: string[] = [];
  const server = createServer();
  server.on("connect", (request, socket) => {
    asked.push(request.url ?? "");
    socket.end("HTTP/1.1 403 Forbidden\r\n\r\n");
  });
  return { url: await listening(server), asked };
}

const options = (url: string, onExchange?: (exchange: ExchangeLog) => void) => ({
  origin: parseOrigin(url, "test"),
  token: TOKEN,
  userAgent: "test",
  timing: QUICK,
  env: {},
  onExchange,
});

function transportTo(url: string): Transport {
  const transport = new Transport(options(url));
  opened.push(transport);
  return transport;
}

function apiTo(url: string, onExchange?: (exchange: ExchangeLog) => void): Api {
  const api = new Api(options(url, onExchange));
  opened.push(api);
  return api;
}

const exchange = (transport: Transport, more: object = {}) =>
  transport.exchange({ method: "GET", path: "/x", procedure: "x", timeoutMs: 5_000, maxBytes: 1_000_000, ...more });
const post = { method: "POST", body: "{}" };

/** Collects now what nobody holds any more. */
function garbageCollector(): () => void {
  setFlagsFromString("--expose-gc");
  return runInNewContext("gc") as () => void;
}

/** The error that a call ends with. */
async function failureOf(call: Promise<unknown>): Promise<ApiError> {
  const error = await call.then(
    () => undefined,
    (error: unknown) => error,
  );
  if (error instanceof ApiError) return error;
  throw new Error("it did not fail as an ApiError", { cause: error });
}

const batchOf = ({ url = "" }: IncomingMessage) => {
  const { pathname, searchParams } = new URL(url, "http://x");
  const procedures = pathname.replace("/api/trpc/", "").split(",");
  return { procedures, inputs: JSON.parse(searchParams.get("input") ?? "{}") as Record<string, { userId?: string }> };
};

const STATUS = {
  hasRun: true,
  status: "completed",
  output: "",
  exitCode: 0,
  startedAt: "2026-11-22T16:33:42.893Z",
  completedAt: "2026-11-22 16:34:45.668+00",
  prompt: "p",
  initiatedBy: "admin",
};

describe("whether anything was sent", () => {
  it("is certain that nothing was, without a connection", async () => {
    const url = await serving(() => undefined);
    await Promise.all(opened.splice(0).map((one) => one.close()));
    expect(await failureOf(exchange(transportTo(url), post))).toMatchObject({
      sent: false,
      kind: "unreachable",
      transient: true,
      message: expect.stringContaining("ECONNREFUSED"),
    });
    expect(await failureOf(exchange(transportTo("https://no-such-host.invalid"), post))).toMatchObject({
      sent: false,
      kind: "unreachable",
    });
  });

  it("is certain that nothing was, where TLS cannot be agreed on", async () => {
    const url = await serving((_request, response) => response.end());
    const failure = await failureOf(exchange(transportTo(url.replace("http:", "https:")), post));
    expect(failure).toMatchObject({ sent: false, kind: "unreachable" });
  });

  it("is certain that nothing was, where TLS is not agreed on in time", async () => {
    const server = createSocketServer((socket) => void socket.on("error", () => undefined));
    const url = await listening(server);
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    const failing = failureOf(exchange(transportTo(url.replace("http:", "https:")), { ...post, timeoutMs: 60_000 }));
    await once(server, "connection");
    await vi.advanceTimersByTimeAsync(QUICK.connectMs);
    expect(await failing).toMatchObject({
      sent: false,
      transient: true,
      message: `no connection to ${url.replace("http:", "https:")} within 10 s`,
    });
    expect(vi.getTimerCount()).toBe(0);
  });

  it("is certain that nothing was, where the other end cannot prove who it is", async () => {
    const pem = readFileSync(new URL("../fixtures/tls/valid.pem", import.meta.url));
    let requests = 0;
    const server = createTlsServer({ key: pem, cert: pem }, (_request, response) => {
      requests += 1;
      response.end("{}");
    });
    const url = (await listening(server)).replace("http:", "https:");
    const failure = await failureOf(exchange(transportTo(url), post));
    expect(failure).toMatchObject({ sent: false, transient: true });
    expect(failure.message).toContain("could not prove its identity");
    expect(failure.hints.join()).toContain("NODE_EXTRA_CA_CERTS");
    expect(requests).toBe(0);
  });

  it("bounds the connection alone: an answer may take longer than connecting may", async () => {
    const server = createServer();
    const url = await listening(server);
    const transport = transportTo(url);
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    // On a new connection, on the same again, and on one of its own.
    for (const more of [{}, {}, post]) {
      const asked = exchange(transport, { ...more, timeoutMs: 60_000 });
      const [, response] = (await once(server, "request")) as [IncomingMessage, ServerResponse];
      await vi.advanceTimersByTimeAsync(QUICK.connectMs + 1);
      response.end("{}");
      expect(await asked).toMatchObject({ status: 200 });
      expect(vi.getTimerCount()).toBe(0);
    }
  });

  it.each([
    ["a reset", (socket: { resetAndDestroy(): void }) => socket.resetAndDestroy()],
    ["a silent end", (socket: { destroy(): void }) => socket.destroy()],
  ])("is not certain after %s", async (_what, cut) => {
    let requests = 0;
    const url = await serving((request) => {
      requests += 1;
      cut(request.socket);
    });
    expect(await failureOf(exchange(transportTo(url), post))).toMatchObject({ sent: true, kind: "unreachable" });
    expect(requests).toBe(1);
  });

  it("is not certain after a time-out, or an answer that breaks off", async () => {
    const silent = await serving(() => undefined);
    expect(await failureOf(exchange(transportTo(silent), { ...post, timeoutMs: 200 }))).toMatchObject({
      sent: true,
      kind: "unreachable",
      message: expect.stringContaining("within 0.2 s"),
    });
    const broken = await serving((_request, response) => {
      response.writeHead(200, { "content-length": 100 });
      response.write("half", () => response.destroy());
    });
    expect(await failureOf(exchange(transportTo(broken), post))).toMatchObject({ sent: true, kind: "unreachable" });
  });

  it("bounds the whole answer, however it trickles", async () => {
    const url = await serving((_request, response) => {
      const dripping = setInterval(() => response.write("."), 50);
      response.on("close", () => clearInterval(dripping));
    });
    expect(await failureOf(exchange(transportTo(url), { timeoutMs: 300 }))).toMatchObject({ sent: true });
  });

  it("ends at once when the user wants it to", async () => {
    const url = await serving(() => undefined);
    const stop = new AbortController();
    const call = failureOf(exchange(transportTo(url), { signal: stop.signal }));
    setTimeout(() => stop.abort(), 50);
    expect(await call).toMatchObject({ kind: "interrupted", transient: false });
  });
});

describe("redirects", () => {
  it.each([301, 302, 303, 307, 308])("%i is refused: the token goes to no other address", async (status) => {
    let reached = 0;
    const elsewhere = await serving((_request, response) => {
      reached += 1;
      response.end("{}");
    });
    const url = await serving((_request, response) => {
      response.writeHead(status, { location: `${elsewhere}/x` }).end();
    });
    await failureOf(exchange(transportTo(url)));
    await failureOf(exchange(transportTo(url), post));
    expect(reached).toBe(0);
  });

  it.each([
    ["https://login.example/in?code=secret", "login.example"],
    ["//login.example:8443/secret", "login.example:8443"],
    [`https://${TOKEN}.example/`, "[redacted].example"],
    ["mailto:admin@login.example", "another address"],
    ["https://", "nowhere"],
    [undefined, "nowhere"],
  ])("is told by the host it leads to, and no more: %s", async (location, host) => {
    const url = await serving((_request, response) => response.writeHead(302, location ? { location } : {}).end());
    const failure = await failureOf(exchange(transportTo(url)));
    expect(failure).toMatchObject({ foreign: true, httpStatus: 302 });
    expect(failure.message.split("a redirect to ")[1]).toBe(host);
    // Where the path is a secret, an address that leads on may have it in its name, too.
    const secret = await failureOf(exchange(transportTo(url), { shownPath: "/…" }));
    expect(secret.message.split("a redirect to ")[1]).toBe("another address");
  });

  it("are answers of 300 to 399", async () => {
    let status = 0;
    const url = await serving((_request, response) => response.writeHead(status, { location: "/" }).end());
    const transport = transportTo(url);
    for (status of [299, 400]) expect(await exchange(transport)).toMatchObject({ status });
    for (status of [300, 304, 399]) expect(await failureOf(exchange(transport))).toMatchObject({ foreign: true });
  });
});

describe("what is sent", () => {
  it("names who asks, what with, and what in", async () => {
    const seen: IncomingMessage["headers"][] = [];
    const url = await serving((request, response) => {
      seen.push(request.headers);
      response.end("{}");
    });
    await exchange(transportTo(url));
    await exchange(transportTo(url), post);
    const anonymous = new Transport({ ...options(url), token: undefined });
    opened.push(anonymous);
    await exchange(anonymous);
    const always = { accept: "application/json", "user-agent": "test", "accept-encoding": "gzip, br" };
    expect(seen).toMatchObject([always, always, always]);
    expect(seen.map(({ authorization }) => authorization)).toEqual([`Bearer ${TOKEN}`, `Bearer ${TOKEN}`, undefined]);
    expect(seen.map((headers) => headers["content-type"])).toEqual([undefined, "application/json", undefined]);
  });
});

describe("answers", () => {
  it.each([
    ["gzip", gzipSync],
    ["br", brotliCompressSync],
    ["deflate", deflateSync],
    ["identity", (text: string) => text],
    [undefined, (text: string) => text],
  ])("are read as they were before an edge encoded them: %s", async (encoding, encode) => {
    const headers = encoding === undefined ? {} : { "content-encoding": encoding };
    const url = await serving((_request, response) => response.writeHead(200, headers).end(encode("as it was")));
    expect((await exchange(transportTo(url))).text).toBe("as it was");
  });

  it("carry the token no further, and tell the platform's time", async () => {
    const date = "Sun, 10 May 2026 12:00:00 GMT";
    const url = await serving((_request, response) => response.writeHead(404, { date }).end(`no ${TOKEN} here`));
    const answer = await exchange(transportTo(url));
    expect(answer).toEqual({ status: 404, text: "no [redacted] here", retryAfterMs: undefined, date: new Date(date) });
  });

  it.each(["Sun, 99 May 2026 12:00:00 GMT", "Sun, 10 May 2026 12:00:00", "x Sun, 10 May 2026 12:00:00 GMT", "1"])(
    "tell no time with %j",
    async (date) => {
      const told: number[] = [];
      const url = await serving((_request, response) => response.writeHead(200, { date }).end());
      const transport = new Transport({ ...options(url), onClockOff: (aheadMs) => void told.push(aheadMs) });
      opened.push(transport);
      expect((await exchange(transport)).date).toBeUndefined();
      expect([told, transport.clock.aheadMs]).toEqual([[], undefined]);
    },
  );

  it("tell that the clocks differ where they do, and only there", async () => {
    let aheadMs = 0;
    const told: number[] = [];
    const url = await serving((_request, response) => {
      response.writeHead(200, { date: new Date(Date.now() + aheadMs).toUTCString() }).end();
    });
    const transport = new Transport({ ...options(url), onClockOff: (ms) => void told.push(ms) });
    opened.push(transport);
    await exchange(transport);
    expect(told).toEqual([]);
    aheadMs = 3_600_000;
    await exchange(transport);
    expect(told.map((ms) => Math.round(ms / 60_000))).toEqual([60]);
  });

  it("are taken up to the cap, counted as they are after decoding", async () => {
    const bomb = gzipSync(Buffer.alloc(50 * 2 ** 20));
    const url = await serving((request, response) => {
      if (request.url === "/bomb") response.writeHead(200, { "content-encoding": "gzip" }).end(bomb);
      else response.end("x".repeat(1_000));
    });
    const transport = transportTo(url);
    expect((await exchange(transport, { maxBytes: 1_000 })).text).toHaveLength(1_000);
    expect(await failureOf(exchange(transport, { maxBytes: 999 }))).toMatchObject({
      kind: "incompatible",
      sent: true,
      transient: false,
      message: expect.stringContaining("larger than"),
    });
    expect(bomb.length).toBeLessThan(100_000);
    expect(await failureOf(exchange(transport, { path: "/bomb" }))).toMatchObject({ kind: "incompatible" });
  });

  it("are decoded, and characters split between chunks put together", async () => {
    const text = "žluťoučký 🦀 日本語".repeat(1_000);
    const url = await serving((request, response) => {
      if (request.url === "/gzip") response.writeHead(200, { "content-encoding": "gzip" }).end(gzipSync(text));
      else
        for (const byte of [Buffer.from(text)].flatMap((all) => [all.subarray(0, 2), all.subarray(2)]))
          response.write(byte);
      response.end();
    });
    expect((await exchange(transportTo(url), { path: "/gzip" })).text).toBe(text);
    expect((await exchange(transportTo(url), { path: "/plain" })).text).toBe(text);
  });

  it.each([
    ["3", 3_000],
    ["0", 0],
    ["-5", undefined],
    ["1e3", undefined],
    ["+3", undefined],
    ["0x10", undefined],
    ["1.5", undefined],
    ["soon", undefined],
    ["", undefined],
    ["2026-05-10", undefined],
    ["10 May 2026 12:00:20", undefined],
    ["Sun, 10 May 2026 12:00:20 GMT", 20_000],
    ["Sunday, 10-May-26 12:00:20 GMT", 20_000],
    ["Sun, 10 May 2026 11:59:00 GMT", undefined],
  ])("say how long to wait, by their own clock: %j", async (after, ms) => {
    const headers = { "retry-after": after, date: "Sun, 10 May 2026 12:00:00 GMT" };
    const url = await serving((_request, response) => response.writeHead(429, headers).end());
    expect((await exchange(transportTo(url))).retryAfterMs).toBe(ms);
  });

  it("do not say how long to wait with a date, where they have no date of their own", async () => {
    const url = await serving((_request, response) => {
      response.sendDate = false;
      response.writeHead(429, { "retry-after": new Date(Date.now() + 5_000).toUTCString() }).end();
    });
    expect((await exchange(transportTo(url))).retryAfterMs).toBeUndefined();
  });
});

/** A server that says this to every request, and then nothing more. */
const saying = (text: string, then: (socket: Socket) => void = () => undefined) =>
  listening(
    createSocketServer((socket) => {
      socket.on("error", () => undefined).once("data", () => socket.write(text, () => then(socket)));
    }),
  );

const SWITCH = "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";

describe("an exchange ends by itself", () => {
  it.each([
    ["a switch to another protocol", SWITCH, undefined],
    ["a switch and what follows it", `${SWITCH}\x81\x05hello`, undefined],
    ["a switch to it does not say what", "HTTP/1.1 101 Switching Protocols\r\n\r\n", undefined],
    ["a switch and an end", SWITCH, (socket: Socket) => void socket.end()],
    ["an end instead of an answer", "", (socket: Socket) => void socket.end()],
    ["a reset instead of an answer", "", (socket: Socket) => void socket.resetAndDestroy()],
    ["half a status line", "HTTP/1.1 2", (socket: Socket) => void socket.end()],
    ["half a head", "HTTP/1.1 200 OK\r\ncontent-le", (socket: Socket) => void socket.end()],
    ["half a body", "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{", (socket: Socket) => void socket.end()],
    [
      "half a chunk",
      "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n9\r\n{",
      (socket: Socket) => void socket.resetAndDestroy(),
    ],
  ])("with %s", async (_what, text, then) => {
    const url = await saying(text, then);
    // Longer than a test may take: it is not waited for.
    for (const more of [{}, post].map((one) => ({ ...one, timeoutMs: 600_000 }))) {
      expect(await failureOf(exchange(transportTo(url), more))).toMatchObject({
        kind: "unreachable",
        sent: true,
        transient: true,
      });
    }
  });

  it("and says that the server switched to another protocol", async () => {
    const failure = await failureOf(exchange(transportTo(await saying(SWITCH)), post));
    expect(failure.message).toContain("HTTP 101");
  });

  it.each([
    ["nothing", ""],
    ["early hints only", "HTTP/1.1 103 Early Hints\r\n\r\n"],
    ["half a head", "HTTP/1.1 200 OK\r\ncontent-le"],
    ["half a body", "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{"],
    ["half a compressed body", "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 9\r\n\r\n\x1f"],
  ])("at its time limit, or when it is stopped, after %s", async (_what, text) => {
    const url = await saying(text);
    for (const more of [{}, post]) {
      const late = await failureOf(exchange(transportTo(url), { ...more, timeoutMs: 200 }));
      expect(late).toMatchObject({ sent: true, message: expect.stringContaining("within 0.2 s") });
      const stop = new AbortController();
      const stopped = failureOf(exchange(transportTo(url), { ...more, signal: stop.signal }));
      setTimeout(() => stop.abort(), 50);
      expect(await stopped).toMatchObject({ kind: "interrupted" });
    }
  });

  it("and leaves no connection behind, whatever the answer was", async () => {
    const sockets = new Set<Socket>();
    const answers = [
      "HTTP/1.1 200 OK\r\ncontent-encoding: x-unknown\r\ncontent-length: 9\r\n\r\n{",
      "HTTP/1.1 302 Found\r\nlocation: /\r\ncontent-length: 9\r\n\r\n{",
      `HTTP/1.1 200 OK\r\ncontent-length: 9999999\r\n\r\n${"x".repeat(1_000_001)}`,
      SWITCH,
    ];
    const url = await listening(
      createSocketServer((socket) => {
        sockets.add(socket);
        socket.on("error", () => undefined).on("close", () => sockets.delete(socket));
        socket.once("data", () => socket.write(answers.shift() ?? ""));
      }),
    );
    while (answers.length > 0) await failureOf(exchange(transportTo(url), post));
    await eventually(() => expect(sockets.size).toBe(0));
  });

  it("and leaves no timer behind where nobody is there: the process need not stay", async () => {
    const url = await serving(() => undefined);
    await Promise.all(opened.splice(0).map((one) => one.close()));
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    for (const more of [{}, post])
      expect(await failureOf(exchange(transportTo(url), more))).toMatchObject({ sent: false });
    // A socket says last that it is closed.
    for (let rounds = 0; rounds < 1_000 && vi.getTimerCount() > 0; rounds += 1) await setImmediate();
    expect(vi.getTimerCount()).toBe(0);
  });

  it("and what is kept open for the next one ends with the transport", async () => {
    const sockets = new Set<Socket>();
    const server = createServer((_request, response) => response.end("{}"));
    server.on("connection", (socket) => sockets.add(socket.on("close", () => sockets.delete(socket))));
    server.keepAliveTimeout = 60_000;
    const transport = transportTo(await listening(server));
    await exchange(transport);
    await exchange(transport);
    expect(sockets.size).toBe(1);
    await transport.close();
    // At once: not when it has been idle for its time.
    for (let rounds = 0; rounds < 10_000 && sockets.size > 0; rounds += 1) await setImmediate();
    expect(sockets.size).toBe(0);
  });

  it("and is let go of: a watch of days may ask and be answered as often as it likes", async () => {
    const collect = garbageCollector();
    const url = await serving((_, response) => void response.end("{}"));
    const transport = transportTo(url);
    const { signal } = new AbortController();
    const asked: WeakRef<object>[] = [];
    for (let turn = 0; turn < 20; turn++) {
      const outgoing = { method: "GET", path: "/x", procedure: "x", timeoutMs: 5_000, maxBytes: 9, signal } as const;
      asked.push(new WeakRef(outgoing));
      await transport.exchange(outgoing);
    }
    await transport.close();
    await eventually(() => {
      collect();
      // The last one may still be at hand somewhere.
      expect(asked.filter((one) => one.deref()).length).toBeLessThanOrEqual(1);
    });
  });

  it("with a listener or two on the signal that stops it, however many there are", async () => {
    const warnings: Error[] = [];
    const note = (warning: Error) => void warnings.push(warning);
    process.on("warning", note);
    const url = await serving((_request, response) => response.end("{}"));
    const { signal } = new AbortController();
    await Promise.all(Array.from({ length: 30 }, () => exchange(transportTo(url), { signal })));
    await setImmediate();
    process.off("warning", note);
    expect(warnings).toEqual([]);
  });
});

describe("queries", () => {
  it("of one moment share requests, within what the platform takes", async () => {
    const requests: { url: string; count: number }[] = [];
    const url = await serving((request, response) => {
      const { procedures, inputs } = batchOf(request);
      requests.push({ url: request.url ?? "", count: procedures.length });
      const entries = procedures.map((_, index) => ({ result: { data: [{ ...AUDIT, id: inputs[index]?.userId }] } }));
      response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(entries));
    });
    const api = apiTo(url);
    const users = Array.from({ length: 120 }, (_, index) => `user-${index}`);
    const answers = await Promise.all(users.map((userId) => api.query(admin.adminAuditLogs, { userId })));
    expect(answers.map(([row]) => row?.id)).toEqual(users);
    expect(requests.length).toBeLessThan(12);
    for (const request of requests) {
      expect(request.count).toBeLessThanOrEqual(50);
      expect(`${url}${request.url}`.length).toBeLessThan(8_100);
    }
  });

  it("are tried three times on trouble that may pass, and on nothing else", async () => {
    let requests = 0;
    const url = await serving((_request, response) => {
      requests += 1;
      response.writeHead(503, { "retry-after": "0" }).end();
    });
    await failureOf(apiTo(url).query(admin.adminAuditLogs, { userId: USER }));
    expect(requests).toBe(3);
    await failureOf(apiTo(url).query(admin.adminAuditLogs, { userId: USER }, { retry: false }));
    expect(requests).toBe(4);

    let refused = 0;
    const strict = await serving((_request, response) => {
      refused += 1;
      const path = admin.adminAuditLogs.path;
      const error = { message: "no", code: -32001, data: { code: "UNAUTHORIZED", httpStatus: 401, path } };
      response.writeHead(401, { "content-type": "application/json" }).end(JSON.stringify([{ error }]));
    });
    expect(await failureOf(apiTo(strict).query(admin.adminAuditLogs, { userId: USER }))).toMatchObject({
      kind: "auth",
    });
    expect(refused).toBe(1);
  });

  it("do not wait longer than a minute because the platform says so", async () => {
    let requests = 0;
    const url = await serving((_request, response) => {
      requests += 1;
      response.writeHead(429, { "retry-after": "61" }).end();
    });
    await failureOf(apiTo(url).query(admin.adminAuditLogs, { userId: USER }));
    expect(requests).toBe(1);
  });

  it("fail one by one within a batch", async () => {
    const url = await serving((request, response) => {
      const path = admin.getKiloCliRunStatus.path;
      const error = { message: "not here", code: -32004, data: { code: "NOT_FOUND", httpStatus: 404, path } };
      const entries = batchOf(request).procedures.map((_, index) =>
        index === 1 ? { error } : { result: { data: STATUS } },
      );
      response.writeHead(207, { "content-type": "application/json" }).end(JSON.stringify(entries));
    });
    const api = apiTo(url);
    const ask = () => api.query(admin.getKiloCliRunStatus, { userId: USER, runId: RUN });
    const [first, second, third] = await Promise.allSettled([ask(), ask(), ask()]);
    expect([first.status, second.status, third.status]).toEqual(["fulfilled", "rejected", "fulfilled"]);
    expect(second).toMatchObject({ reason: { kind: "not-found", message: "not here" } });
  });

  it("survive a kept connection that the platform is just closing", async () => {
    let requests = 0;
    const url = await serving((request, response) => {
      requests += 1;
      // The second one finds the connection of the first cut off.
      if (requests === 2) return request.socket.resetAndDestroy();
      const entries = batchOf(request).procedures.map(() => ({ result: { data: STATUS } }));
      return response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(entries));
    });
    const api = apiTo(url);
    for (let round = 0; round < 3; round += 1) {
      const status = await api.query(admin.getKiloCliRunStatus, { userId: USER, runId: RUN });
      expect(status.status).toBe("completed");
    }
    expect(requests).toBe(4);
  });
});

describe("a token that is refused", () => {
  const path = admin.adminAuditLogs.path;
  const error = { message: "no", code: -32_001, data: { code: "UNAUTHORIZED", httpStatus: 401, path, zodError: null } };
  it.each([
    ["the platform", JSON.stringify([{ error }]), '{"error":"Invalid API token","success":false}', 1],
    ["a login page", "<title>Log in</title>", "<title>Log in</title>", 0],
    ["a gateway", '{"error":"Unauthorized"}', '{"error":"Unauthorized"}', 0],
    ["a contradiction", JSON.stringify([{ error: { ...error, code: -32_004 } }]), '{"error":"no","success":true}', 0],
  ])("by %s is renewed only where it is the platform's own word", async (_who, trpc, rest, renewals) => {
    const url = await serving((request, response) => {
      response.writeHead(401).end(request.url?.startsWith("/api/trpc") ? trpc : rest);
    });
    for (const ask of [
      (api: Api) => api.query(admin.adminAuditLogs, { userId: USER }, { retry: false }),
      (api: Api) => api.get(profile),
    ]) {
      let renewed = 0;
      const renewToken = async () => {
        renewed += 1;
        return undefined;
      };
      const api = new Api({ ...options(url), renewToken });
      opened.push(api);
      expect(await failureOf(ask(api))).toMatchObject({ kind: renewals === 0 ? "unreachable" : "auth" });
      expect(renewed).toBe(renewals);
    }
  });
});

/** Sends a start. */
const start = (api: Api) => api.mutate(admin.startKiloCliRun, { userId: USER, prompt: "p" }, { timeoutMs: 1_000 });

/** An API whose answers have so much text in them. */
const apiOf = async (mib: number) => {
  const text = "x".repeat(mib * 2 ** 20);
  return apiTo(
    await serving((request, response) => {
      const write = request.method === "POST";
      const { procedures } = write ? { procedures: [] } : batchOf(request);
      const data = (path: string) =>
        path === admin.adminAuditLogs.path ? [{ ...AUDIT, id: RUN, message: text }] : { ...STATUS, output: text };
      const started = { ok: true, id: RUN, startedAt: STATUS.startedAt, text };
      const body = write ? { result: { data: started } } : procedures.map((path) => ({ result: { data: data(path) } }));
      response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(body));
    }),
  );
};
const status = (api: Api) =>
  api.query(admin.getKiloCliRunStatus, { userId: USER, runId: RUN }, { retry: false }).then(({ output }) => output);

const audit = (api: Api) => api.query(admin.adminAuditLogs, { userId: USER }, { retry: false });

// For each change, these megabytes take too long.
describe.skipIf("MUTATION_TESTS" in process.env)("the most that is taken of an answer", () => {
  it("is 16 MiB of a status, which never has more", async () => {
    expect(await status(await apiOf(15))).toHaveLength(15 * 2 ** 20);
    const failure = await failureOf(status(await apiOf(17)));
    expect(failure).toMatchObject({ kind: "incompatible", transient: false });
    expect(failure.message).toContain("larger than 16 MiB");
  });

  it("is as much for each of several", async () => {
    const api = await apiOf(15);
    const outputs = await Promise.all([status(api), status(api)]);
    expect(outputs.map((output) => output?.length)).toEqual([15 * 2 ** 20, 15 * 2 ** 20]);
  });

  it("is 64 MiB of anything else, and a start whose answer is longer may have started", async () => {
    expect((await audit(await apiOf(63)))[0]?.message).toHaveLength(63 * 2 ** 20);
    const longer = await apiOf(65);
    expect((await failureOf(audit(longer))).message).toContain("larger than 64 MiB");
    const answer = await failureOf(longer.mutate(admin.startKiloCliRun, { userId: USER, prompt: "p" }));
    expect(answer).toMatchObject({
      sent: true,
      trpcCode: undefined,
      message: expect.stringContaining("larger than 64 MiB"),
    });
  });
});

describe("mutations", () => {
  it.each([
    ["a reset", (request: IncomingMessage) => void request.socket.resetAndDestroy()],
    ["an end without an answer", (request: IncomingMessage) => void request.socket.destroy()],
    ["silence", () => undefined],
  ])("are one request, also after reads and after %s", async (_what, cut) => {
    const posts: (string | undefined)[] = [];
    const url = await serving((request, response) => {
      if (request.method === "POST") {
        posts.push(request.headers.authorization);
        return cut(request);
      }
      const entries = batchOf(request).procedures.map(() => ({ result: { data: STATUS } }));
      return void response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(entries));
    });
    const api = apiTo(url);
    await api.query(admin.getKiloCliRunStatus, { userId: USER, runId: RUN });
    expect(await failureOf(start(api))).toMatchObject({ sent: true });
    await api.query(admin.getKiloCliRunStatus, { userId: USER, runId: RUN });
    expect(posts).toEqual([`Bearer ${TOKEN}`]);
  });

  it("never go out on a connection that was used before", async () => {
    const ports: (number | undefined)[] = [];
    const url = await serving((request, response) => {
      ports.push(request.socket.remotePort);
      const data = request.method === "POST" ? { ok: true, id: RUN, startedAt: STATUS.startedAt } : STATUS;
      const body = request.method === "POST" ? { result: { data } } : [{ result: { data } }];
      response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(body));
    });
    const api = apiTo(url);
    await api.query(admin.getKiloCliRunStatus, { userId: USER, runId: RUN });
    await api.query(admin.getKiloCliRunStatus, { userId: USER, runId: RUN });
    await start(api);
    await start(api);
    const [read, readAgain, ...writes] = ports;
    expect(readAgain).toBe(read);
    expect(new Set([read, ...writes]).size).toBe(3);
  });

  it.each([
    ["HTML", 502, "<h1>Bad gateway</h1>"],
    ["nothing", 500, ""],
    ["another shape", 200, '{"result":{"data":{"ok":true}}}'],
    ["broken JSON", 200, '{"result":'],
    ["an edge's own error", 429, '{"error":"slow down"}'],
  ])("take %s for no definite answer", async (_what, status, body) => {
    let requests = 0;
    const url = await serving((_request, response) => {
      requests += 1;
      response.writeHead(status, { "content-type": "application/json" }).end(body);
    });
    expect(await failureOf(start(apiTo(url)))).toMatchObject({ sent: true, trpcCode: undefined });
    expect(requests).toBe(1);
  });
});

describe("a process that checks no certificates", () => {
  it("sends nothing to another machine, not even through a proxy, and looks up no name", async () => {
    const proxy = await proxyThatRefuses();
    const env = { NODE_TLS_REJECT_UNAUTHORIZED: "0", HTTPS_PROXY: proxy.url };
    for (const token of [TOKEN, undefined]) {
      const transport = new Transport({ ...options("https://kiloclaw.test"), token, env });
      opened.push(transport);
      const failure = await failureOf(exchange(transport, post));
      expect(failure).toMatchObject({ kind: "usage", sent: false, transient: false });
      expect(failure.message).toContain("NODE_TLS_REJECT_UNAUTHORIZED=0");
    }
    expect(proxy.asked).toEqual([]);
  });

  it("still talks to this machine", async () => {
    const url = await serving((_request, response) => response.end("{}"));
    const transport = new Transport({ ...options(url), env: { NODE_TLS_REJECT_UNAUTHORIZED: "0" } });
    opened.push(transport);
    expect(await exchange(transport)).toMatchObject({ status: 200 });
  });
});

describe("a process whose Node prints what is sent", () => {
  it.each(["http", "HTTP", "fs,net", "tls", "*", "ht*", "h*p", "https", "x,*"])(
    "sends nothing: NODE_DEBUG=%s",
    async (named) => {
      let asked = 0;
      const url = await serving((_request, response) => {
        asked += 1;
        response.end("{}");
      });
      for (const token of [TOKEN, undefined]) {
        const transport = new Transport({ ...options(url), token, env: { NODE_DEBUG: named } });
        opened.push(transport);
        const failure = await failureOf(exchange(transport));
        expect(failure).toMatchObject({
          kind: "usage",
          sent: false,
          hints: expect.arrayContaining(["unset NODE_DEBUG"]),
        });
      }
      expect(asked).toBe(0);
    },
  );

  it.each(["fs", "https2", "xhttp", "module,timer", "ht.p", ""])("is none with NODE_DEBUG=%s", async (named) => {
    const url = await serving((_request, response) => response.end("{}"));
    const transport = new Transport({ ...options(url), env: { NODE_DEBUG: named } });
    opened.push(transport);
    expect(await exchange(transport)).toMatchObject({ status: 200 });
  });
});

/** Nobody is there. */
const OTHER_PROXIES = Object.fromEntries(
  ["HTTPS_PROXY", "ALL_PROXY", "HTTP_PROXY"].map((name) => [name, "http://127.0.0.1:1"]),
);

describe("a proxy", () => {
  it.each([
    ["", ["kiloclaw.test:443"]],
    ["elsewhere.test test", []],
    ["KILOCLAW.test:443", []],
    ["kiloclaw.test:8443,claw.test", ["kiloclaw.test:443"]],
    [".kiloclaw.test", []],
    ["*.test", []],
    ["*", []],
  ])("is used unless NO_PROXY exempts the host: %j", async (NO_PROXY, asked) => {
    const proxy = await proxyThatRefuses();
    const env = { HTTPS_PROXY: proxy.url, NO_PROXY };
    const transport = new Transport({ ...options("https://kiloclaw.test"), env });
    opened.push(transport);
    expect(await failureOf(exchange(transport))).toMatchObject({ sent: false });
    expect(proxy.asked).toEqual(asked);
  });

  it.each([
    ["https://10.1.2.3", "10.0.0.0/8", []],
    ["https://10.1.2.3", "10.1.2.3", []],
    ["https://10.1.2.3", "10.1.2.3:443", []],
    ["https://10.1.2.3", "10.1.2.3:8443", ["10.1.2.3:443"]],
    ["https://10.1.2.3", "11.0.0.0/8 10.1.2.0/33 fd00::/8 10.1.2", ["10.1.2.3:443"]],
    ["https://11.1.2.3", "0.0.0.0/0", []],
    ["https://[fd00::1]", "", ["[fd00::1]:443"]],
    ["https://[fd00::1]:8443", "", ["[fd00::1]:8443"]],
    ["https://[fd00::1]", "fd00::1", []],
    ["https://[fd00::1]", "fd00:0:0::1", []],
    ["https://[fd00::1]", "[fd00::1]", []],
    ["https://[fd00::1]", "[fd00::1]:443", []],
    ["https://[fd00::1]", "[fd00::1]:8443", ["[fd00::1]:443"]],
    ["https://[fd00::1]", "fd00::/8", []],
    ["https://[fd00::1]", "fe80::/10 fd00::2 ::1", ["[fd00::1]:443"]],
    ["https://kiloclaw.test", "kiloclaw.test.", []],
    ["https://kiloclaw.test", "test.", []],
    ["https://kiloclaw.test", ". .. 10.0.0.0/8 loclaw.test", ["kiloclaw.test:443"]],
  ])("knows addresses and networks: %s past %j", async (origin, NO_PROXY, asked) => {
    const proxy = await proxyThatRefuses();
    const transport = new Transport({ ...options(origin), env: { HTTPS_PROXY: proxy.url, NO_PROXY } });
    opened.push(transport);
    // What goes past the proxy would look for a host that is not there.
    expect(await failureOf(exchange(transport, { timeoutMs: 500 }))).toMatchObject({ sent: false });
    expect(proxy.asked).toEqual(asked);
  });

  it.each([
    [["ALL_PROXY"], "ALL_PROXY"],
    [["all_proxy", "ALL_PROXY"], "all_proxy"],
    [["HTTPS_PROXY", "ALL_PROXY", "HTTP_PROXY"], "HTTPS_PROXY"],
    [["ALL_PROXY", "HTTP_PROXY"], "ALL_PROXY"],
    [["HTTP_PROXY"], "HTTP_PROXY"],
  ])("is the one that %j name, and what to do names %s", async (variables, named) => {
    const proxy = await proxyThatRefuses();
    const env = Object.fromEntries(Object.entries(OTHER_PROXIES).filter(([name]) => variables.includes(name)));
    const transport = new Transport({ ...options("https://kiloclaw.test"), env: { ...env, [named]: proxy.url } });
    opened.push(transport);
    const { hints } = await failureOf(exchange(transport));
    expect(proxy.asked).toEqual(["kiloclaw.test:443"]);
    expect(hints.join()).toContain(`check ${named};`);
  });

  it("never stands between the tool and this machine", async () => {
    const proxy = await proxyThatRefuses();
    const url = await serving((_request, response) => response.end("{}"));
    const transport = new Transport({ ...options(url), env: { HTTP_PROXY: proxy.url, HTTPS_PROXY: proxy.url } });
    opened.push(transport);
    expect(await exchange(transport)).toMatchObject({ status: 200 });
    expect(proxy.asked).toEqual([]);
  });
});

describe("the debug log", () => {
  it("has an entry for each exchange: what was asked in the words that may be shown, and what came of it", async () => {
    const url = await serving((request, response) => {
      if (request.url?.startsWith("/cut")) request.socket.destroy();
      else response.end("12345");
    });
    const seen: ExchangeLog[] = [];
    const transport = new Transport(options(url, (entry) => seen.push(entry)));
    opened.push(transport);
    await exchange(transport, { path: "/a?secret" });
    await exchange(transport, { path: "/secret", shownPath: "/shown" });
    const failure = await failureOf(exchange(transport, { ...post, path: "/cut?x" }));
    expect(seen).toEqual([
      { method: "GET", path: "/a", outcome: "200", bytes: 5, ms: expect.any(Number) },
      { method: "GET", path: "/shown", outcome: "200", bytes: 5, ms: expect.any(Number) },
      { method: "POST", path: "/cut", outcome: failure.message, bytes: 0, ms: expect.any(Number) },
    ]);
    expect(seen.every(({ ms }) => ms >= 0 && ms < 60_000)).toBe(true);
  });

  it("has neither the token nor what was asked", async () => {
    const url = await serving((_request, response) => response.writeHead(500).end());
    const seen: ExchangeLog[] = [];
    const api = apiTo(url, (entry) => seen.push(entry));
    await failureOf(api.query(admin.adminAuditLogs, { userId: "secret-user" }, { retry: false }));
    expect(seen).toMatchObject([
      { method: "GET", path: "/api/trpc/admin.kiloclawInstances.adminAuditLogs", outcome: "500" },
    ]);
    expect(JSON.stringify(seen)).not.toMatch(/secret-user|canary/);
  });
});

describe("something that is no HTTP server", () => {
  it("is told as out of reach", async () => {
    const url = await listening(createSocketServer((socket) => socket.end("SSH-2.0-OpenSSH_9.6\r\n")));
    expect(await failureOf(exchange(transportTo(url)))).toMatchObject({ kind: "unreachable", sent: true });
  });
});

const AUDIT = {
  action: "a",
  actor_id: null,
  actor_email: null,
  target_user_id: "t",
  message: "m",
  metadata: null,
  created_at: "2026-05-10 12:00:00.123456+00",
};

describe("a machine that sleeps while it waits for an answer", () => {
  it("takes the connection for lost, drops it, and asks on a new one", async () => {
    const sockets = new Set<unknown>();
    let hang = true;
    const url = await serving((request, response) => {
      sockets.add(request.socket);
      if (!hang) response.end("{}");
    });
    const transport = transportTo(url);
    const ask = () => transport.exchange({ method: "GET", path: "/", procedure: "p", timeoutMs: 20_000, maxBytes: 9 });
    const asking = ask();
    await eventually(() => expect(sockets.size).toBe(1));
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 60_000 });
    await expect(asking).rejects.toMatchObject({
      sent: true,
      transient: true,
      message: expect.stringContaining("was asleep"),
    });
    vi.useRealTimers();
    hang = false;
    await expect(ask()).resolves.toMatchObject({ status: 200 });
    expect(sockets.size).toBe(2);
  });
});
