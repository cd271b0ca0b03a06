/** A token belongs to one exact origin. Two servers: one that leads astray, one that counts what reaches it. */
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer, type RequestListener, type Server, type ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import * as z from "zod";
import { Api } from "../../src/api/api.ts";
import { parseOrigin } from "../../src/api/origin.ts";
import { admin } from "../../src/contract/procedures.ts";
import { run, type Result, type RunOptions } from "../harness.ts";
import { QUICK } from "../support/timing.ts";

const TOKEN = "canary-token-0123456789";
const ID = "11111111-1111-4111-8111-111111111111";
const USER = "22222222-2222-4222-8222-222222222222";

/** One command for each kind of call. */
const COMMANDS: Readonly<Record<string, readonly string[]>> = {
  "a query": ["audit", "list", "-u", USER, "--json"],
  "a batch of queries": ["instances", "show", ID],
  "a read of the REST routes": ["users", "find", "jane"],
  "several kinds": ["auth", "status"],
  "a token that is tried out": ["auth", "login", "--with-token", "--insecure-storage"],
  "a device login": ["auth", "login", "--insecure-storage", "--interval", "20ms"],
};

let trusted: Server;
let other: Server;
let configDir: string;
let answer: (response: ServerResponse, method: string, path: string) => void;
/** What reached the server that must get no token: everything, and what of it had one. */
let strayed: string[] = [];
let withToken: string[] = [];
let posts = 0;

const listening = async (listener: RequestListener) => {
  const server = createServer(listener);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return server;
};
const portOf = (server: Server) => z.object({ port: z.number() }).parse(server.address()).port;
const urlOf = (server: Server, host = "127.0.0.1") => `http://${host}:${portOf(server)}`;

beforeAll(async () => {
  vi.spyOn(Math, "random").mockReturnValue(0);
  trusted = await listening((request, response) => {
    if (request.method === "POST") posts += 1;
    answer(response, request.method ?? "", request.url ?? "");
  });
  other = await listening((request, response) => {
    strayed.push(`${request.method} ${request.url}`);
    if (JSON.stringify(request.rawHeaders).includes(TOKEN)) withToken.push(`${request.method} ${request.url}`);
    response.end("{}");
  });
});
afterAll(() => {
  vi.restoreAllMocks();
  trusted.close();
  other.close();
});
beforeEach(async () => {
  [strayed, withToken, posts] = [[], [], 0];
  answer = (response) => response.writeHead(500).end();
  configDir = await mkdtemp(join(tmpdir(), "kiloclaw-origin-"));
});
afterEach(() => rm(configDir, { recursive: true }));

const use = (argv: readonly string[], { env, ...given }: RunOptions = {}): Promise<Result> =>
  run(argv, { configDir, stdin: TOKEN, ...given, env: { KILOCLAW_ADMIN_HOST: urlOf(trusted), ...env } });
const store = (tokens: Record<string, string>) =>
  writeFile(join(configDir, "credentials.json"), JSON.stringify({ tokens }), { mode: 0o600 });

const profile = (host: string) =>
  writeFile(join(configDir, "config.json"), JSON.stringify({ profiles: { work: { host } } }));

/** Where a server may want to lead to, from its own address. */
const ELSEWHERE: Readonly<Record<string, () => string>> = {
  "another port": () => `${urlOf(other)}/x`,
  "another name of this machine": () => `${urlOf(other, "localhost")}/x`,
  "another scheme": () => `https://127.0.0.1:${portOf(other)}/x`,
  "an address without a scheme": () => `//127.0.0.1:${portOf(other)}/x`,
  "an address with user information": () => `http://x:y@127.0.0.1:${portOf(other)}/x`,
  "its own address": () => "/x",
};

