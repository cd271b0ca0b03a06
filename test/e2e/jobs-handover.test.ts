/** A job that goes from one admin's machine to another's as a file. */
import { randomUUID } from "node:crypto";
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { importJob } from "../../src/bulk/job/handover.ts";
import { begin, openDesk, type Desk, type Result, type RunOptions } from "../harness.ts";
import { eventually } from "../support/eventually.ts";

const LONG = "drill [rehearse lines=600 interval=0.2]";
const BRIEF = "drill [rehearse lines=1 interval=0.05]";

let desk: Desk;
let otto: string;
const homes: string[] = [];
beforeAll(async () => {
  desk = await openDesk({ extraUsers: 80 });
  otto = await desk.sandbox.remote.token("otto.oncall@kilocode.ai");
});
afterAll(async () => {
  await Promise.all(homes.map((home) => rm(home, { recursive: true, force: true })));
  await desk.close();
});

/** A machine that has never run a command, of the desk's admin, or of the admin whose token is given. */
async function machine(token?: string) {
  const configDir = await mkdtemp(join(tmpdir(), "kiloclaw-home-"));
  homes.push(configDir);
  const env = { ...desk.env, ...(token !== undefined && { KILOCLAW_ADMIN_TOKEN: token }) };
  const options = { configDir, env };
  return {
    configDir,
    state: join(configDir, "state"),
    run: (argv: readonly string[], more: RunOptions = {}) => desk.run(argv, { ...options, ...more }),
    begin: (argv: readonly string[]) => begin(argv, options),
  };
}
type Machine = Awaited<ReturnType<typeof machine>>;

const customers = (count: number) => Array.from({ length: count }, () => desk.customer());
const startAll = (users: readonly string[], prompt: string, ...more: string[]) => [
  "runs",
  "start",
  ...users.flatMap((user) => ["--user", user]),
  "-p",
  prompt,
  "--yes",
  ...more,
];
const rowsOf = async (users: readonly string[]) => (await Promise.all(users.map((user) => desk.rows(user)))).flat();
const file = (name: string) => join(homes[0] ?? "", name);

/** A job of which `began` runs are in progress and the others wait; its process has been interrupted. */
async function interrupted(on: Machine, users: readonly string[], began: number): Promise<string> {
  const job = on.begin(startAll(users, LONG, "--max-running", String(began), "--wait"));
  const [, id = ""] = await job.waitFor(/^job ([\da-f-]{36})$/m);
  await eventually(async () => expect(await rowsOf(users)).toHaveLength(began));
  job.stop();
  expect((await job.done).code).toBe(130);
  return id;
}

async function exported(from: Machine, id: string): Promise<string> {
  const path = file(`${randomUUID()}.job`);
  const { code, stderr } = await from.run(["jobs", "export", id, "--save", path]);
  expect({ code, stderr }).toMatchObject({ code: 0, stderr: expect.stringContaining(`jobs import ${path}`) as string });
  return path;
}

const items = async (on: Machine, id: string) => {
  const { stdout } = await on.run(["jobs", "report", id, "--json", "--no-refresh"]);
  const report = JSON.parse(stdout) as { job: Record<string, unknown>; items: { runId: string; attached: boolean }[] };
  return report.items;
};

