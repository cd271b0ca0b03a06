/** A proxy that makes no way to the platform: whatever it does, nothing was sent, and it is told that it was the proxy. */
import { EventEmitter, once } from "node:events";
import { createServer, type IncomingMessage } from "node:http";
import { createServer as createSocketServer, type AddressInfo, type Server, type Socket } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { ApiError } from "../../src/api/api-error.ts";
import { parseOrigin } from "../../src/api/origin.ts";
import { Transport } from "../../src/api/transport.ts";
import { QUICK } from "../support/timing.ts";

const TOKEN = "canary-token-0123456789";
const PASSWORD = "canary-of-the-proxy";

const opened: { close(): unknown }[] = [];
afterEach(async () => {
  await Promise.all(opened.splice(0).map((one) => one.close()));
});

async function listening(server: Server): Promise<number> {
  const sockets = new Set<Socket>();
  server.on("connection", (socket: Socket) => sockets.add(socket.on("error", () => undefined)));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  opened.push({
    close: () => {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  });
  return (server.address() as AddressInfo).port;
}

/** A proxy that answers a wish for a connection like this, and everything that it was told. */
async function proxy(answer: (socket: Socket) => void) {
  const told: string[] = [];
  const server = createServer();
  const note = ({ method, url, headers }: IncomingMessage) => told.push(`${method} ${url} ${JSON.stringify(headers)}`);
  server.on("request", (request, response) => {
    note(request);
    response.writeHead(500).end();
  });
  server.on("connect", (request, socket: Socket) => {
    note(request);
    socket.on("error", () => undefined).on("data", (bytes) => told.push(bytes.toString("latin1")));
    answer(socket);
  });
  return { url: `http://jane:${PASSWORD}@127.0.0.1:${await listening(server)}`, told };
}

function transport(HTTPS_PROXY: string, origin = "https://kiloclaw.test", timing = QUICK): Transport {
  const made = new Transport({
    origin: parseOrigin(origin, "test"),
    token: TOKEN,
    userAgent: "test",
    timing,
    env: { HTTPS_PROXY },
  });
  opened.push(made);
  return made;
}

async function failureOf(through: Transport, method = "POST", timeoutMs = 5_000): Promise<ApiError> {
  const error = await through
    .exchange({
      method,
      path: "/x",
      procedure: "x",
      timeoutMs,
      maxBytes: 1_000,
      ...(method === "POST" ? { body: "{}" } : {}),
    })
    .catch((error: unknown) => error);
  if (error instanceof ApiError) return error;
  throw new Error("it did not fail as an ApiError", { cause: error });
}

describe("a proxy that", () => {
  it.each([
    [
      "wants a login",
      (socket: Socket) => void socket.end("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n"),
      "answered 407",
    ],
    ["forbids it", (socket: Socket) => void socket.end("HTTP/1.1 403 Forbidden\r\n\r\n<h1>no</h1>"), "answered 403"],
    ["finds no way", (socket: Socket) => void socket.end("HTTP/1.1 502 Bad Gateway\r\n\r\n"), "answered 502"],
    [
      "leads elsewhere",
      (socket: Socket) => void socket.end("HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\n\r\n"),
      "answered 302",
    ],
    ["hangs up", (socket: Socket) => void socket.destroy(), "made no connection"],
    ["resets", (socket: Socket) => void socket.resetAndDestroy(), "made no connection"],
    [
      "hangs up in the tunnel",
      (socket: Socket) => void socket.end("HTTP/1.1 200 Connected\r\n\r\n"),
      "https://kiloclaw.test",
    ],
    [
      "speaks no TLS in the tunnel",
      (socket: Socket) => void socket.end("HTTP/1.1 200 Connected\r\n\r\nHTTP/1.1 200 OK\r\n\r\n{}"),
      "https://kiloclaw.test",
    ],
  ])("%s: nothing was sent, for reads and writes", async (_what, answer, words) => {
    const { url, told } = await proxy(answer);
    for (const method of ["GET", "POST"]) {
      const failure = await failureOf(transport(url), method);
      expect(failure).toMatchObject({ sent: false, kind: "unreachable", message: expect.stringContaining(words) });
      expect(`${failure.message} ${failure.hints.join(" ")}`).not.toContain(PASSWORD);
    }
    expect(told.filter((line) => line.startsWith("CONNECT kiloclaw.test:443"))).toHaveLength(2);
    expect(told.join("\n")).not.toMatch(new RegExp(`${TOKEN}|authorization":"Bearer`));
  });

  it.each(["%", "100%", "a%zzb", "%e0%a4", "p%ss"])(
    "gets a password with a stray percent sign: %j",
    async (password) => {
      const port = new URL((await proxy(() => undefined)).url).port;
      for (const variable of ["https_proxy", "ALL_PROXY"]) {
        const through = new Transport({
          origin: parseOrigin("https://kiloclaw.test", "test"),
          token: TOKEN,
          userAgent: "test",
          timing: QUICK,
          env: { [variable]: `http://jane:${password}${PASSWORD}@127.0.0.1:${port}` },
        });
        opened.push(through);
        const { sent, message, hints } = await failureOf(through);
        expect(sent).toBe(false);
        expect(message).toContain(`the user name or the password in ${variable} has a "%"`);
        expect(hints.join()).toBe(`write a percent sign as %25 in ${variable}`);
        expect(message).not.toContain(PASSWORD);
      }
    },
  );

  it("is told a user without a password, and a password without a user", async () => {
    const { url, told } = await proxy((socket) => socket.end("HTTP/1.1 502 Bad Gateway\r\n\r\n"));
    const { host } = new URL(url);
    for (const login of ["jane%40example", ":secret%25"]) await failureOf(transport(`http://${login}@${host}`));
    const logins = told.map((line) => /Basic ([\w+/=]+)/.exec(line)?.[1] ?? "");
    expect(logins.map((login) => Buffer.from(login, "base64").toString())).toEqual(["jane@example:", ":secret%"]);
  });

  it("wants a login: says where it goes", async () => {
    const { url } = await proxy((socket) => socket.end("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n"));
    const { hints } = await failureOf(transport(url));
    expect(hints.join()).toContain("http://name:password@proxy:port");
  });

  it("never answers: given up when a direct connection would be", async () => {
    const asked = new EventEmitter();
    const reached = once(asked, "connect");
    const { url } = await proxy(() => void asked.emit("connect"));
    const began = performance.now();
    const patient = transport(url, "https://kiloclaw.test", { ...QUICK, connectMs: 1_000 });
    const failing = failureOf(patient, "POST", 120_000);
    await reached;
    expect(await failing).toMatchObject({ sent: false, message: expect.stringContaining("no connection within 1 s") });
    expect(performance.now() - began).toBeGreaterThan(990);
  });

  it("never answers: given up when the call's own time is over", async () => {
    const { url } = await proxy(() => undefined);
    expect(await failureOf(transport(url), "POST", 100)).toMatchObject({ sent: false, kind: "unreachable" });
  });

  it("is not there: names the proxy, not the platform", async () => {
    const server = createSocketServer();
    const port = await listening(server);
    await Promise.all(opened.splice(0).map((one) => one.close()));
    const gone = await failureOf(transport(`http://127.0.0.1:${port}`));
    expect(gone).toMatchObject({
      sent: false,
      message: expect.stringContaining(`the proxy 127.0.0.1:${port} made no connection (ECONNREFUSED)`),
    });
    const unknown = await failureOf(transport("http://no-such-proxy.invalid:3128"));
    expect(unknown).toMatchObject({ sent: false, message: expect.stringContaining("no-such-proxy.invalid:3128") });
  });

  it.each(["ftp://127.0.0.1:1", "http://", "socks5://127.0.0.1:1"])("is none: %s", async (url) => {
    const failure = await failureOf(transport(url));
    expect(failure).toMatchObject({ sent: false, message: expect.stringContaining("not an http: URL") });
    expect(failure.hints.join()).toContain("HTTPS_PROXY");
  });

  it("is named without a scheme, as in curl", async () => {
    const { url, told } = await proxy((socket) => socket.end("HTTP/1.1 502 Bad Gateway\r\n\r\n"));
    expect(await failureOf(transport(url.replace("http://", "")))).toMatchObject({ sent: false });
    expect(told).toHaveLength(1);
    expect(told[0]).toContain(Buffer.from(`jane:${PASSWORD}`).toString("base64"));
  });

  it("stands before this machine's own addresses is not asked", async () => {
    const { url, told } = await proxy((socket) => socket.end());
    const server = createServer((_request, response) => response.end("{}"));
    server.listen(0, "127.0.0.2");
    await once(server, "listening");
    opened.push(server);
    const { port } = server.address() as AddressInfo;
    const answer = await transport(url, `http://127.0.0.2:${port}`).exchange({
      method: "GET",
      path: "/x",
      procedure: "x",
      timeoutMs: 5_000,
      maxBytes: 1_000,
    });
    expect(answer.text).toBe("{}");
    expect(told).toEqual([]);
  });
});