describe.each([301, 302, 303, 307, 308])("a redirect with %i", (status) => {
  it.each(Object.keys(ELSEWHERE))("to %s is followed by no kind of call", async (where) => {
    const paths = new Set<string>();
    answer = (response, _method, path) => {
      paths.add(path.replace(/\?.*/s, ""));
      response.writeHead(status, { location: ELSEWHERE[where]?.() }).end();
    };
    await store({ [urlOf(trusted)]: TOKEN });
    const results = await Promise.all(Object.values(COMMANDS).map((argv) => use(argv)));
    expect(results.map(({ code }) => code)).toEqual(results.map(() => 11));
    for (const { stderr } of results) expect(stderr).toContain("a redirect to");
    expect(strayed).toEqual([]);
    expect(paths.size).toBeGreaterThan(2);
    expect(paths).not.toContain("/x");
  });
});

describe("a start", () => {
  it.each([
    ["a redirect", (response: ServerResponse, to: string) => response.writeHead(307, { location: to }).end()],
    [
      "an early hint of another address, and then nothing",
      (response: ServerResponse, to: string) => {
        response.writeEarlyHints({ link: `<${to}>; rel=preload` });
        response.writeProcessing();
        response.socket?.destroySoon();
      },
    ],
    [
      "a created one elsewhere",
      (response: ServerResponse, to: string) => response.writeHead(201, { location: to }).end("{}"),
    ],
  ])("that is answered with %s is one request, and goes nowhere else", async (_what, astray) => {
    answer = (response, method) => {
      if (method === "POST") astray(response, `${urlOf(other)}/x`);
      else response.end();
    };
    const api = new Api({
      origin: parseOrigin(urlOf(trusted), "test"),
      token: TOKEN,
      userAgent: "test",
      timing: QUICK,
      env: {},
    });
    await expect(api.mutate(admin.startKiloCliRun, { userId: USER, prompt: "p" })).rejects.toMatchObject({
      sent: true,
    });
    await api.close();
    expect(posts).toBe(1);
    expect(strayed).toEqual([]);
  });
});

describe("a stored token", () => {
  beforeEach(() => store({ [urlOf(trusted)]: TOKEN }));
  it("is used for its own origin", async () => {
    let seen: unknown;
    trusted.once("request", ({ headers }) => (seen = headers.authorization));
    await use(["whoami"]);
    expect(seen).toBe(`Bearer ${TOKEN}`);
  });

  it.each(Object.keys(COMMANDS).filter((kind) => !kind.includes("login") && !kind.includes("tried")))(
    "stays with its origin when %s is sent elsewhere: a profile edited by hand, the environment, a flag",
    async (kind) => {
      const argv = COMMANDS[kind] ?? [];
      await profile(urlOf(other));
      for (const { more = [], env = {} } of [
        { more: ["--profile", "work"], env: { KILOCLAW_ADMIN_HOST: "" } },
        { env: { KILOCLAW_ADMIN_HOST: "", KILOCLAW_ADMIN_PROFILE: "work" } },
        { env: { KILOCLAW_ADMIN_HOST: urlOf(other) } },
        { more: ["--host", urlOf(other)] },
        // The same server by another name is another origin.
        { more: ["--host", urlOf(trusted, "localhost")] },
      ]) {
        const { code, stderr } = await use([...argv, ...more], { env });
        expect(code).toBe(4);
        expect(stderr).toContain("auth login");
      }
      expect(withToken).toEqual([]);
    },
  );

  it("and one from the environment stay with the platform that is meant, when every profile is asked about", async () => {
    await profile(urlOf(other));
    await use(["auth", "status", "--json"], { env: { KILOCLAW_ADMIN_TOKEN: TOKEN } });
    await use(["auth", "status", "--json"]);
    expect(withToken).toEqual([]);
  });

  it("of an origin is not that of what looks like it in the file", async () => {
    const { port } = new URL(urlOf(trusted));
    await store({
      [`${urlOf(trusted)}/`]: TOKEN,
      [urlOf(trusted, "localhost")]: TOKEN,
      [`https://127.0.0.1:${port}`]: TOKEN,
      "127.0.0.1": TOKEN,
      "*": TOKEN,
      __proto__: TOKEN,
    });
    expect((await use(["runs", "list"])).code).toBe(4);
    for (const host of ["toString", "__proto__", "constructor"]) {
      expect((await use(["runs", "list", "--host", host])).code).toBe(4);
    }
  });
});