describe("a job that was exported", () => {
  it("is reported the same where it is imported, and resumed there by another admin without starting anybody twice", async () => {
    const [first, second] = [await machine(), await machine(otto)];
    const users = customers(6);
    const id = await interrupted(first, users, 2);
    const path = await exported(first, id);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    const imported = await second.run(["jobs", "import", path, "--json"]);
    expect(imported.code).toBe(0);
    expect(JSON.parse(imported.stdout)).toMatchObject({ id, state: "stopped", total: 6, started: 2, prompt: LONG });
    expect(imported.stderr).toContain(`jobs resume ${id}`);
    expect(await items(second, id)).toEqual(await items(first, id));

    for (const on of [first, second]) {
      const { stderr } = await on.run(["jobs", "show", id, "--no-refresh"]);
      expect(stderr).toContain("it was exported or imported: another admin may be working on it");
    }
    const resumed = await second.run(["jobs", "resume", id, "--detach", "--max-running", "10"]);
    expect(resumed.code).toBe(0);
    const rows = await rowsOf(users);
    expect(rows).toHaveLength(6);
    // Whoever has it still goes on with it as well, and finds what the other has started.
    const again = await first.run(["jobs", "resume", id, "--detach", "--max-running", "10"]);
    expect(again.code).toBe(0);
    expect(await rowsOf(users)).toHaveLength(6);
    const ids = rows.map((row) => row.id).toSorted();
    for (const on of [first, second]) {
      expect((await items(on, id)).map(({ runId }) => runId).toSorted()).toEqual(ids);
    }
    const log = await second.run(["audit", "log", "--op", id, "--json"]);
    expect(JSON.parse(log.stdout)).toMatchObject([{ op: id, decision: "import" }]);
    const verified = await second.run(["audit", "verify", "--since", "10m", "--json"]);
    const checks = JSON.parse(verified.stdout) as { runId: string | null; finding: boolean }[];
    expect(checks.filter(({ runId, finding }) => finding && ids.includes(runId ?? ""))).toEqual([]);
  });

  it("on two machines, resumed by two admins at once, starts each target once, and both know all runs", async () => {
    const [first, second, third] = [await machine(), await machine(otto), await machine()];
    const users = customers(12);
    const id = await interrupted(first, users, 1);
    const path = await exported(first, id);
    for (const on of [second, third]) expect((await on.run(["jobs", "import", path])).code).toBe(0);
    const resume = ["jobs", "resume", id, "--detach", "--max-running", "20"];
    const results = await Promise.all([second, third].map((on) => on.run(resume)));
    expect(results.map(({ code }) => code)).toEqual([0, 0]);
    const rows = await rowsOf(users);
    expect(rows).toHaveLength(12);
    const ids = rows.map((row) => row.id).toSorted();
    for (const on of [second, third]) {
      expect((await items(on, id)).map(({ runId }) => runId).toSorted()).toEqual(ids);
    }
  });

  it("starts nobody twice from an old file, also where the runs have ended since", async () => {
    const [first, second] = [await machine(), await machine(otto)];
    const users = customers(4);
    const began = first.begin(startAll(users, BRIEF, "--max-running", "1", "--wait", "--concurrency", "1"));
    const [, id = ""] = await began.waitFor(/^job ([\da-f-]{36})$/m);
    await eventually(async () => expect((await rowsOf(users)).length).toBeGreaterThan(0));
    began.stop();
    await began.done;
    const old = await exported(first, id);
    expect((await first.run(["jobs", "resume", id, "--wait"])).code).toBe(0);
    expect(await rowsOf(users)).toHaveLength(4);
    expect((await second.run(["jobs", "import", old])).code).toBe(0);
    const resumed = await second.run(["jobs", "resume", id, "--wait"]);
    expect(resumed.code).toBe(0);
    expect(await rowsOf(users)).toHaveLength(4);
    const report = await second.run(["jobs", "report", id, "--json"]);
    expect(JSON.parse(report.stdout)).toMatchObject({ totals: { completed: 4 } });

    // What is here is never replaced by another state of it.
    const newer = await exported(first, id);
    const refused = await second.run(["jobs", "import", newer, "--json"]);
    expect(refused.code).toBe(6);
    expect(refused.stderr).toContain("is here already, with other content; nothing was imported");
    const same = await second.run(["jobs", "import", old, "-q"]);
    expect({ code: same.code, stdout: same.stdout }).toEqual({ code: 0, stdout: `${id}\n` });
    expect((await first.run(["jobs", "import", newer])).stderr).toContain("was here already");
  });

  it("does not look there at the file that its targets came from", async () => {
    const [first, second] = [await machine(), await machine(otto)];
    const users = customers(3);
    const list = file("users.txt");
    await writeFile(list, users.join("\n"));
    const argv = ["runs", "start", "--users-file", list, "-p", LONG, "--yes", "--max-running", "1", "--wait"];
    const job = first.begin(argv);
    const [, id = ""] = await job.waitFor(/^job ([\da-f-]{36})$/m);
    await eventually(async () => expect(await rowsOf(users)).toHaveLength(1));
    job.stop();
    await job.done;
    const path = await exported(first, id);
    await writeFile(list, "somebody else entirely");
    expect((await second.run(["jobs", "import", path])).code).toBe(0);
    const { code, stderr } = await second.run(["jobs", "resume", id, "--detach", "--max-running", "5"]);
    expect(code).toBe(0);
    expect(stderr).not.toContain(list);
    expect(await rowsOf(users)).toHaveLength(3);
  });

  it("can be passed through a pipe, is retried where it is imported, and is handed on", async () => {
    const [first, second, third] = [await machine(), await machine(), await machine(otto)];
    const users = customers(2);
    await first.run(startAll(users, "drill [rehearse lines=1 exit=3 interval=0.05]", "--wait"));
    const written = await first.run(["jobs", "export", "@latest"]);
    expect(written.code).toBe(0);
    const imported = await second.run(["jobs", "import", "-", "-q"], { stdin: written.stdout });
    expect(imported.code).toBe(0);
    const retried = await second.run(["jobs", "retry-failed", imported.stdout.trim(), "--yes", "--wait"]);
    expect(retried.code).toBe(9);
    expect(await rowsOf(users)).toHaveLength(4);
    const on = await second.run(["jobs", "export", imported.stdout.trim()]);
    expect((await third.run(["jobs", "import", "-"], { stdin: on.stdout })).code).toBe(0);
  });
});

