/** Commands behind a proxy, as processes, because Node reads a company's own authority when it starts. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer, request as ask } from "node:http";
import { createServer as createTlsServer } from "node:https";
import { connect, type AddressInfo, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from "vitest";
import { openDesk, root, type Desk } from "../harness.ts";
import { leaks } from "../support/canary.ts";

const BIN = join(root, "bin", "kiloclaw-admin.js");
const CERTIFICATE = join(root, "test", "fixtures", "tls", "valid.pem");
const LONG = "[rehearse lines=1 delay=60]";

let desk: Desk;
let configDir: string;
beforeAll(async () => {
  desk = await openDesk({ extraUsers: 5 });
});
afterAll(() => desk.close());

const opened: { close(): unknown }[] = [];
async function listening(server: Server): Promise<number> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  opened.push(server);
  return (server.address() as AddressInfo).port;
}

/** What each asks for, and what it is told. The proxy's part is what it could read. */
let asked: { method: string; path: string; authorized: boolean }[];
let wishes: string[];
let read: string[];
/** Called before the platform's answer to this request is passed on. */
let onRequest: (path: string, tunnel: Socket | undefined) => void;
let refusal: string | undefined;
let env: NodeJS.ProcessEnv;

beforeEach(async () => {
  [asked, wishes, read] = [[], [], []];
  onRequest = () => undefined;
  refusal = undefined;
  configDir = await mkdtemp(join(tmpdir(), "kiloclaw-proxied-"));
  const pem = await readFile(CERTIFICATE);
  const tunnels = new Map<number | undefined, Socket>();
  /** The sandbox as https://kiloclaw.test, which only the proxy finds. */
  const platform = createTlsServer({ key: pem, cert: pem }, (request, response) => {
    const { method = "", url = "", headers } = request;
    asked.push({ method, path: url, authorized: headers.authorization === `Bearer ${desk.sandbox.adminToken}` });
    const { host: _other, ...others } = headers;
    const onward = ask(new URL(url, desk.sandbox.url), { method, headers: others }, (answer) => {
      onRequest(url, tunnels.get(request.socket.remotePort));
      response.writeHead(answer.statusCode ?? 0, answer.headers);
      answer.pipe(response);
    });
    request.pipe(onward);
  });
  const port = await listening(platform);
  const proxy = createServer();
  proxy.on("request", ({ method, url }) => wishes.push(`${method} ${url}`));
  proxy.on("connect", (request, socket: Socket) => {
    wishes.push(`CONNECT ${request.url}`);
    read.push(JSON.stringify(request.rawHeaders));
    if (refusal !== undefined) return void socket.end(`HTTP/1.1 ${refusal}\r\n\r\n`);
    socket.write("HTTP/1.1 200 Connected\r\n\r\n");
    socket.on("data", (bytes: Buffer) => read.push(bytes.toString("latin1")));
    const onward = connect(port, "127.0.0.1").on("error", () => socket.destroy());
    onward.once("connect", () => tunnels.set(onward.localPort, socket));
    socket.on("error", () => onward.destroy());
    socket.pipe(onward).pipe(socket);
  });
  env = {
    HTTPS_PROXY: `http://127.0.0.1:${await listening(proxy)}`,
    KILOCLAW_ADMIN_HOST: "https://kiloclaw.test",
    KILOCLAW_ADMIN_TOKEN: desk.sandbox.adminToken,
    KILOCLAW_ADMIN_CONFIG_DIR: configDir,
    NODE_EXTRA_CA_CERTS: CERTIFICATE,
  };
});
afterEach(async () => {
  for (const one of opened.splice(0)) one.close();
  await rm(configDir, { recursive: true });
});

async function run(argv: readonly string[], more: NodeJS.ProcessEnv = {}) {
  const child = spawn(process.execPath, [BIN, ...argv, "--debug"], {
    env: { PATH: process.env.PATH, HOME: configDir, ...env, ...more },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr), once(child, "close")]);
  expect(leaks([desk.sandbox.adminToken], [stdout, stderr, ...read])).toEqual([]);
  return { code: child.exitCode, stdout, stderr };
}
const starts = () => asked.filter(({ path }) => path.includes("startKiloCliRun")).length;

it("sends the token inside the tunnel only, and reads share a tunnel while a start has its own", async () => {
  const { code, stdout } = await run(["runs", "start", "-u", "user0001@load.example.com", "-p", LONG]);
  expect(code).toBe(0);
  expect(stdout).toMatch(/^[0-9a-f-]{36}\n$/);
  expect(asked.length).toBeGreaterThan(3);
  expect(asked.filter(({ authorized }) => !authorized)).toEqual([]);
  expect(new Set(wishes)).toEqual(new Set(["CONNECT kiloclaw.test:443"]));
  expect(wishes.length).toBeGreaterThan(1);
  expect(wishes.length).toBeLessThan(asked.length);
  expect(starts()).toBe(1);
});

it("a start that the proxy has no way for was not sent, and says so", async () => {
  // What is looked at last before a start.
  onRequest = (path) => {
    if (path.includes("listAllCliRuns")) refusal = "502 Bad Gateway";
  };
  const { code, stderr } = await run(["runs", "start", "-u", "user0002@load.example.com", "-p", LONG]);
  expect(code).toBe(11);
  expect(stderr).toContain("answered 502");
  expect(wishes.length).toBeGreaterThan(2);
  expect(starts()).toBe(0);
  expect(await desk.rows("user0002@load.example.com")).toEqual([]);
});

it("a start whose tunnel breaks before the answer comes is looked for, and sent once", async () => {
  onRequest = (path, tunnel) => {
    if (path.includes("startKiloCliRun")) tunnel?.destroy();
  };
  const user = "user0003@load.example.com";
  const { code, stdout, stderr } = await run(["runs", "start", "-u", user, "-p", LONG]);
  expect(stderr).toContain("does not say whether the run started");
  expect(code).toBe(0);
  expect((await desk.rows(user)).map(({ id }) => `${id}\n`)).toEqual([stdout]);
  expect(starts()).toBe(1);
});

it("a platform that cannot prove itself inside the tunnel gets no token", async () => {
  const { code, stderr } = await run(["runs", "list"], { NODE_EXTRA_CA_CERTS: "" });
  expect(code).toBe(11);
  expect(stderr).toContain("could not prove its identity");
  const otherName = await run(["runs", "list", "--host", "https://other.test"]);
  expect(otherName.code).toBe(11);
  expect(otherName.stderr).toContain("ERR_TLS_CERT_ALTNAME_INVALID");
  expect(asked).toEqual([]);
});

it("a host that NO_PROXY names is not asked for at the proxy", async () => {
  const { code } = await run(["runs", "list"], { NO_PROXY: "kiloclaw.test" });
  expect(code).toBe(11);
  expect(wishes).toEqual([]);
  const here = await run(["runs", "list", "-q"], { KILOCLAW_ADMIN_HOST: desk.sandbox.url });
  expect(here.code).toBe(0);
  expect(wishes).toEqual([]);
});
