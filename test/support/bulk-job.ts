/** Jobs as they may have gone, made without a platform. */
import { PromptTemplate } from "../../src/bulk/input/prompt-template.ts";
import { STATES_IN_ORDER, type ItemState } from "../../src/bulk/item-state.ts";
import type { Item, PlannedState } from "../../src/bulk/item.ts";
import type { JobFacts } from "../../src/bulk/report/report.ts";

export const TEMPLATE = new PromptTemplate("repair what is broken");

/** A job, whatever its plan. */
export interface MadeUpJob {
  readonly facts: JobFacts;
  readonly items: readonly Item[];
}

const BEGAN = Date.parse("2026-11-25T03:12:40Z");

export const JOB_ID = "7c1e9a52-4d0b-4f7e-9a55-0c2f8d1b6e90";

export const facts = (given: Partial<JobFacts> = {}): JobFacts => ({
  id: JOB_ID,
  profile: "production",
  origin: "https://app.kilo.ai",
  sandbox: null,
  ticket: "INC-4711",
  reason: "gateway crash-loops since the 2026.11 config migration",
  adminEmail: null,
  adminId: "5a0f3c1e-1111-4222-8333-444455556666",
  state: "ended",
  createdAt: new Date(BEGAN),
  endedAt: new Date(BEGAN + 34 * 60_000),
  total: 0,
  invocations: 2,
  asOf: new Date(BEGAN + 34 * 60_000),
  playbook: null,
  playbookSha256: null,
  ...given,
});

/** One item; what is not given is that of a run that completed. */
export function itemOf(
  index: number,
  given: Partial<Omit<Item, "target">> & { target?: Partial<Item["target"]> } = {},
): Item {
  const { target, ...rest } = given;
  const startedAt = new Date(BEGAN + index * 1_500);
  return {
    state: "completed",
    runId: idOf(2, index),
    attached: false,
    startedAt,
    completedAt: new Date(startedAt.getTime() + 60_000),
    exitCode: 0,
    problem: null,
    ...rest,
    target: {
      index,
      line: index + 1,
      named: `customer${index}@example.com`,
      instance: null,
      fields: {},
      userId: idOf(1, index),
      userEmail: `customer${index}@example.com`,
      instanceId: idOf(3, index),
      planned: "startable",
      detail: null,
      ...target,
    },
  };
}

/** A job of so many targets, most of which completed, with some in every other state. */
export function jobOf(count: number, given: Partial<JobFacts> = {}): MadeUpJob {
  const dice = diceOf(42);
  const items = Array.from({ length: count }, (_, index): Item => {
    const other = STATES_IN_ORDER[index];
    const lucky = dice() < 0.8;
    return inState(index + 1, other ?? (lucky ? "completed" : pick(OFTEN, dice())), dice);
  });
  const endedAt = new Date(
    Math.max(...items.slice(0, 50_000).map(({ completedAt }) => completedAt?.getTime() ?? 0)) + 4_000,
  );
  return { facts: facts({ state: "interrupted", total: count, endedAt, ...given }), items };
}

const OFTEN: readonly ItemState[] = [
  "failed",
  "failed",
  "failed",
  "failed",
  "skipped",
  "unplanned",
  "machine-down",
  "unknown",
  "lost",
];
const FAILURES = [
  (n: number) => `Error: cannot parse '/home/u${n}/.openclaw/config.json': unexpected token at line ${n}`,
  (n: number) => `gateway did not answer on 10.0.${n % 250}.7:18789 within ${20 + (n % 9)}s`,
  (n: number) => `ENOSPC: no space left on device, write /var/lib/kiloclaw/inst-${n}/backup.tar`,
  () => "plugin loader: manifest is missing; giving up",
];
const UNPLANNED: readonly PlannedState[] = ["no-instance", "unknown", "ambiguous", "duplicate"];

function inState(index: number, state: ItemState, dice: () => number): Item {
  // Most take some minutes; a few take very long.
  const took = Math.round((90 + 240 * dice() + (dice() > 0.97 ? 1_500 * dice() : 0)) * 1_000);
  const item = itemOf(index, { state, attached: dice() < 0.03 });
  const startedAt = new Date(BEGAN + Math.floor(index / 12) * 40_000 + Math.round(dice() * 30_000));
  const ran = { startedAt, completedAt: new Date(startedAt.getTime() + took) };
  const none = { runId: null, startedAt: null, completedAt: null, exitCode: null, attached: false };
  switch (state) {
    case "completed":
      return { ...item, ...ran };
    case "failed": {
      const kind = Math.floor(dice() * dice() * FAILURES.length);
      return { ...item, ...ran, exitCode: kind + 1, problem: FAILURES[kind]?.(index) ?? null };
    }
    case "cancelled":
      return { ...item, ...ran, exitCode: null, problem: "cancelled by otto.oncall@kilocode.ai" };
    case "lost":
      return { ...item, ...ran, exitCode: null, problem: "the machine lost this run" };
    case "running":
      return { ...item, startedAt, completedAt: null, exitCode: null };
    case "waiting":
    case "starting":
      return { ...item, ...none };
    case "unplanned": {
      const planned = pick(UNPLANNED, dice());
      const detail = planned === "duplicate" ? `the same instance as line ${index - 1}` : "no instance that is in use";
      const target = { ...item.target, planned, detail, userId: null, userEmail: null, instanceId: null };
      return { ...item, ...none, target, problem: detail };
    }
    case "skipped":
    case "conflict":
      return {
        ...item,
        ...none,
        problem: `run ${idOf(4, index)} of otto.oncall@kilocode.ai is in progress since 03:0${index % 10}:11`,
      };
    case "machine-down":
      return { ...item, ...none, problem: "the machine is stopped" };
    case "refused":
      return { ...item, ...none, problem: "503 Service Unavailable" };
    case "unknown":
      return { ...item, ...none, problem: `no answer within 120s (ECONNRESET ${index})` };
  }
}

function pick<T>(from: readonly [T, ...T[]] | readonly T[], at: number): T {
  const chosen = from[Math.floor(at * from.length)] ?? from[0];
  if (chosen === undefined) throw new Error("nothing to pick from");
  return chosen;
}

function idOf(kind: number, index: number): string {
  return `${kind}${index.toString(16).padStart(7, "0")}-5e1f-4c0d-8b2a-${(index * 2_654_435_761).toString(16).padStart(12, "0").slice(-12)}`;
}

/** The same numbers from 0 to 1 every time. */
function diceOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}
