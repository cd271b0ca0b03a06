/** A list that several machines share: each has its slice of it, and nothing else in common. */
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Environment } from "../../src/environment.ts";
import { openDesk, type Desk } from "../harness.ts";

const BRIEF = "drill [rehearse lines=1 interval=0.05]";

let desk: Desk;
let directory: string;
beforeAll(async () => {
  desk = await openDesk({ extraUsers: 80 });
  directory = await mkdtemp(join(tmpdir(), "kiloclaw-shards-"));
});
afterAll(async () => {
  await rm(directory, { recursive: true, force: true });
  await desk.close();
});

const customers = (count: number) => Array.from({ length: count }, () => desk.customer());

/** Starts a slice on a machine that has never run a command. */
async function start(users: readonly string[], shard: string, env: Environment = {}, ...more: readonly string[]) {
  const home = await mkdtemp(join(directory, "home-"));
  const list = join(home, "stuck.txt");
  await writeFile(list, `${users.join("\n")}\n`);
  const argv = ["runs", "start", "--users-file", list, "-p", BRIEF, "--shard", shard, "--yes", ...more];
  return { home, ...(await desk.run(argv, { configDir: home, env })) };
}

/** What a machine has on record of the only job that it has begun. */
async function planOf(home: string) {
  const jobs = join(home, "state", "jobs");
  const [id = ""] = await readdir(jobs);
  const [first = "", ...targets] = (await readFile(join(jobs, id, "plan.jsonl"), "utf8")).trimEnd().split("\n");
  const header = JSON.parse(first) as { shard?: Record<string, unknown> };
  return { id, shard: header.shard, named: targets.map((line) => (JSON.parse(line) as { named: string }).named) };
}

describe("a slice", () => {
  it("is on record with what was asked, which is the same for all of them", async () => {
    const users = customers(8);
    const started = await Promise.all(
      [0, 1].map((slot) => start(users, "auto/2", { JOB_COMPLETION_INDEX: `${slot}` })),
    );
    expect(started.map(({ code }) => code)).toEqual([0, 0]);
    const [first, second] = await Promise.all(started.map(({ home }) => planOf(home)));
    expect(first?.shard).toEqual({
      number: 1,
      of: 2,
      entries: 8,
      asked: expect.stringMatching(/^[0-9a-f]{64}$/) as string,
    });
    expect(second?.shard).toEqual({ ...first?.shard, number: 2 });
    expect([...(first?.named ?? []), ...(second?.named ?? [])].toSorted()).toEqual(users);
    expect(started[0]?.stderr).toContain(`slice 1 of 2: ${first?.named.length} of 8 entries\n`);
  });

  it("with nothing in it is done, and on record", async () => {
    const users = customers(1);
    const started = await Promise.all([1, 2].map((number) => start(users, `${number}/2`, {}, "--json")));
    expect(started.map(({ code }) => code)).toEqual([0, 0]);
    const plans = await Promise.all(started.map(({ home }) => planOf(home)));
    expect(plans.map(({ named }) => named.length).toSorted()).toEqual([0, 1]);
    expect(await desk.rows(users[0])).toHaveLength(1);
  });

  it("with nothing that can be started needs attention, and is on record", async () => {
    const { code, home } = await start(["nobody@example.com"], "1/1");
    expect(code).toBe(9);
    expect((await planOf(home)).named).toEqual(["nobody@example.com"]);
  });

  it("is started where all slices together have as many entries as was expected", async () => {
    const users = customers(4);
    const refused = await start(users, "1/2", {}, "--expect-count", "5");
    expect(refused.code).toBe(2);
    expect(refused.stderr).toContain("all slices together have 4 entries, not 5; nothing was changed");
    expect((await start(users, "1/2", {}, "--expect-count", "4")).code).toBe(0);
  });

  it("that no variable tells of is a usage error, and nothing is asked of the platform", async () => {
    const before = (await desk.requests()).length;
    const { code, stderr } = await start(customers(1), "auto/4", { CI_NODE_INDEX: "2", CI_NODE_TOTAL: "3" });
    expect(code).toBe(2);
    expect(stderr).toContain("--shard auto/4: CI_NODE_TOTAL is 3; nothing was sent");
    expect(stderr).toContain("--shard 1/4");
    expect((await desk.requests()).length).toBe(before);
  });
});