const refusals = (result: Result, code: number, words: string) => {
  expect(result.stderr).toContain(words);
  expect(result.code).toBe(code);
  expect(result.stdout).toBe("");
};

describe("jobs export and import refuse", () => {
  it("a job that a process is working on, a terminal, and what is no job", async () => {
    const first = await machine();
    const users = customers(2);
    const job = first.begin(startAll(users, LONG, "--max-running", "1", "--wait"));
    const [, id = ""] = await job.waitFor(/^job ([\da-f-]{36})$/m);
    await eventually(async () => expect(await rowsOf(users)).toHaveLength(1));
    refusals(await first.run(["jobs", "export", id]), 6, "nothing was exported");
    job.stop();
    await job.done;
    const asked = await first.run(["jobs", "export", id], { tty: true });
    expect(asked.code).toBe(2);
    expect(asked.stderr).toContain("an export is not printed to a terminal");
    refusals(await first.run(["jobs", "export", "7c1e9a52"]), 5, "no job has the ID 7c1e9a52");
    refusals(await first.run(["jobs", "import", file("absent.job")]), 2, "absent.job cannot be read");
    const text = file("text.job");
    await writeFile(text, users.join("\n"));
    refusals(await first.run(["jobs", "import", text]), 2, "it is not an export of a job; nothing was imported");
  });

  it("a job of another platform", async () => {
    const [first, second] = [await machine(), await machine(otto)];
    const users = customers(1);
    await first.run(startAll([...users, desk.customer()], BRIEF, "--wait"));
    const path = await exported(first, "@latest");
    const env = { KILOCLAW_ADMIN_HOST: "https://staging.example.com" };
    refusals(await second.run(["jobs", "import", path], { env: { ...desk.env, ...env } }), 2, "nothing was imported");
    expect(await readdir(second.configDir)).not.toContain("state");
  });

  it("every cut and every changed bit, whatever checksum was mended; nothing is left behind", async () => {
    const [first, second] = [await machine(), await machine()];
    await first.run(startAll(customers(2), BRIEF, "--wait"));
    const bytes = await readFile(await exported(first, "@latest"));
    const platform = { origin: desk.env["KILOCLAW_ADMIN_HOST"] ?? desk.sandbox.url };
    const importing = (content: Buffer) => importJob(second.state, content, { platform, pid: process.pid });
    const refused = expect.objectContaining({ kind: "usage", message: expect.stringContaining("refused") as string });
    for (let length = 0; length < bytes.length; length += 1) {
      await expect(importing(bytes.subarray(0, length)), `cut at ${length}`).rejects.toEqual(refused);
    }
    for (let flip = 0; flip < 1_000; flip += 1) {
      const bit = Math.floor((flip * bytes.length * 8) / 1_000) + (flip % 8);
      const changed = Buffer.from(bytes);
      changed.writeUInt8(changed.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
      await expect(importing(changed), `bit ${bit}`).rejects.toEqual(refused);
    }
    expect(await readdir(second.configDir)).not.toContain("state");
    expect((await importing(bytes)).known).toBe(false);
  });
});
