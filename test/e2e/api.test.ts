/** Calls by name: queries on the sandbox, changes on a platform of a few lines that has some. */
import { once } from "node:events";
import { readFile, readdir } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openDesk, type Desk, type RunOptions } from "../harness.ts";

const LIST = "admin.kiloclawInstances.list";
const USER = "c0000000-0000-4000-8000-000000000001";
const JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJub2JvZHkifQ.c2lnbmF0dXJl";

let desk: Desk;
let server: Server;
/** What the platform of a few lines was asked, but for who is asking. */
const asked: { readonly method: string; readonly path: string; readonly body: string }[] = [];

beforeAll(async () => {
  desk = await openDesk({ extraUsers: 5 });
  server = createServer(async (request, response) => {
    const path = new URL(request.url ?? "", "http://localhost").pathname;
    const body = await text(request);
    response.setHeader("content-type", "application/json");
    if (path === "/api/profile")
      return response.end(JSON.stringify({ user: { id: USER, email: "a@example.com", name: null } }));
    asked.push({ method: request.method ?? "", path, body });
    const row = {
      id: 1,
      tokens: 7,
      api_token_pepper: "pepper-1",
      nested: [{ web_session_pepper: "pepper-2", note: `see ${JWT}` }],
    };
    const result = { result: { data: row } };
    if (path === "/api/trpc/other.lost") return request.socket.destroy();
    if (path === "/api/trpc/other.forbidden") {
      response.statusCode = 403;
      const data = { code: "FORBIDDEN", httpStatus: 403, path: "other.forbidden" };
      return response.end(JSON.stringify({ error: { message: "not you", code: -32_003, data } }));
    }
    return response.end(JSON.stringify(request.method === "GET" ? [result] : result));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
});
afterAll(async () => {
  server.closeAllConnections();
  server.close();
  await desk.close();
});

const there = (options: RunOptions = {}): RunOptions => {
  const { port } = server.address() as AddressInfo;
  return { ...options, env: { KILOCLAW_ADMIN_HOST: `http://127.0.0.1:${port}`, ...options.env } };
};
const call = (argv: readonly string[], options?: RunOptions) => desk.run(["api", ...argv], there(options));
const change = (argv: readonly string[]) => call([...argv, "--mutate", "--yes"]);
/** The newest operation on record. */
const recorded = async () => {
  const { stdout } = await desk.run(["audit", "log", "--action", "api", "-o", "jsonl"]);
  return JSON.parse(stdout.trimEnd().split("\n").at(-1) ?? "null") as object;
};

describe("api, a query", () => {
  it("prints what the contract knows of the answer, as JSON to people, too", async () => {
    const argv = ["api", LIST, "--input", '{"limit": 2}'];
    const { code, stdout, stderr } = await desk.run(argv);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(JSON.parse(stdout)).toMatchObject({ instances: [{ id: expect.any(String) }, {}], pagination: { limit: 2 } });
    const ids = await desk.run([...argv, "--jq", ".instances[].id"]);
    expect(ids.stdout).toMatch(/^[\da-f-]{36}\n[\da-f-]{36}\n$/);
    expect((await desk.run([...argv, "-o", "jsonl"])).stdout.trimEnd()).not.toContain("\n");
    expect((await desk.run([...argv, "-o", "yaml"])).stdout).toMatch(/^instances:\n/);
  });

  it("reads its input from standard input when told to", async () => {
    const stdin = JSON.stringify({ userId: USER });
    const { code, stdout } = await desk.run(["api", "admin.kiloclawInstances.adminAuditLogs", "--input", "-"], {
      stdin,
    });
    expect({ code, stdout }).toEqual({ code: 0, stdout: "[]\n" });
  });

  it("whose input is no JSON is told where it came from, and how to send a file", async () => {
    const named = await call(["other.rows", "--input", import.meta.filename]);
    expect(named).toMatchObject({ code: 2, stdout: "" });
    expect(named.stderr).toMatch(/api other\.rows --input=- < \S+api\.test\.ts\n/);
    const piped = await call(["other.rows", "--input", "-"], { stdin: '{\n  "limit": 5,\n}' });
    expect(piped.stderr).toContain("standard input (--input -) is not JSON: line 3, column 1: unexpected }");
    expect(piped.stderr).toMatch(/fix it, then: kiloclaw-admin .*api other\.rows --input=- < FILE\n/);
  });

  it("of which nothing is known is answered as it comes, without secrets", async () => {
    const { code, stdout } = await call(["other.rows"]);
    expect(code).toBe(0);
    expect(stdout).not.toMatch(/pepper-\d|eyJ/);
    expect(JSON.parse(stdout)).toEqual({
      id: 1,
      tokens: 7,
      api_token_pepper: "[redacted]",
      nested: [{ web_session_pepper: "[redacted]", note: "see [redacted]" }],
    });
    expect(asked.at(-1)).toMatchObject({ method: "GET", path: "/api/trpc/other.rows" });
  });

  it.each([
    [["other.rows", "--input", "{"], "--input is not JSON: line 1, column 2: it ends too early"],
    [["other.rows", "--input", "{limit: 5}"], `--input '{"limit": 5}'`],
    [[LIST, "--input", '{"limit": 1000}'], "does not take this input: .limit"],
    [[LIST, "-o", "csv"], "no form for -o csv"],
    [[LIST, "--fields", "id"], "no form for --fields"],
    [[LIST, "--ticket", "INC-1"], "are for --mutate"],
    [[LIST, "--mutate", "--yes"], "is a query"],
    [["list"], "not the name of one procedure"],
    [["other.rows,other.change"], "not the name of one procedure"],
    [["other/rows"], "not the name of one procedure"],
    [["../profile"], "not the name of one procedure"],
    [["other.rows?batch=1"], "not the name of one procedure"],
  ])("refuses %j before anything is sent", async (argv, words) => {
    const before = asked.length;
    const { code, stdout, stderr } = await call(argv);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toContain(words);
    expect(asked).toHaveLength(before);
  });
});

describe("api, a start or a cancel", () => {
  it.each([
    ["admin.kiloclawInstances.startKiloCliRun", "runs start"],
    ["kiloclaw.startKiloCliRun", "runs start"],
    ["admin.kiloclawInstances.STARTKILOCLIRUN", "runs start"],
    ["admin.kiloclawInstances.list,admin.kiloclawInstances.startKiloCliRun", "runs start"],
    ["admin.kiloclawInstances.start%4BiloCliRun", "runs start"],
    ["admin.kiloclawInstances.start%254BiloCliRun", "runs start"],
    ["admin%2EkiloclawInstances%2EcancelKiloCliRun?batch=1", "runs cancel"],
    ["kiloclaw.cancel_Kilo-Cli/Run", "runs cancel"],
    ["admin.kiloclawInstances.ｓｔａｒｔKiloCliRun", "runs start"],
    ["admin.kiloclawInstances.getKiloCliRunStatus", "runs show"],
  ])("is refused as %s, with the command to use", async (name, instead) => {
    const before = asked.length;
    for (const flags of [[], ["--mutate", "--yes"]]) {
      const { code, stderr } = await call([name, "--input", `{"userId":"${USER}","prompt":"x"}`, ...flags]);
      expect(code).toBe(2);
      expect(stderr).toContain(`use: kiloclaw-admin ${instead}`);
    }
    expect(asked).toHaveLength(before);
  });
});

describe("api --mutate", () => {
  const input = JSON.stringify({ userId: USER, note: "not for the record" });

  it("asks, and sends nothing without a yes", async () => {
    const before = asked.length;
    const alone = await call(["other.change", "--mutate"]);
    expect(alone.code).toBe(2);
    expect(alone.stderr).toContain("--yes");
    const no = desk.begin(["api", "other.change", "--mutate", "--input", input], there({ tty: true }));
    await no.waitFor(/Call it\?/);
    no.type("n\r");
    const { code, stderr } = await no.done;
    expect(code).toBe(130);
    for (const shown of ["other.change", "not for the record"]) expect(stderr).toContain(shown);
    expect(asked).toHaveLength(before);
  });

  it("sends once, on record before and after, and prints the answer", async () => {
    const { code, stdout } = await change([
      "other.change",
      "--input",
      input,
      "--ticket",
      "INC-7",
      "--reason",
      "asked to",
    ]);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ id: 1, api_token_pepper: "[redacted]" });
    expect(asked.filter(({ path }) => path === "/api/trpc/other.change")).toEqual([
      { method: "POST", path: "/api/trpc/other.change", body: input },
    ]);
    expect(await recorded()).toMatchObject({
      action: "api",
      procedure: "other.change",
      state: "settled",
      result: "answered",
      userId: USER,
      ticket: "INC-7",
      reason: "asked to",
    });
    const files = await readdir(desk.configDir, { recursive: true, withFileTypes: true });
    const kept = files.filter((file) => file.isFile()).map(({ parentPath, name }) => join(parentPath, name));
    const texts = await Promise.all(kept.map((path) => readFile(path, "utf8")));
    expect(texts.filter((one) => one.includes("other.change"))).toHaveLength(1);
    expect(texts.filter((one) => one.includes("not for the record"))).toEqual([]);
  });

  it("says of a refusal what it is, and that nothing is left to find out", async () => {
    expect(await change(["other.forbidden"])).toMatchObject({ code: 4 });
    expect(await recorded()).toMatchObject({
      procedure: "other.forbidden",
      state: "settled",
      result: "refused",
      code: "FORBIDDEN",
    });
  });

  it("never says that it was not done where nobody knows, and sends it once", async () => {
    const { code, stderr } = await change(["other.lost", "--input", input]);
    expect(code).toBe(7);
    const [, op = ""] = /runs reconcile (\S+) --close/.exec(stderr) ?? [];
    expect(asked.filter(({ path }) => path === "/api/trpc/other.lost")).toHaveLength(1);
    expect(await recorded()).toMatchObject({ op, state: "open", result: "unknown" });
    expect((await desk.run(["runs", "reconcile"], there())).code).toBe(7);
    const closed = await desk.run(["runs", "reconcile", op, "--close", "--yes", "--reason", "it was done"], there());
    expect(closed.code).toBe(0);
    expect(await recorded()).toMatchObject({ op, state: "settled", result: "closed" });
  });

  it("needs the ticket that the profile requires", async () => {
    await desk.run(["config", "set", "requireTicket", "true"]);
    const before = asked.length;
    const { code, stderr } = await call(["other.change", "--mutate", "--yes"]);
    await desk.run(["config", "unset", "requireTicket"]);
    expect(code).toBe(2);
    expect(stderr).toContain("requires a ticket");
    expect(asked).toHaveLength(before);
  });

  it("that one is on record leaves audit verify and export as they are", async () => {
    const verified = await desk.run(["audit", "verify", "--offline"]);
    expect(verified.code).toBe(0);
    const { code, stdout } = await desk.run(["audit", "export", "--since", "1h", "-o", "jsonl"]);
    expect({ code, stdout }).toMatchObject({ code: 0 });
  });
});
