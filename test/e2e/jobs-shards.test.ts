/** A list that several machines share: each has its slice of it, and nothing else in common. */
import { chmod, cp, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { isInShard, shardKey } from "../../src/bulk/plan/shard.ts";
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

describe("jobs report of several slices", () => {
  interface Report {
    readonly job: Record<string, unknown>;
    readonly totals: Record<string, number>;
    readonly items: readonly { index: number; named: string; runId: string | null; attached: boolean }[];
    readonly shards: {
      of: number;
      jobs: { shard: number; id: string; state: string }[];
      missing: number[];
      doubled: { instanceId: string; targets: { shard: number; runId: string | null }[] }[];
    };
  }
  const report = async (names: readonly string[], ...more: readonly string[]) => {
    const { code, stdout, stderr } = await desk.run(["jobs", "report", ...names, "--json", ...more]);
    expect(code).toBe(0);
    return { stderr, ...(JSON.parse(stdout) as Report) };
  };

  it("is one report in the order of the list, whatever the order of the folders and however they are named", async () => {
    const users = customers(6);
    const homes = (await Promise.all([1, 2].map((number) => start(users, `${number}/2`, {}, "--wait")))).map(
      ({ home }) => home,
    );
    const [first = "", second = ""] = homes;
    const { id } = await planOf(second);
    const joined = await report([join(second, "state"), first]);
    expect(joined.stderr).toBe("");
    expect(joined.items.map(({ index, named }) => [index, named])).toEqual(users.map((user, at) => [at + 1, user]));
    const rows = (await Promise.all(users.map((user) => desk.rows(user)))).flat();
    expect(joined.items.map(({ runId }) => runId)).toEqual(rows.map((row) => row.id));
    expect(joined.job).toMatchObject({ state: "done", total: 6, invocations: 2 });
    expect(joined.totals).toMatchObject({ completed: 6 });
    expect(joined.shards).toMatchObject({ of: 2, jobs: [{ shard: 1 }, { shard: 2, id }], missing: [], doubled: [] });
    // One by its ID on its own machine, the other as its job's folder; and the same again.
    const elsewhere = join(first, "state", "jobs", (await planOf(first)).id);
    const { stdout } = await desk.run(["jobs", "report", id, elsewhere, id.slice(0, 8), "--json"], {
      configDir: second,
    });
    expect(JSON.parse(stdout)).toEqual(JSON.parse(JSON.stringify({ ...joined, stderr: undefined })));
    const csv = await desk.run(["jobs", "report", first, second, "-o", "csv"]);
    expect(csv.stdout.trimEnd().split("\n")).toHaveLength(7);
    const table = await desk.run(["jobs", "report", first, second]);
    expect(table.stdout).toMatch(/^slices +1-2 of 2$/m);
    const page = await desk.run(["jobs", "report", first, second, "--html", "-"]);
    expect(page.stdout).toContain("1-2 of 2");
  });

  it("says which are missing", async () => {
    const users = customers(3);
    const { home } = await start(users, "2/4", {}, "--wait");
    // Also where that is what the folder above is called.
    const copy = join(directory, "jobs", "slice-2");
    await cp(home, copy, { recursive: true });
    const { stderr, job, shards } = await report([copy]);
    expect(stderr).toContain("the report is incomplete: slices 2 of 4; missing: 1, 3-4");
    expect(shards.missing).toEqual([1, 3, 4]);
    expect(job.state).toBe("incomplete");
    expect((await desk.run(["jobs", "report", home, "--html", "-"])).stdout).toContain("slices are missing");
  });

  it("says which instance is in two of them, with both runs", async () => {
    const address = desk.customer();
    const { id: instanceId } = await desk.sandbox.remote.instance(address);
    const both = [address, instanceId];
    const of = sliceCountThatParts(both);
    const numbers = Array.from({ length: of }, (_, at) => at + 1);
    const homes: string[] = [];
    for (const number of numbers) homes.push((await start(both, `${number}/${of}`, {}, "--wait")).home);
    const { stderr, shards } = await report(homes);
    // The second slice came so soon that the run was its own for all it knew.
    const [run] = await desk.rows(address);
    const runId = run?.id ?? "";
    expect(shards.doubled).toMatchObject([{ instanceId, targets: [{ runId }, { runId }] }]);
    expect(stderr).toMatch(
      new RegExp(`doubled: instance ${instanceId} is in slice \\d+ .*${runId}.* and in slice \\d+ .*${runId}`),
    );
    const page = await desk.run(["jobs", "report", ...homes, "--html", "-"]);
    expect(page.stdout).toContain("Instances that several targets led to (1)");
  });

  it("takes a slice that was begun again for one, with the runs of the first machine", async () => {
    const users = customers(3);
    const since = new Date().toISOString();
    const first = await start(users, "1/1", {}, "--wait", "--max-running", "1");
    const again = await start(users, "1/1", {}, "--wait", "--unless-started-since", since);
    const joined = await report([again.home, first.home]);
    const rows = (await Promise.all(users.map((user) => desk.rows(user)))).flat();
    expect(rows).toHaveLength(3);
    expect(joined.items).toEqual(
      rows.map(({ id }) => expect.objectContaining({ runId: id, attached: false, state: "completed" }) as unknown),
    );
    expect(joined.shards).toMatchObject({ jobs: [{ shard: 1 }, { shard: 1 }], missing: [], doubled: [] });
  });

  it("takes the newest of several exports of one job", async () => {
    const users = customers(2);
    const { home } = await start(users, "1/1", {}, "--wait");
    const { id } = await planOf(home);
    const file = join(directory, "slice.job");
    expect((await desk.run(["jobs", "export", id, "--save", file], { configDir: home })).code).toBe(0);
    const joined = await report([file, home, file]);
    expect(joined.job).toMatchObject({ id, total: 2 });
    expect(joined.shards.jobs).toHaveLength(1);
    const cut = join(directory, "cut.job");
    await writeFile(cut, (await readFile(file)).subarray(0, -1));
    const refused = await desk.run(["jobs", "report", file, cut]);
    expect(refused.code).toBe(2);
    expect(refused.stderr).toContain(`${cut}: the file is refused: its end is missing or changed`);
  });

  it("is refused where one is of another plan, or no slice", async () => {
    const users = customers(2);
    const mine = await start(users, "1/2");
    const other = await start([...users].toReversed(), "2/2");
    const { id } = await planOf(other.home);
    const refused = await desk.run(["jobs", "report", mine.home, other.home]);
    expect(refused.code).toBe(2);
    expect(refused.stderr).toContain(`job ${id} is a slice of another plan than job ${(await planOf(mine.home)).id}`);
    expect(refused.stderr).toContain(other.home);
    const whole = await mkdtemp(join(directory, "home-"));
    await desk.run(["runs", "start", "-u", desk.customer(), "-u", desk.customer(), "-p", BRIEF, "--yes"], {
      configDir: whole,
    });
    const mixed = await desk.run(["jobs", "report", mine.home, whole]);
    expect(mixed.code).toBe(2);
    expect(mixed.stderr).toContain(`job ${(await planOf(whole)).id} is not a slice`);
    // By itself it is reported as ever.
    expect((await report([whole])).shards).toBeNull();
  });

  it("is refused where there is no job, or others could have written it", async () => {
    const nowhere = await desk.run(["jobs", "report", "./nowhere"]);
    expect(nowhere).toMatchObject({ code: 2, stderr: expect.stringContaining("nowhere cannot be read") as string });
    const empty = await desk.run(["jobs", "report", await mkdtemp(join(directory, "empty-"))]);
    expect(empty).toMatchObject({ code: 2, stderr: expect.stringContaining("there is no job in ") as string });
    const { home } = await start(customers(1), "1/1", {}, "--wait");
    await chmod(join(home, "state", "jobs", (await planOf(home)).id, "results.jsonl"), 0o666);
    const open = await desk.run(["jobs", "report", home]);
    expect(open).toMatchObject({ code: 12, stderr: expect.stringContaining("others may change it") as string });
  });
});

/** So many slices that the entries fall into two of them. */
function sliceCountThatParts(named: readonly string[]): number {
  for (let of = 2; ; of++) {
    const slices = named.map((one) =>
      Array.from({ length: of }, (_, at) => at + 1).find((number) =>
        isInShard(shardKey({ named: one, instance: null }), { number, of }),
      ),
    );
    if (new Set(slices).size === named.length) return of;
  }
}
