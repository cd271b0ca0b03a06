/**
 * Jobs over a way that fails one answer in ten, killed meanwhile or not; and jobs that meet: of two operators, and of one. The
 * whole of it: `npm run campaign -- faults --jobs`.
 */
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { loadCustomer } from "../../src/sandbox/seed/people.ts";
import { openDesk, type Desk } from "../harness.ts";
import { Dice } from "./dice.ts";
import { EXCHANGE_FAULTS } from "./faults.ts";
import { figures, playJob, type Played } from "./job-campaign.ts";
import { figuresTable } from "./job-judge.ts";
import { Operator, type Reported } from "./operator.ts";

const whole = process.env.KILOCLAW_FAULTS !== undefined;
const FAULTY_TARGETS = 300;
const MEETING_TARGETS = whole ? 100 : 16;
const MEETINGS = 3;
const HANDOVERS = 4;

const ADA = "ada.admin@kilocode.ai";
const OTTO = "otto.oncall@kilocode.ai";

let desk: Desk;
let taken = 0;
beforeAll(async () => {
  desk = await openDesk({
    extraUsers: (whole ? 4 * FAULTY_TARGETS : 0) + (MEETINGS * 2 + (whole ? HANDOVERS : 0)) * MEETING_TARGETS,
  });
}, 300_000);
afterAll(() => desk.close());

/** The number of the first of so many customers of one's own. */
function customers(count: number): number {
  taken += count;
  return taken - count + 1;
}

describe.skipIf(!whole)("a job over a way that fails one answer in ten", () => {
  const played: Played[] = [];
  it.each([
    { seed: 1, interruptions: 0 },
    { seed: 2, interruptions: 0 },
    { seed: 3, interruptions: 12 },
    { seed: 4, interruptions: 12 },
  ])("seed $seed, $interruptions interruptions", { timeout: 3_600_000 }, async ({ seed, interruptions }) => {
    const from = customers(FAULTY_TARGETS);
    const one = await playJob(desk, {
      seed,
      interruptions,
      targets: FAULTY_TARGETS,
      concurrency: 24,
      from,
      fails: 0.1,
    });
    played.push(one);
    console.log(figuresTable(played.map(figures)));
    expect(one.problems.map(({ text }) => text).join("\n\n")).toBe("");
    expect(one.struck).toBeGreaterThan(FAULTY_TARGETS / 10);
  });
});

/** Long enough to be in the way for as long as both jobs take. */
const longRun = (mark: string) => `[rehearse lines=1 delay=600] ${mark}`;

/** Two jobs on the same instances, begun at once. */
interface Meeting {
  readonly name: string;
  readonly operators: readonly [Operator, Operator];
  readonly onConflict: "skip" | "fail";
  /** Both are of one admin and know nothing of each other: to each the other's run is the job's own, as the rows have it. */
  readonly alike: boolean;
}

/** A quarter of each job's targets is its alone; each has an order of its own. */
async function meet({ name, operators, onConflict, alike }: Meeting) {
  const quarter = MEETING_TARGETS / 4;
  const from = customers(MEETING_TARGETS + quarter);
  const dice = new Dice("meeting", name);
  const jobs = operators.map(async (operator, at) => {
    const targets = Array.from({ length: MEETING_TARGETS }, (_, index) => ({
      number: from + at * quarter + index,
      exit: 0,
      order: dice.chance(),
    })).toSorted((a, b) => a.order - b.order);
    const more = ["--on-conflict", onConflict, "--detach", "-o", "jsonl"];
    const command = await operator.beginJob(targets, longRun(name), ...more);
    await command.end();
    const [, id = "none"] = /job ([0-9a-f-]{36})$/m.exec(command.stderr) ?? [];
    return (await operator.report(id))?.items ?? [];
  });
  const items = (await Promise.all(jobs)).flat();
  const rows = await desk.rows(name);
  const inTheWay = onConflict === "fail" ? "conflict" : "skipped";
  const wrong = Array.from({ length: MEETING_TARGETS + quarter }, (_, at) => loadCustomer(from + at)).flatMap(
    ({ instanceId }) => {
      const [row, ...more] = rows.filter(({ instance_id: id }) => id === instanceId);
      const said = items.filter((item) => item.instanceId === instanceId);
      if (!row || more.length > 0) return [`${instanceId} was started ${row ? more.length + 1 : 0} times`];
      // Whoever came second by a hair's breadth follows the first one's run as one just like its own.
      const winners = said.filter(({ state, runId, attached }) => state === "running" && runId === row.id && !attached);
      const followers = said.filter(({ state, runId }) => alike && state === "running" && runId === row.id);
      if (alike)
        return winners.length > 0 && followers.length === said.length ? [] : [`${instanceId}: ${JSON.stringify(said)}`];
      const losers = said.filter((item) => !winners.includes(item));
      const who = row.initiated_by_admin_email ?? "nobody";
      const right =
        winners.length === 1 && losers.every((one) => one.state === inTheWay && isAttributed(one, row.id, who));
      return right ? [] : [`${instanceId}: ${JSON.stringify(said)}`];
    },
  );
  const starts = [...new Set(operators)].flatMap((operator) => operator.starts);
  const requests = starts.map(({ instanceId }) => instanceId);
  const found = {
    instances: MEETING_TARGETS + quarter,
    requests: requests.length,
    "sent twice": requests.length - new Set(requests).size,
    rows: rows.length,
    "in the way": items.filter(({ state }) => state === inTheWay).length,
    wrong: wrong.length,
  };
  return { found, wrong };
}

