import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import * as z from "zod";
import { openDesk, root, type Desk, type Result } from "../harness.ts";
import { eventually } from "../support/eventually.ts";

const QUICK = "[rehearse lines=1 interval=0]";
const LONG = "[rehearse lines=1 delay=60]";
/** Seeded: shown as running, on instances that are gone. */
const LOST = ["91000000-0000-4000-8000-000000000003", "91000000-0000-4000-8000-000000000005"];

let desk: Desk;
const customer = () => desk.customer();
const instanceOf = async (id: string) => (await desk.row(id)).instance_id ?? "";
const polls = async () => (await desk.requests("getKiloCliRunStatus")).length;

const settled = z.object({ id: z.string(), became: z.string().nullable(), problem: z.string().nullable() });
const linesOf = (stdout: string) =>
  stdout
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => settled.parse(JSON.parse(line)));

/** Settles until it brings what is expected: a run that was just started may take a moment to end. */
const settleUntil = (argv: readonly string[], expected: (result: Result) => void) =>
  eventually(async () => {
    const result = await desk.run(["runs", "settle", ...argv]);
    expected(result);
    return result;
  });
const becameIn = ({ stdout }: Result) => new Map(linesOf(stdout).map(({ id, became }) => [id, became]));

beforeAll(async () => {
  desk = await openDesk({ extraUsers: 100 });
});
afterEach(() => desk.sandbox.remote.clearFaults());
afterAll(() => desk.close());

