/**
 * A job whose process is killed, or told to stop, at moments of no choice, and gone on with until it is done: each target was
 * sent one start at most, each run is in the report, with its own outcome. The whole of it: `npm run campaign -- faults --jobs`.
 */
import { afterAll, beforeAll, expect, it } from "vitest";
import { figures, playJob, type Played } from "../faults/job-campaign.ts";
import { figuresTable } from "../faults/job-judge.ts";
import { openDesk, type Desk } from "../harness.ts";

const whole = process.env.KILOCLAW_FAULTS !== undefined;
const KILLS = whole ? 50 : 1;
const TARGETS = whole ? 300 : 20;
const CONCURRENCY = whole ? 12 : 3;
const INTERRUPTIONS = whole ? 25 : 4;
/** Jobs until so many kills are in, at most. */
const JOBS = whole ? 10 : 1;

let desk: Desk;
beforeAll(async () => {
  desk = await openDesk({ extraUsers: TARGETS * JOBS });
}, 300_000);
afterAll(() => desk.close());

it(
  "a job that is killed again and again starts each target once, and loses nothing",
  { timeout: whole ? 3_600_000 : 120_000 },
  async () => {
    const played: Played[] = [];
    const kills = () => played.reduce((sum, { interrupted }) => sum + (interrupted.get("SIGKILL") ?? 0), 0);
    for (let seed = 1; seed <= JOBS && kills() < KILLS; seed++) {
      const plan = {
        seed,
        targets: TARGETS,
        concurrency: CONCURRENCY,
        interruptions: INTERRUPTIONS,
        from: 1 + (seed - 1) * TARGETS,
        fails: 0,
      };
      played.push(await playJob(desk, plan));
      if (whole) console.log(figuresTable(played.map(figures)));
    }
    expect(played.flatMap(({ problems }) => problems.map(({ text }) => text)).join("\n\n")).toBe("");
    // All of them were started, but for those that were killed between the intent and the request.
    for (const { targets, rows, unknownAtEnd } of played) expect(rows + unknownAtEnd).toBe(targets);
    expect(kills()).toBeGreaterThanOrEqual(KILLS);
  },
);
