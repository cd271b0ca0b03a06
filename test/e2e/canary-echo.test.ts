/** A server, or something in front of it, that repeats the token it was sent: in errors, pages, headers and data. */
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import * as z from "zod";
import { Api } from "../../src/api/api.ts";
import { parseOrigin } from "../../src/api/origin.ts";
import { admin, TRPC_CODES } from "../../src/contract/procedures.ts";
import { run } from "../harness.ts";
import { filesBelow, leaks, spellingsOf } from "../support/canary.ts";
import { QUICK } from "../support/timing.ts";

const part = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
const JWT = `${part({ alg: "HS256", typ: "JWT" })}.${part({ kiloUserId: "canary", version: 3 })}.c4N4ryS1gn4tur3-_c4N4ryS1gn4tur3-_c4N4ry`;
const OPAQUE = "canary/opaque+token~0123456789";
const RUN = "11111111-1111-4111-8111-111111111111";

/** The calls that a request is, and whether they come as a batch. */
interface Calls {
  readonly paths: readonly string[];
  readonly batch: boolean;
}
const entries = ({ paths, batch }: Calls, entry: (path: string) => object) =>
  batch ? paths.map((path) => entry(path)) : entry(paths[0] ?? "");
const trpc = (calls: Calls, code: "UNAUTHORIZED" | "BAD_REQUEST", message: string) =>
  entries(calls, (path) => {
    const { number, httpStatus } = TRPC_CODES[code] ?? {};
    return { error: { message, code: number, data: { code, httpStatus, path, zodError: null } } };
  });
const send = (response: ServerResponse, status: number, body: unknown, headers: Record<string, string> = {}) =>
  response
    .writeHead(status, { "content-type": "application/json", ...headers })
    .end(typeof body === "string" ? body : JSON.stringify(body));

/** How an answer can hold the token. */
const ECHOES: Readonly<Record<string, (response: ServerResponse, token: string, calls: Calls) => void>> = {
  "500 as text": (response, token) => send(response, 500, `Authorization: Bearer ${token}`),
  "502 as HTML": (response, token) => send(response, 502, `<h1>Bad request</h1><pre>bearer ${token}</pre>`),
  "400 as JSON of an edge": (response, token) => send(response, 400, { error: { received: token } }),
  "401 of the REST routes": (response, token) =>
    send(response, 401, { error: `Invalid token ${token}`, success: false }),
  "403 of the REST routes": (response, token) =>
    send(response, 403, { error: `Access denied ${token}`, success: false }),
  "refusals of tRPC": (response, token, calls) =>
    send(response, 401, trpc(calls, "UNAUTHORIZED", `no user for ${token} (${token.slice(0, 90)}`)),
  "input errors of tRPC": (response, token, calls) => {
    const issues = JSON.stringify([{ path: ["authorization"], message: `not ${token}` }]);
    send(response, 400, trpc(calls, "BAD_REQUEST", issues));
  },
  "a page's title": (response, token) => send(response, 403, `<title>${token}</title>`),
  "an error cut in the middle": (response, token) => send(response, 500, `${"x ".repeat(30)}${token}`),
  "a redirect": (response, token) => send(response, 302, "", { location: `/login?token=${token}` }),
  "an unknown encoding": (response, token) => send(response, 200, "{}", { "content-encoding": token }),
  "unknown fields": (response, token, calls) => {
    const result = { result: { data: { [token]: token, status: token, runs: token } } };
    send(
      response,
      200,
      entries(calls, () => result),
    );
  },
  "data of the REST routes": (response, token) =>
    send(response, 200, { user: { id: token, email: `${token}@example.com`, name: token, image: token } }),
  "data of the lists": (response, token, calls) => {
    const audit = { id: RUN, action: token, actor_id: null, actor_email: token, target_user_id: token, message: token };
    const row = { ...audit, metadata: { token }, created_at: "2026-05-10 12:00:00.123456+00" };
    const result = { result: { data: [row] } };
    send(
      response,
      200,
      entries(calls, () => result),
    );
  },
};

