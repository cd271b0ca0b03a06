/** Holds of every list that can be cut: it says so, with a number only where the platform told one. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { NOUNS } from "../../src/program.ts";
import { openDesk, run, type Desk } from "../harness.ts";

let desk: Desk;
beforeAll(async () => {
  desk = await openDesk();
  const users = ["fleet01", "fleet02"].flatMap((name) => ["--user", `${name}@fleet.example.com`]);
  for (let job = 0; job < 2; job += 1) await desk.run(["runs", "start", ...users, "-p", "[rehearse lines=0]", "--yes"]);
  const gina = ["--user", "gina.multi@example.com", "--instance", "d0000000-0000-4000-8000-000000000006"];
  for (let n = 0; n < 2; n += 1) await desk.run(["runs", "start", ...gina, "-p", "[rehearse lines=0]", "--watch"]);
});
afterAll(() => desk.close());

/** Each command with `--limit`, with what makes it list more than one. */
const LISTS: readonly (readonly string[])[] = [
  ["runs", "list"],
  ["jobs", "list"],
  ["instances", "list"],
  ["users", "find", "%"],
  ["audit", "list", "--user", "fleet01@fleet.example.com"],
];

it("are all that have --limit", async () => {
  const limited: string[] = [];
  for (const [noun, { verbs }] of Object.entries(NOUNS)) {
    for (const verb of Object.keys(verbs)) {
      if ((await run([noun, verb, "--help"])).stdout.includes("--limit <n>")) limited.push(`${noun} ${verb}`);
    }
  }
  expect(limited.toSorted()).toEqual(LISTS.map(([noun, verb]) => `${noun} ${verb}`).toSorted());
});

describe.each(LISTS)("%s %s", (...argv) => {
  it("says of a cut list how many there are, and shows all of them with --limit 0", async () => {
    const all = await desk.run([...argv, "--limit", "0", "-o", "jsonl"]);
    expect(all.code).toBe(0);
    expect(all.stderr).not.toContain("--limit");
    const total = all.stdout.trim().split("\n").length;
    expect(total).toBeGreaterThan(1);
    const cut = await desk.run([...argv, "--limit", "1"]);
    expect(cut.stderr).toContain(`1 of ${total}: --limit 0 for all\n`);
  });

  it("says nothing of the whole list, and nothing when quiet", async () => {
    expect((await desk.run([...argv, "--limit", "100000"])).stderr).not.toContain("--limit");
    expect((await desk.run([...argv, "--limit", "1", "-q"])).stderr).toBe("");
  });
});

describe("a number that the platform did not tell", () => {
  it.each([
    [["--user", "fleet01@fleet.example.com"]],
    [["--since", "3650d"]],
    [["--initiated-by", "me"]],
    [["--instance", "d0000000-0000-4000-8000-000000000006", "--search", "gina"]],
  ])("is not made up: runs list %j", async (filter) => {
    const { stderr } = await desk.run(["runs", "list", ...filter, "--limit", "1", "--no-refresh"]);
    expect(stderr).toMatch(/^the first 1: --limit 0 for all$/m);
  });

  it("is that of the runs with a status, which the platform counts", async () => {
    const { stderr } = await desk.run(["runs", "list", "--status", "completed", "--limit", "2", "--no-refresh"]);
    const total = (await desk.rows()).filter(({ status }) => status === "completed").length;
    expect(stderr).toContain(`2 of ${total}: --limit 0 for all\n`);
  });
});