/** Each `%` is the port of the server that must get nothing. */
const LOOK_ALIKES = [
  "https://app.kilo.ai@127.0.0.1:%",
  "https://app.kilo.ai:443@127.0.0.1:%",
  "http://localhost@127.0.0.1:%",
  "http://127.0.0.1:%@evil.example",
  "http://app.kilo.ai",
  "http://127.0.0.1.evil.example:%",
  "http://localhost.evil.example:%",
  "http://localhost.:%",
  "http://app.localhost:%",
  "http://0.0.0.0:%",
  "http://[::]:%",
  "http://[::ffff:127.0.0.1]:%",
  "http://[fe80::1%25lo]:%",
  "https://xn--pp-1ia.kilo.ai",
  "https://аpp.kilo.ai",
  "https://app.kilo.ai。evil.example",
  "https://app。kilo。ai",
  "https:\\\\app.kilo.ai",
  "https://app.kilo.ai\\@127.0.0.1:%",
  "https://app.kilo.ai#@127.0.0.1:%",
  "https://app.kilo.ai?@127.0.0.1:%",
  "https://127.0.0.1:%/app.kilo.ai",
  "https://app.kilo.ai%2eevil.example",
  "http://2130706433:%",
  "http://0x7f.1:%",
  "http://127.1:%",
  "http://0177.0.0.1:%",
  "https://3232235521",
  "https:app.kilo.ai",
  "https:/app.kilo.ai",
  "https:///app.kilo.ai",
  "ftp://127.0.0.1:%",
  "file:///etc/passwd",
  "javascript:alert(1)",
  " https://app.kilo.ai",
  "https://app.kilo.ai\t",
  "https://app.\nkilo.ai",
];

describe("an address that is not exactly an origin to trust", () => {
  it.each(LOOK_ALIKES)("%j is refused by its look, from a flag, the environment and a profile", async (pattern) => {
    const host = pattern.replaceAll(/%(?!2)/g, String(portOf(other)));
    await profile(host);
    const env = { KILOCLAW_ADMIN_HOST: "", KILOCLAW_ADMIN_TOKEN: TOKEN };
    const results = await Promise.all([
      ...Object.values(COMMANDS).map((argv) => use([...argv, "--host", host], { env })),
      use(["runs", "list"], { env: { ...env, KILOCLAW_ADMIN_HOST: host } }),
      use(["runs", "list", "--profile", "work"], { env }),
    ]);
    expect(results.map(({ code }) => code)).toEqual(results.map(() => 2));
    expect(strayed).toEqual([]);
  });

  it("is refused when it is empty", async () => {
    await profile(urlOf(trusted));
    const env = { KILOCLAW_ADMIN_HOST: "", KILOCLAW_ADMIN_TOKEN: TOKEN };
    const results = await Promise.all(Object.values(COMMANDS).map((argv) => use([...argv, "--host", ""], { env })));
    expect(results.map(({ code }) => code)).toEqual(results.map(() => 2));
    // A settings file that says so is broken.
    await profile("");
    expect((await use(["runs", "list", "--profile", "work"], { env })).code).toBe(12);
    expect(strayed).toEqual([]);
  });

  it("leaves what was stored alone", async () => {
    await store({ [urlOf(trusted)]: TOKEN });
    const before = await readFile(join(configDir, "credentials.json"), "utf8");
    await use(["auth", "logout", "--host", `http://x@127.0.0.1:${portOf(trusted)}`]);
    expect(await readFile(join(configDir, "credentials.json"), "utf8")).toBe(before);
  });
});