/** Says which run is in the way, and whose; or which of this machine's processes was at work there, and on what. */
function isAttributed({ problem }: Reported, runId: string, who: string): boolean {
  const words = problem ?? "";
  return (
    (words.includes(runId) && words.includes(who)) || /process \d+, since .* \(operation [0-9a-f-]{36}\)/.test(words)
  );
}

describe("two jobs on the same instances at once", { timeout: whole ? 600_000 : 120_000 }, () => {
  const table: Record<string, string | number>[] = [];
  it.each([
    { name: "two admins, two machines", admins: [ADA, OTTO], onConflict: "skip" },
    { name: "one admin, two machines", admins: [ADA, ADA], onConflict: "fail" },
    { name: "one machine", admins: [ADA], onConflict: "skip" },
  ] as const)("$name: each is started once, and the other is named", async ({ name, admins, onConflict }) => {
    const [first, second = first] = await Promise.all(
      admins.map(async (admin) => Operator.open(desk, await desk.sandbox.remote.token(admin))),
    );
    if (!first || !second) throw new Error("nobody is at work");
    const alike = admins.length === 2 && admins[0] === admins[1];
    const { found, wrong } = await meet({ name, operators: [first, second], onConflict, alike });
    await Promise.all([...new Set([first, second])].map((operator) => operator.close()));
    table.push({ meeting: name, ...found });
    if (whole) console.log(figuresTable(table));
    expect(wrong).toEqual([]);
    expect(found.rows).toBe(found.instances);
    expect(found["in the way"]).toBe(alike ? 0 : 2 * MEETING_TARGETS - found.instances);
    // Two machines know nothing of each other until the platform says so; of one machine's, the second is never sent.
    expect(found["sent twice"]).toBeLessThanOrEqual(first === second ? 0 : found.instances);
  });
});

async function resume(operator: Operator): Promise<void> {
  await operator.begin("jobs", "resume", "@latest", "--detach", "-o", "jsonl").end();
}

/** Ways to fail after which the job can be gone on with. */
const LOSSES = ["reset", "502", "500", "eof", "truncated"] as const;

describe.skipIf(!whole)("a job that is handed over while it is under way", { timeout: 900_000 }, () => {
  const table: Record<string, string | number>[] = [];
  it.each(Array.from({ length: HANDOVERS }, (_, at) => ({ seed: at + 1 })))(
    "seed $seed: resumed at once where it began and on two machines, over a way that fails: each is started once",
    async ({ seed }) => {
      const dice = new Dice("handover", seed);
      const from = customers(MEETING_TARGETS);
      const first = await Operator.open(desk);
      const otto = await desk.sandbox.remote.token(OTTO);
      const operators = [
        first,
        await Operator.open(desk, otto, first.proxy),
        await Operator.open(desk, undefined, first.proxy),
      ];
      let struck = 0;
      const fail = () => {
        first.proxy.decide = () => {
          if (!dice.hits(0.05)) return undefined;
          struck += 1;
          return EXCHANGE_FAULTS[dice.pick(...LOSSES)](dice).deal;
        };
      };
      const mark = `handover ${seed}`;
      const targets = Array.from({ length: MEETING_TARGETS }, (_, at) => ({ number: from + at, exit: 0 }));
      fail();
      const job = await first.beginJob(targets, longRun(mark), "--detach", "-o", "jsonl", "--concurrency", "4");
      while (first.starts.length < MEETING_TARGETS / 4 && !job.isOver) await new Promise((done) => setTimeout(done, 5));
      job.kill(dice.pick("SIGKILL", "SIGINT"));
      await job.end();
      const file = join(first.configDir, "exported.job");
      const { code, stderr } = await first.do("jobs", "export", "@latest", "--save", file);
      expect({ code, stderr }).toMatchObject({ code: 0 });
      for (const other of operators.slice(1)) expect((await other.do("jobs", "import", file)).code).toBe(0);
      await Promise.all(operators.map(resume));
      await first.proxy.heal();
      // What a failing way has stopped goes on.
      for (const operator of operators) await resume(operator);
      const rows = await desk.rows(mark);
      const reports = await Promise.all(operators.map(async (operator) => (await operator.report())?.items ?? []));
      const wrong = targets.flatMap(({ number }) => {
        const { instanceId } = loadCustomer(number);
        const [row, ...more] = rows.filter(({ instance_id: id }) => id === instanceId);
        if (more.length > 0) return [`${instanceId} was started ${more.length + 1} times`];
        const said = reports.map((items) => items.find((item) => item.instanceId === instanceId));
        // A start whose answer was lost is nobody's to deny; whoever has met its run knows its ID.
        return said.flatMap((item) => {
          if (item?.state === "unknown") return [];
          return row && item?.runId === row.id ? [] : [`${instanceId}: ${row?.id} and ${JSON.stringify(item)}`];
        });
      });
      const unknown = reports.flat().filter(({ state }) => state === "unknown").length;
      const requests = first.starts.length;
      await Promise.all(operators.toReversed().map((operator) => operator.close()));
      table.push({ seed, targets: MEETING_TARGETS, struck, requests, rows: rows.length, unknown, wrong: wrong.length });
      console.log(figuresTable(table));
      expect(wrong).toEqual([]);
      expect(rows.length).toBeLessThanOrEqual(MEETING_TARGETS);
      expect(struck).toBeGreaterThan(0);
    },
  );
});