describe("settle", () => {
  it("records the end of a run that nobody had asked about", async () => {
    const user = customer();
    const id = await desk.startRun(user, "[rehearse lines=1 interval=0 exit=4]");
    await settleUntil(["--user", user], ({ code, stdout, stderr }) => {
      expect(stderr).toBe("1 run shown as running: 1 failed\n");
      expect(stdout).toMatch(new RegExp(`^failed +${id} +${user} .* 4 `, "m"));
      expect(code).toBe(0);
    });
    expect(await desk.row(id)).toMatchObject({ status: "failed", exit_code: 4 });
    const again = await desk.run(["runs", "settle", "--user", user]);
    expect(again).toEqual({ code: 0, stdout: "", stderr: "no run is shown as running\n" });
  });

  it("is calm about runs that go on, and prints only what it settled when quiet", async () => {
    const user = customer();
    const instance = (await desk.sandbox.remote.instance(user)).id;
    await desk.startRun(user, LONG);
    expect(await desk.run(["runs", "settle", "--instance", instance, "-q"])).toEqual({
      code: 0,
      stdout: "",
      stderr: "",
    });
    const another = customer();
    const id = await desk.startRun(another, QUICK);
    await settleUntil(["-u", another, "-q"], (result) => {
      expect(result).toEqual({ code: 0, stdout: `${id}\n`, stderr: "" });
    });
  });

  it("sweeps all, leaves those alone whose machine is not running, and exits with 9", async () => {
    const [down, done, going] = [
      await desk.startRun(customer(), LONG),
      await desk.startRun(customer(), QUICK),
      await desk.startRun(customer(), LONG),
    ];
    await desk.sandbox.remote.setFault({ name: "instance-status", value: "stopped", instance: await instanceOf(down) });
    const result = await settleUntil(["--all", "-o", "jsonl"], (swept) => {
      expect(becameIn(swept).get(done)).toBe("completed");
    });
    expect(result.code).toBe(9);
    expect(becameIn(result).get(going)).toBe("running");
    for (const id of [down, ...LOST]) {
      expect(becameIn(result).get(id)).toBe("left-alone");
      expect(await desk.row(id)).toMatchObject({ status: "running" });
    }
    expect(result.stderr).toContain("3 left alone");
    expect(result.stderr).toContain("kiloclaw-admin runs settle --all --force");
  });

  it("is silent from cron, by the line of the manual, where nothing has ended and machines are stopped", async () => {
    const page = await readFile(join(root, "src", "help", "cron.md"), "utf8");
    const [, line = ""] = /^\*\/5 \* \* \* \* +kiloclaw-admin (.*)$/m.exec(page) ?? [];
    const [, set = ""] = /`kiloclaw-admin (config set host .*)`/.exec(page) ?? [];
    const profile = set.replace("https://app.kilo.ai", desk.sandbox.url).split(" ");
    expect(await desk.run(profile)).toMatchObject({ code: 0 });
    await desk.logIn();
    const env = { KILOCLAW_ADMIN_HOST: undefined, KILOCLAW_ADMIN_TOKEN: undefined };
    const stopped = await desk.startRun(customer(), LONG);
    const user = customer();
    const id = await desk.startRun(user, QUICK);
    await desk.sandbox.remote.setFault({
      name: "instance-status",
      value: "stopped",
      instance: await instanceOf(stopped),
    });
    await eventually(async () => {
      const swept = await desk.run(line.split(" "), { env });
      expect(swept).toMatchObject({ code: 0, stderr: "" });
      expect(swept.stdout.split("\n")).toContain(id);
    });
    for (const left of [stopped, ...LOST]) expect(await desk.row(left)).toMatchObject({ status: "running" });
    // A run of another test may end meanwhile.
    await eventually(async () => {
      expect(await desk.run(line.split(" "), { env })).toEqual({ code: 0, stdout: "", stderr: "" });
    });
    // Without it: an error each time.
    const strict = await desk.run(line.replace("--ignore-stopped ", "").split(" "), { env });
    expect(strict.code).toBe(9);
  });

  it("says what it would do in a dry run, and asks about none", async () => {
    const user = customer();
    const id = await desk.startRun(user, QUICK);
    const before = await polls();
    const { code, stdout } = await desk.run(["runs", "settle", "--user", user, "-n", "--json"]);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject([{ id, became: null }]);
    expect(await polls()).toBe(before);
    expect(await desk.row(id)).toMatchObject({ status: "running" });
  });

  it("gives a run up with --force, after a question that counts", async () => {
    const user = customer();
    const id = await desk.startRun(user, LONG);
    await desk.sandbox.remote.setFault({ name: "instance-status", value: "stopped", instance: await instanceOf(id) });
    const unasked = await desk.run(["runs", "settle", "--user", user, "--force"]);
    expect(unasked.code).toBe(2);
    expect(unasked.stderr).toContain("--yes");
    const no = desk.begin(["runs", "settle", "--user", user, "--force"], { tty: true });
    await no.waitFor(/Have this run marked failed for good\?/);
    no.type("n\r");
    expect((await no.done).code).not.toBe(0);
    const wrong = await desk.run(["runs", "settle", "--user", user, "--force", "--yes", "--expect-count", "2"]);
    expect(wrong.code).toBe(2);
    expect(await desk.row(id)).toMatchObject({ status: "running" });
    const { code, stdout } = await desk.run(["runs", "settle", "--user", user, "--force", "--yes", "-o", "jsonl"]);
    expect(code).toBe(0);
    expect(linesOf(stdout)).toMatchObject([{ id, became: "unknown" }]);
    expect(await desk.row(id)).toMatchObject({ status: "failed" });
  });

  it.each([
    [[], "say whose runs to settle"],
    [["--all", "--user", "jane@example.com"], "--all excludes --user and --instance"],
    [["--instance", "x"], "is not an instance ID"],
    [["--all", "--concurrency", "0"], "whole number from 1 to 64"],
    [["--all", "--fields", "id,status"], 'unknown field "status"'],
  ])("%j is refused", async (argv, message) => {
    const { code, stderr } = await desk.run(["runs", "settle", ...argv]);
    expect(stderr).toContain(message);
    expect(code).toBe(2);
  });

  it("does not take a mistyped instance for one without runs", async () => {
    expect((await desk.run(["runs", "settle", "--instance", "12345678-0000-4000-8000-000000000000"])).code).toBe(5);
  });
});