const COMMANDS = [
  ["runs", "list"],
  ["runs", "show", RUN],
  ["runs", "start", "-u", "jane@example.com", "-p", "x"],
  ["runs", "watch", RUN, "--timeout", "100ms", "--interval", "20ms"],
  ["runs", "logs", RUN],
  ["runs", "cancel", RUN, "--yes"],
  ["runs", "diagnose", RUN, "--interval", "20ms"],
  ["runs", "settle", "--all", "--yes"],
  ["instances", "list"],
  ["instances", "show", "jane@example.com"],
  ["users", "find", "jane"],
  ["audit", "list", "-u", RUN],
  ["auth", "status"],
  ["auth", "login", "--with-token", "--insecure-storage"],
];

let url: string;
let configDir: string;
let echo: (response: ServerResponse, token: string, calls: Calls) => void = () => undefined;
let echoed = 0;
const server = createServer((request, response) => {
  const token = request.headers.authorization?.replace("Bearer ", "") ?? "";
  if (token) echoed += 1;
  const { pathname, searchParams } = new URL(request.url ?? "", "http://x");
  const paths = pathname.replace("/api/trpc/", "").split(",");
  echo(response, spelled(token), { paths, batch: searchParams.has("batch") });
});
let spelled = (token: string) => token;

beforeAll(async () => {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  url = `http://127.0.0.1:${z.object({ port: z.number() }).parse(server.address()).port}`;
  configDir = await mkdtemp(join(tmpdir(), "kiloclaw-echo-"));
  vi.spyOn(Math, "random").mockReturnValue(0);
});
afterAll(async () => {
  vi.restoreAllMocks();
  server.close();
  await rm(configDir, { recursive: true });
});

/** Runs every command with this token, and gives everything that it said and wrote. */
async function everything(token: string): Promise<string[]> {
  const env = { KILOCLAW_ADMIN_TOKEN: token, KILOCLAW_ADMIN_HOST: url };
  const results = await Promise.all(
    COMMANDS.flatMap((argv) =>
      [[], ["--json"]].map((more) => run([...argv, ...more, "--debug"], { configDir, env, stdin: token })),
    ),
  );
  const files = await filesBelow(configDir);
  files.delete(join(configDir, "credentials.json"));
  return [...results.flatMap(({ stdout, stderr }) => [stdout, stderr]), ...files.values()];
}

const TOKENS = [
  ["a JWT", JWT],
  ["an opaque token", OPAQUE],
] as const;

describe.each(Object.keys(ECHOES))("%s", (way) => {
  it.each(TOKENS)("shows nobody %s", async (_what, token) => {
    echo = ECHOES[way] ?? echo;
    spelled = (sent) => sent;
    echoed = 0;
    expect(leaks([token], await everything(token))).toEqual([]);
    expect(echoed).toBeGreaterThan(COMMANDS.length);
  });
});

it.each(TOKENS)("shows nobody %s in another spelling", async (_what, token) => {
  echo = ECHOES["500 as text"] ?? echo;
  for (const name of spellingsOf(token).keys()) {
    spelled = (sent) => spellingsOf(sent).get(name) ?? sent;
    const texts = await everything(token);
    expect(leaks([token], texts)).toEqual([]);
    expect(texts.join("")).toContain("[redacted]");
  }
});

it("leaves a customer's token where it is data", async () => {
  const customers = `${part({ alg: "none" })}.${part({ customer: true })}.cust0m3rS1gnatur3`;
  echo = ECHOES["data of the lists"] ?? echo;
  const api = new Api({ origin: parseOrigin(url, "test"), token: JWT, userAgent: "test", timing: QUICK, env: {} });
  const ask = () => api.query(admin.adminAuditLogs, { userId: RUN });
  spelled = () => customers;
  expect(await ask()).toMatchObject([{ message: customers }]);
  spelled = (sent) => sent;
  expect(await ask()).toMatchObject([{ message: "[redacted]" }]);
  await api.close();
});
