/** `doctor` on networks where one step of the way does not work: which one fails, what is skipped, and that nothing is told. */
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer as createHttpServer, type Server } from "node:http";
import { createServer as createTlsServer } from "node:https";
import {
  createServer as createSocketServer,
  connect,
  type AddressInfo,
  type Server as SocketServer,
  type Socket,
} from "node:net";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import * as z from "zod";
import { begin, root, run, type RunOptions } from "../harness.ts";

const TOKEN = "canary-token-of-an-admin";
const PASSWORD = "p%40ss-canary";
const FIXTURES = join(root, "test", "fixtures", "tls");
const results = z.array(
  z.object({ name: z.string(), result: z.string(), found: z.string(), remedy: z.string().nullable() }),
);

const opened: { close(): unknown }[] = [];
afterEach(() => {
  for (const one of opened.splice(0)) one.close();
});

/** Listens on this machine, and gives the port. */
const listening = async (server: Server | SocketServer): Promise<number> => {
  const sockets = new Set<Socket>();
  server.on("connection", (socket: Socket) => {
    socket.on("error", () => undefined);
    sockets.add(socket);
  });
  server.listen(0, "127.0.0.1");
  opened.push({
    close: () => {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  });
  await once(server, "listening");
  return (server.address() as AddressInfo).port;
};
const silent = () => listening(createSocketServer(() => undefined));
const answering = () => listening(createHttpServer((_request, response) => response.writeHead(401).end("{}")));
const overTls = async (certificate: string) => {
  const pem = await readFile(join(FIXTURES, certificate));
  const seen: string[] = [];
  const server = createTlsServer({ key: pem, cert: pem }, ({ url = "" }, response) => {
    seen.push(url);
    response.writeHead(401).end('{"error":"Unauthorized"}');
  });
  return { port: await listening(server), seen };
};

/** A proxy that answers CONNECT with this status; with 200 it leads to `port`. */
const proxyTo = async (status: number, port = 0) => {
  const asked: { target: string | undefined; authorization: string | undefined }[] = [];
  const server = createHttpServer();
  server.on("connect", ({ url, headers }, socket: Socket) => {
    asked.push({ target: url, authorization: headers["proxy-authorization"] });
    socket.on("error", () => undefined);
    socket.write(`HTTP/1.1 ${status} It\r\n\r\n`);
    if (status !== 200) return socket.end();
    const onward = connect(port, "127.0.0.1").on("error", () => socket.destroy());
    return socket.pipe(onward).pipe(socket);
  });
  return { host: `127.0.0.1:${await listening(server)}`, asked };
};

/** Nothing is given up because this machine is busy with something else. */
const PATIENT = { usualMs: 60_000, answerMs: 60_000, adminMs: 60_000, totalMs: 60_000 };
/** For what never answers. */
const BRIEF = { ...PATIENT, usualMs: 2_000, answerMs: 2_500 };

const examine = async (host: string, env: RunOptions["env"] = {}, doctor = PATIENT) => {
  const { code, stdout, stderr } = await run(["doctor", "--json", "--debug", "--host", host], {
    env: { KILOCLAW_ADMIN_TOKEN: TOKEN, ...env },
    timing: { doctor },
  });
  expect(`${stdout}${stderr}`).not.toMatch(/canary|p@ss/);
  const list = results.parse(JSON.parse(stdout));
  expect(list.filter(({ result, remedy }) => result === "fail" && !remedy)).toEqual([]);
  const named = (result: string) => list.filter((one) => one.result === result).map(({ name }) => name);
  return {
    code,
    failed: named("fail"),
    skipped: named("skipped"),
    by: Object.fromEntries(list.map((one) => [one.name, one])),
  };
};

describe("a step of the way that does not work", () => {
  it("the name cannot be resolved", async () => {
    const { code, failed, skipped, by } = await examine("https://nope.invalid");
    expect([code, failed]).toEqual([1, ["dns"]]);
    expect(skipped).toEqual(["tcp", "proxy-tunnel", "tls", "answer", "clock", "admin"]);
    expect(by.dns?.found).toMatch(/^the name nope\.invalid cannot be resolved \(E/);
    expect(by.admin?.found).toBe("not tried, because this failed: dns");
  });

  it("nobody listens", async () => {
    const port = await silent();
    for (const one of opened.splice(0)) one.close();
    const { failed, skipped, by } = await examine(`https://localhost:${port}`);
    expect(failed).toEqual(["tcp"]);
    expect(skipped).toEqual(["proxy-tunnel", "tls", "answer", "clock", "admin"]);
    expect(by.dns?.found).toMatch(/^localhost is .*127\.0\.0\.1.* ms\)$/);
    expect(by.tcp?.found).toContain("nothing listens there (ECONNREFUSED)");
  });

  it("TLS is never answered: given up in its time", async () => {
    const began = performance.now();
    const { failed, skipped, by } = await examine(`https://localhost:${await silent()}`, {}, BRIEF);
    expect(failed).toEqual(["tls"]);
    expect(by.tls?.found).toBe("no answer within 2 s");
    expect(skipped).toEqual(["proxy-tunnel", "answer", "clock", "admin"]);
    expect(performance.now() - began).toBeLessThan(15_000);
  });

  it("no TLS is spoken", async () => {
    const port = await listening(createSocketServer((socket) => socket.end("SSH-2.0-OpenSSH_9.6\r\n")));
    const { failed, by } = await examine(`https://localhost:${port}`);
    expect(failed).toEqual(["tls"]);
    expect(by.tls?.found).toContain("does not speak TLS");
  });

  it.each([
    ["valid.pem", "which this machine does not trust (DEPTH_ZERO_SELF_SIGNED_CERT)"],
    ["expired.pem", "which expired on 2021-01-01"],
  ])("the certificate is no good: %s; not even a request is sent", async (certificate, why) => {
    const { port, seen } = await overTls(certificate);
    const { failed, by } = await examine(`https://localhost:${port}`);
    expect(failed).toEqual(["tls"]);
    expect(by.tls?.found).toMatch(/^TLSv1\.3, certificate from Kiloclaw Tests, /);
    expect(by.tls?.found).toContain(why);
    expect(by.tls?.remedy).not.toBeNull();
    expect(seen).toEqual([]);
  });

  it("a request is answered by hanging up", async () => {
    const port = await listening(createHttpServer(({ socket }) => socket.resetAndDestroy()));
    const { failed, by } = await examine(`http://127.0.0.1:${port}`);
    expect(failed).toEqual(["answer"]);
    expect(by.answer?.found).toContain("broke before the answer");
  });

  it("a request is never answered: given up in its time", async () => {
    const { failed, skipped, by } = await examine(`http://127.0.0.1:${await silent()}`, {}, BRIEF);
    expect(failed).toEqual(["answer"]);
    expect(by.answer?.found).toBe("no answer within 2.5 s");
    expect(skipped).toEqual(["dns", "proxy-tunnel", "tls", "clock", "admin"]);
  });

  it.each([
    [
      200,
      {},
      "<html>Welcome to the hotel's network</html>",
      "something else than the platform answers there (HTTP 200",
    ],
    [404, {}, "<title>Not here</title>", 'a page titled "Not here"'],
    [401, {}, '{"error":"log in first"}', "something else than the platform answers there (HTTP 401"],
    [302, { location: "http://hotel.example/login" }, "", "a redirect to hotel.example"],
    [503, {}, "busy", "it answers, with HTTP 503"],
    [502, {}, "<title>Bad gateway</title>", 'a page titled "Bad gateway"'],
  ])("something else answers: HTTP %d %j", async (status, headers, body, why) => {
    const tokens: unknown[] = [];
    const port = await listening(
      createHttpServer((request, response) => {
        tokens.push(request.headers.authorization);
        response.writeHead(status, headers).end(body);
      }),
    );
    const { failed, by } = await examine(`http://127.0.0.1:${port}`);
    expect(failed).toEqual(["answer"]);
    expect(by.answer?.found).toContain(why);
    expect(by.answer?.found).not.toContain("<");
    expect(tokens).toEqual([undefined]);
  });
});

describe("a proxy", () => {
  const withPassword = (host: string) => ({ HTTPS_PROXY: `http://jane:${PASSWORD}@${host}` });

  it("is examined in the platform's place, with its password, which is not shown", async () => {
    const { port, seen } = await overTls("valid.pem");
    const proxy = await proxyTo(200, port);
    const { failed, by } = await examine("https://kiloclaw.test", withPassword(proxy.host));
    expect(by.proxy?.found).toBe(`http://${proxy.host}, from HTTPS_PROXY`);
    expect(by.tcp?.found).toContain(`connected to the proxy ${proxy.host}`);
    expect(by["proxy-tunnel"]?.found).toContain("opened to kiloclaw.test:443");
    expect(failed).toEqual(["tls"]);
    expect(by.tls?.found).toContain("does not trust");
    const login = `Basic ${Buffer.from("jane:p@ss-canary").toString("base64")}`;
    const asked = { target: "kiloclaw.test:443", authorization: login };
    expect(proxy.asked).toEqual([asked, asked]);
    expect(seen).toEqual([]);
  });

  it.each([
    [407, "the proxy wants a user and a password, or others (407)"],
    [403, "the proxy opens no connection to kiloclaw.test:443 (403)"],
  ])("that answers %d fails", async (status, why) => {
    const proxy = await proxyTo(status);
    const { failed, by } = await examine("https://kiloclaw.test", withPassword(proxy.host));
    expect(failed).toEqual(["proxy-tunnel"]);
    expect(by["proxy-tunnel"]?.found).toBe(why);
    expect(by["proxy-tunnel"]?.remedy).not.toBeNull();
  });

  it.each([`socks5://jane:${PASSWORD}@proxy.test`, `http://jane:${PASSWORD}@`])(
    "that is none fails without being shown: %s",
    async (HTTPS_PROXY) => {
      const { failed, by } = await examine("https://kiloclaw.test", { HTTPS_PROXY });
      expect(failed).toEqual(["proxy"]);
      expect(by.proxy?.found).toBe("HTTPS_PROXY is not an http: URL");
    },
  );

  it("that does not apply is said to", async () => {
    const proxy = await proxyTo(200);
    const exempt = await examine("https://nope.invalid", { ...withPassword(proxy.host), NO_PROXY: ".invalid" });
    expect(exempt.by.proxy?.found).toBe("NO_PROXY exempts nope.invalid from HTTPS_PROXY");
    expect(exempt.failed).toEqual(["dns"]);
    const local = await examine(`http://127.0.0.1:${await answering()}`, withPassword(proxy.host));
    expect(local.by.proxy?.found).toBe("HTTPS_PROXY is not used for this machine");
    expect(proxy.asked).toEqual([]);
  });
});

describe("certificates", () => {
  it("that are not checked: fails, and nothing is sent to another machine", async () => {
    const { port, seen } = await overTls("valid.pem");
    const proxy = await proxyTo(200, port);
    const env = { HTTPS_PROXY: `http://${proxy.host}`, NODE_TLS_REJECT_UNAUTHORIZED: "0" };
    const { failed, by } = await examine("https://kiloclaw.test", env);
    expect(failed).toContain("certificate-check");
    expect(by["certificate-check"]?.remedy).toContain("unset NODE_TLS_REJECT_UNAUTHORIZED");
    expect(by.admin?.result).toBe("skipped");
    expect(seen).toEqual([]);
  });

  it("that are not checked are only warned about for this machine", async () => {
    const { by } = await examine(`http://127.0.0.1:${await answering()}`, { NODE_TLS_REJECT_UNAUTHORIZED: "0" });
    expect(by["certificate-check"]?.result).toBe("warn");
  });

  it.each([
    [join(FIXTURES, "valid.pem"), "ok", /: 1 in .*valid\.pem$/],
    [join(FIXTURES, "expired.pem"), "warn", /all expired$/],
    [join(root, "package.json"), "warn", /there is no PEM certificate in/],
    [join(root, "nothing.pem"), "warn", /cannot be read: ENOENT/],
  ])("that NODE_EXTRA_CA_CERTS adds are looked at: %s", async (path, result, found) => {
    const { by } = await examine("https://nope.invalid", { NODE_EXTRA_CA_CERTS: path });
    expect(by["extra-certificates"]).toMatchObject({ result, found: expect.stringMatching(found) });
  });
});

it("Ctrl-C ends it at once, with what was found so far", async () => {
  const running = begin(["doctor", "--host", `http://127.0.0.1:${await silent()}`], {
    env: { KILOCLAW_ADMIN_TOKEN: TOKEN },
  });
  await running.waitFor(/✓ tcp/);
  await running.waitFor(/- tls/);
  const began = performance.now();
  running.stop();
  const { code, stdout, stderr } = await running.done;
  expect(performance.now() - began).toBeLessThan(2_000);
  expect({ code, stderr }).toEqual({ code: 130, stderr: "" });
  expect(stdout).not.toContain("platform");
});