describe("settle, when things go wrong", () => {
  it("goes on where one machine gives no answer, and exits with 9", async () => {
    const [broken, done] = [await desk.startRun(customer(), LONG), await desk.startRun(customer(), QUICK)];
    await desk.sandbox.remote.setFault({ name: "old-controller", instance: await instanceOf(broken) });
    const { code, stdout } = await settleUntil(["--all", "-o", "jsonl"], (swept) => {
      expect(becameIn(swept).get(done)).toBe("completed");
    });
    expect(linesOf(stdout).find(({ id }) => id === broken)).toMatchObject({
      became: "no-answer",
      problem: expect.stringContaining("KiloClaw API error"),
    });
    expect(code).toBe(9);
  });

  it("stops asking a platform that answers nothing, and exits with 11", async () => {
    await Promise.all(Array.from({ length: 12 }, () => desk.startRun(customer(), LONG)));
    await desk.sandbox.remote.setFault({ name: "502", procedure: "get" });
    const before = (await desk.requests("get")).length;
    const { code, stderr } = await desk.run(["runs", "settle", "--all", "--concurrency", "4"]);
    expect(code).toBe(11);
    expect(stderr).toContain("502");
    // Three tries each, a few at a time, and not for every run there is.
    expect((await desk.requests("get")).length - before).toBeLessThanOrEqual(3 * (10 + 4));
  });

  it("waits as long as the platform asks it to", async () => {
    const user = customer();
    await desk.startRun(user, LONG);
    await desk.sandbox.remote.setFault({ name: "429", procedure: "getKiloCliRunStatus", retryAfter: 2, count: 1 });
    const began = Date.now();
    expect((await desk.run(["runs", "settle", "--user", user])).stdout).toContain("still running");
    expect(Date.now() - began).toBeGreaterThanOrEqual(1_900);
  });

  it("leaves the rest for later where the platform wants to be asked much later", async () => {
    await desk.sandbox.remote.setFault({ name: "429", procedure: "get", retryAfter: 300 });
    const before = (await desk.requests("get")).length;
    const { code } = await desk.run(["runs", "settle", "--all", "--concurrency", "2"]);
    expect(code).toBe(11);
    expect((await desk.requests("get")).length - before).toBeLessThanOrEqual(2);
  });

  it("says on Ctrl-C how far it came", async () => {
    await desk.startRun(customer(), LONG);
    await desk.sandbox.remote.setFault({ name: "hang", procedure: "getKiloCliRunStatus" });
    const command = desk.begin(["runs", "settle", "--all"]);
    await eventually(async () => expect((await desk.sandbox.remote.listFaults())[0]?.struck).toBeGreaterThan(0));
    command.stop("SIGINT");
    const { code, stderr } = await command.done;
    expect(stderr).toMatch(/stopped after \d+ of \d+ runs; the others are unchanged/);
    expect(code).toBe(130);
  });

  it("never has more under way than it may", async () => {
    const user = customer();
    await desk.startRun(user, LONG);
    let now = 0;
    let most = 0;
    const rows = Array.from({ length: 60 }, (_, index) => ({
      id: `12345678-0000-4000-8000-${String(index).padStart(12, "0")}`,
      user_id: "u",
      user_email: null,
      instance_id: `22345678-0000-4000-8000-${String(index).padStart(12, "0")}`,
      initiated_by_admin_id: null,
      initiated_by_admin_email: null,
      prompt: "x",
      status: "running",
      exit_code: null,
      started_at: "2026-11-22 10:00:00+00",
      completed_at: null,
    }));
    // A platform that answers lists, and about a machine only after a while. Batches come as one request.
    const platform = createServer((request, response) => {
      const [path = "", query = ""] = (request.url ?? "").split("?");
      const procedures = path.split("/").at(-1)?.split(",") ?? [];
      const answer = (data: unknown) => JSON.stringify(procedures.map(() => ({ result: { data } })));
      response.setHeader("content-type", "application/json");
      if (procedures[0]?.endsWith("listAllCliRuns")) {
        const input = z.record(z.string(), z.object({ limit: z.number(), offset: z.number() }));
        const { limit, offset } = input.parse(JSON.parse(new URLSearchParams(query).get("input") ?? ""))["0"] ?? {
          limit: 0,
          offset: 0,
        };
        const pagination = { offset, limit, total: rows.length, totalPages: 1 };
        response.end(answer({ runs: rows.slice(offset, offset + limit), pagination }));
        return;
      }
      now += procedures.length;
      most = Math.max(most, now);
      setTimeout(() => {
        now -= procedures.length;
        response.writeHead(400).end(JSON.stringify(procedures.map(refused)));
      }, 20);
    });
    platform.listen(0, "127.0.0.1");
    await once(platform, "listening");
    const { port } = z.object({ port: z.number() }).parse(platform.address());
    const host = ["--host", `http://127.0.0.1:${port}`];
    const { code, stdout } = await desk.run(["runs", "settle", "--all", "--concurrency", "5", "-o", "jsonl", ...host]);
    expect({ code, most }).toEqual({ code: 9, most: 5 });
    expect(linesOf(stdout)).toHaveLength(60);
    most = 0;
    expect((await desk.run(["runs", "list", "-L", "60", ...host])).stderr).toContain("60 runs could not be refreshed");
    expect(most).toBe(8);
    platform.close();
  });
});

/** The platform's refusal of one call. */
function refused(path: string) {
  return {
    error: { message: "no", code: -32_600, data: { code: "BAD_REQUEST", httpStatus: 400, path, zodError: null } },
  };
}
