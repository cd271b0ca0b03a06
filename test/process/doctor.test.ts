/** What only a process of its own shows: authorities that Node reads when it starts, and signals. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { createServer, request as ask } from "node:http";
import { createServer as createTlsServer } from "node:https";
import { connect, createServer as createSocketServer, type AddressInfo, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import * as z from "zod";
import { openDesk, root, type Desk } from "../harness.ts";
import { lacks } from "../support/lacks.ts";

const BIN = join(root, "bin", "kiloclaw-admin.js");
const FIXTURES = join(root, "test", "fixtures", "tls");
const PASSWORD = "canary-of-the-proxy";
const results = z.array(
  z.object({ name: z.string(), result: z.string(), found: z.string(), remedy: z.string().nullable() }),
);

let desk: Desk;
let home: string;
const opened: { close(): unknown }[] = [];
beforeAll(async () => {
  desk = await openDesk();
  home = await mkdtemp(join(tmpdir(), "kiloclaw-home-"));
});
afterAll(async () => {
  await desk.close();
  await rm(home, { recursive: true, force: true });
});
afterEach(() => {
  for (const one of opened.splice(0)) one.close();
});

const listening = async (server: Server): Promise<number> => {
  const sockets = new Set<Socket>();
  server.on("connection", (socket: Socket) => sockets.add(socket.on("error", () => undefined)));
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

/** The sandbox as https://kiloclaw.test, which only a proxy can find. */
const behindProxy = async (certificate: string) => {
  const pem = await readFile(join(FIXTURES, certificate));
  const requests: string[] = [];
  const platform = createTlsServer({ key: pem, cert: pem }, (request, response) => {
    requests.push(request.url ?? "");
    const { host: _other, ...headers } = request.headers;
    const onward = ask(new URL(request.url ?? "", desk.sandbox.url), { method: request.method, headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 0, answer.headers);
      answer.pipe(response);
    });
    request.pipe(onward);
  });
  const port = await listening(platform);
  const proxy = createServer();
  proxy.on("connect", (_request, socket: Socket) => {
    socket.write("HTTP/1.1 200 Connected\r\n\r\n");
    const onward = connect(port, "127.0.0.1").on("error", () => socket.destroy());
    socket.on("error", () => onward.destroy());
    socket.pipe(onward).pipe(socket);
  });
  return {
    env: {
      KILOCLAW_ADMIN_HOST: "https://kiloclaw.test",
      HTTPS_PROXY: `http://jane:${PASSWORD}@127.0.0.1:${await listening(proxy)}`,
      NODE_EXTRA_CA_CERTS: join(FIXTURES, certificate),
    },
    requests,
  };
};

const begin = (argv: readonly string[], more: NodeJS.ProcessEnv) =>
  spawn(process.execPath, [BIN, ...argv], {
    env: {
      PATH: process.env.PATH,
      HOME: home,
      ...desk.env,
      KILOCLAW_ADMIN_CONFIG_DIR: join(home, "of the desk"),
      ...more,
    },
    stdio: ["ignore", "pipe", "pipe"],
  });
const run = async (argv: readonly string[], more: NodeJS.ProcessEnv) => {
  const child = begin(argv, more);
  const [stdout, stderr, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, "close")]);
  expect(`${stdout}${stderr}`).not.toContain(PASSWORD);
  expect(`${stdout}${stderr}`).not.toContain(desk.sandbox.adminToken);
  return { code: code as number, stdout, stderr };
};
const examine = async (more: NodeJS.ProcessEnv) => {
  const { code, stdout } = await run(["doctor", "--json", "--debug"], more);
  const list = results.parse(JSON.parse(stdout));
  return { code, stdout, by: Object.fromEntries(list.map((one) => [one.name, one])) };
};

it("finds the way through a proxy, over TLS with an authority of the company's own, as every command does", async () => {
  const { env } = await behindProxy("valid.pem");
  const { code, by } = await examine(env);
  expect(by.tls).toMatchObject({
    result: "ok",
    found: expect.stringMatching(/^TLSv1\.3, certificate from Kiloclaw Tests, 3\d{4} days left$/),
  });
  expect(by["extra-certificates"]?.found).toMatch(/^NODE_EXTRA_CA_CERTS: 1 in /);
  expect(by.admin).toMatchObject({ result: "ok", found: "ada.admin@kilocode.ai is an admin" });
  expect(code).toBe(0);
  const listed = await run(["users", "find", "jane", "--json", "--fields", "email"], env);
  expect(JSON.parse(listed.stdout)).toContainEqual({ email: "jane@example.com" });
});

it("says of a certificate from a trusted authority that it has expired, and asks nothing there", async () => {
  const { env, requests } = await behindProxy("expired.pem");
  const { code, by } = await examine(env);
  expect(by.tls).toMatchObject({ result: "fail", found: expect.stringContaining("which expired on 2021-01-01") });
  expect(by.admin?.result).toBe("skipped");
  expect({ code, requests }).toEqual({ code: 1, requests: [] });
});

it("every command refuses to talk to another machine without checking who answers", async () => {
  const { env, requests } = await behindProxy("valid.pem");
  for (const argv of [
    ["users", "find", "jane"],
    ["auth", "status"],
    ["runs", "start", "--user", "jane@example.com", "-p", "x"],
    ["auth", "login", "--insecure-storage"],
  ]) {
    const { code, stderr } = await run(argv, { ...env, NODE_TLS_REJECT_UNAUTHORIZED: "0" });
    expect({ argv, code }).toEqual({ argv, code: 2 });
    expect(stderr).toContain("unset NODE_TLS_REJECT_UNAUTHORIZED");
  }
  expect(requests).toEqual([]);
});

it("names no home directory, and leaves nothing behind", async () => {
  const { stdout, by } = await examine({});
  expect(by["state-directory"]?.found).toBe("~/of the desk/state can be written");
  expect(stdout).not.toContain(home);
  expect(await readdir(join(home, "of the desk"), { recursive: true })).toEqual(["state"]);
});

it.skipIf(lacks("signals"))("ends at once on Ctrl-C while nobody answers", async () => {
  const server = createSocketServer(() => undefined);
  const port = await listening(server);
  const child = begin(["doctor"], { KILOCLAW_ADMIN_HOST: `https://127.0.0.1:${port}` });
  const ended = once(child, "close");
  // The first connection is only a knock; the second one is where TLS is waited for.
  await once(server, "connection");
  await once(server, "connection");
  const began = performance.now();
  child.kill("SIGINT");
  expect(await ended).toEqual([130, null]);
  expect(performance.now() - began).toBeLessThan(2_000);
});
