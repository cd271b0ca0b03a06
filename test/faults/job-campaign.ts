/** A job that is interrupted again and again, over a way that may fail, and gone on with until it is done. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Desk } from "../harness.ts";
import { Dice } from "./dice.ts";
import { arrived, EXCHANGE_FAULTS, type ExchangeFault } from "./faults.ts";
import { judge, WRONGS, type Problem } from "./job-judge.ts";
import { Operator, type Command, type JobCustomer } from "./operator.ts";

export interface Plan {
  /** Decides what is done to it and when, as far as that does not hang on how fast the machine is: the same again is much alike. */
  readonly seed: number;
  readonly targets: number;
  /** Starts under way at a time. */
  readonly concurrency: number;
  /** How often a command is interrupted at most. */
  readonly interruptions: number;
  /** The number of its first customer. */
  readonly from: number;
  /** Which part of the answers fails, from 0 to 1. */
  readonly fails: number;
}

/** How a command was interrupted. Ctrl-C twice: the second while the first is still at work. */
const WAYS = ["SIGKILL", "SIGKILL", "SIGKILL", "Ctrl-C", "Ctrl-C twice"] as const;
type Way = (typeof WAYS)[number];

/** What a job has been through. */
export interface Played extends Plan {
  readonly interrupted: ReadonlyMap<Way, number>;
  /** How many interruptions fell into which part of a command's life. */
  readonly moments: ReadonlyMap<string, number>;
  readonly commands: number;
  readonly struck: number;
  readonly requests: number;
  readonly rows: number;
  /** Targets of which nobody knows whether a run started: with faults on, and at the very end. */
  readonly unknown: number;
  readonly unknownAtEnd: number;
  readonly problems: readonly Problem[];
  readonly ms: number;
}

/**
 * Ways to fail that leave a job something to go on with. Not: a refused token, which ends it at once, and requests that are
 * doubled on the way, where the second start is not the tool's.
 */
const FAILS = (Object.keys(EXCHANGE_FAULTS) as ExchangeFault[]).filter(
  (name) => !["401", "403", "403-edge", "duplicated", "blackhole", "over-cap"].includes(name),
);
/** Short runs; one in five fails. */
const PROMPT = "[rehearse lines=1 interval=0.05 exit={{exit}}]";
/** How long a command takes to be loaded on a busy machine, about. */
const LOADED_MS = 800;
/** A command that waits for a row may take half a minute more than it works. */
const MAX_MS = 240_000;
/** Commands that are let alone to finish the job, at most. */
const FINISHING = 6;

export async function playJob(desk: Desk, plan: Plan): Promise<Played> {
  const campaign = new Campaign(desk, plan, await Operator.open(desk));
  try {
    return await campaign.play();
  } finally {
    await campaign.operator.close();
  }
}

class Campaign {
  readonly operator: Operator;
  readonly #desk: Desk;
  readonly #plan: Plan;
  readonly #dice: Dice;
  readonly #customers: readonly JobCustomer[];
  /** In each prompt, and so in each row. */
  readonly #mark: string;
  readonly #interrupted = new Map<Way, number>();
  readonly #moments = new Map<string, number>();
  readonly #problems: Problem[] = [];
  #commands = 0;
  #struck = 0;
  #began = false;

  constructor(desk: Desk, plan: Plan, operator: Operator) {
    this.#desk = desk;
    this.#plan = plan;
    this.#dice = new Dice("job", plan.seed, plan.targets, plan.fails);
    this.#mark = `job ${plan.seed} of ${plan.targets} from ${plan.from}`;
    this.#customers = Array.from({ length: plan.targets }, (_, at) => ({
      number: plan.from + at,
      exit: this.#dice.hits(0.2) ? 1 : 0,
    }));
    this.operator = operator;
  }

  async play(): Promise<Played> {
    const began = performance.now();
    for (let turn = 0; turn < this.#plan.interruptions; turn++) {
      this.#break();
      const command = await this.#goOn();
      const way = this.#dice.pick(...WAYS);
      if (await this.#interrupt(command, way)) this.#interrupted.set(way, (this.#interrupted.get(way) ?? 0) + 1);
      // What had left before it was interrupted arrives, whoever waits for the answer.
      await this.operator.proxy.heal();
      if (await this.#look(false)) break;
    }
    this.#break();
    for (let turn = 0; turn < FINISHING; turn++) {
      await this.#toItsEnd(await this.#goOn());
      if (await this.#look(false)) break;
    }
    await this.operator.proxy.heal();
    // Also what an answer was given for before it was delivered.
    await arrived(this.operator.proxy.exchanges);
    const { unknown, waited } = await this.#count();
    const before = this.operator.starts.length;
    if (this.#plan.fails > 0) await this.#toItsEnd(await this.#goOn());
    // With nothing left to do nothing may be sent.
    await this.#toItsEnd(await this.#goOn());
    await this.#look(true);
    const after = this.operator.starts.length;
    const { unknown: unknownAtEnd, rows } = await this.#count();
    if (after > before && !waited)
      this.#blame("double start", `${after - before} starts were sent to a job that was done`);
    for (const trouble of this.operator.proxy.troubles) console.error("the way itself:", trouble);
    return {
      ...this.#plan,
      interrupted: this.#interrupted,
      moments: this.#moments,
      commands: this.#commands,
      struck: this.#struck,
      requests: this.operator.starts.length,
      rows,
      unknown,
      unknownAtEnd,
      problems: this.#problems,
      ms: performance.now() - began,
    };
  }

  #blame(kind: (typeof WRONGS)[number], text: string): void {
    this.#problems.push({ kind, text: `${kind}: ${text}` });
  }

  /** From here on answers fail. */
  #break(): void {
    const { fails } = this.#plan;
    if (fails === 0) return;
    // Now and then an edge answers everything for a while, and nothing of it reaches the platform.
    let stormUntil = 0;
    this.operator.proxy.decide = ({ isStart }) => {
      if (this.#dice.hits(fails / 100)) stormUntil = performance.now() + this.#dice.between(500, 8_000);
      if (performance.now() < stormUntil && !isStart) {
        this.#struck += 1;
        return EXCHANGE_FAULTS["502"](this.#dice).deal;
      }
      if (!this.#dice.hits(fails)) return undefined;
      this.#struck += 1;
      return EXCHANGE_FAULTS[this.#dice.pick<ExchangeFault>("reset", ...FAILS)](this.#dice).deal;
    };
  }

  /** Goes on with the job, or begins it where nothing of it is on record. */
  async #goOn(): Promise<Command> {
    this.#commands += 1;
    if (await this.operator.report()) {
      this.#began = true;
      return this.operator.begin("jobs", "resume", "@latest", "--wait", "-o", "jsonl");
    }
    if (this.#began) this.#blame("lost ID", "the job is not on record any more");
    if (this.operator.starts.length > 0) this.#blame("lost ID", "a start was sent, and no job is on record");
    const more = ["--wait", "-o", "jsonl", "--concurrency", String(this.#plan.concurrency)];
    return this.operator.beginJob(this.#customers, `${PROMPT} ${this.#mark}`, ...more);
  }

  /** Interrupts it at a moment of no choice. `false`: it was over before. */
  async #interrupt(command: Command, way: Way): Promise<boolean> {
    const sentBefore = this.operator.starts.length;
    const askedBefore = this.operator.proxy.exchanges.length;
    await Promise.race([this.#moment(command), command.end()]);
    if (command.isOver) return false;
    const starts = this.operator.starts.length - sentBefore;
    const asked = this.operator.proxy.exchanges.length - askedBefore;
    const moment = asked === 0 ? "while loading" : starts === 0 ? "before a start" : "among starts";
    this.#moments.set(moment, (this.#moments.get(moment) ?? 0) + 1);
    command.kill(way === "SIGKILL" ? "SIGKILL" : "SIGINT");
    if (way === "Ctrl-C twice") {
      await Promise.race([sleep(this.#dice.between(1, 1_500)), command.end()]);
      command.kill("SIGINT");
    }
    await this.#toItsEnd(command);
    const sentAfter = this.operator.starts.length - sentBefore - starts;
    // Those that were under way already may still leave.
    if (sentAfter > this.#plan.concurrency) {
      this.#blame("double start", `${sentAfter} starts were sent after ${way}`);
    }
    return true;
  }

  async #moment(command: Command): Promise<void> {
    const dice = this.#dice;
    if (dice.hits(0.15)) return sleep(LOADED_MS * 1.5 * dice.chance());
    if (dice.hits(0.15)) return sleep(LOADED_MS + 8_000 * dice.chance());
    // So that the job lasts for as many interruptions as are wanted.
    const { targets, interruptions } = this.#plan;
    const enough = this.operator.starts.length + dice.between(1, Math.ceil((2 * targets) / interruptions));
    while (this.operator.starts.length < enough && !command.isOver) await sleep(2);
    await sleep(dice.between(0, 60));
  }

  async #toItsEnd(command: Command): Promise<void> {
    const giveUp = new AbortController();
    const code = await Promise.race([
      command.end(),
      sleep(MAX_MS, "late" as const, { signal: giveUp.signal }).catch(() => null),
    ]);
    giveUp.abort();
    if (code === "late") throw new Error(`seed ${this.#plan.seed}: has not ended: ${command.stderr}`);
    if (code === 1)
      throw new Error(`seed ${this.#plan.seed}: a bug, or an answer that nobody understands: ${command.stderr}`);
  }

  async #rows() {
    return await this.#desk.rows(this.#mark);
  }

  /** Holds the report against the rows; whether the job is done. */
  async #look(over: boolean): Promise<boolean> {
    const [report, rows] = await Promise.all([this.operator.report(), this.#rows()]);
    if (!report) {
      if (rows.length > 0) this.#blame("lost ID", `${rows.length} runs, and no job is on record`);
      return false;
    }
    const { items } = report;
    const starts = this.operator.starts.map(({ instanceId }) => instanceId);
    this.#problems.push(...judge({ items, rows, starts, over }));
    return !items.some(({ state }) => state === "waiting" || state === "running");
  }

  async #count(): Promise<{ unknown: number; rows: number; waited: boolean }> {
    const [report, rows] = await Promise.all([this.operator.report(), this.#rows()]);
    const count = (state: string) => report?.items.filter((item) => item.state === state).length ?? 0;
    return { unknown: count("unknown"), rows: rows.length, waited: count("waiting") > 0 };
  }
}

/** A line of a table. */
export function figures(played: Played): Record<string, string | number> {
  const { seed, targets, fails, interrupted, moments, commands, struck, requests, rows, unknown, unknownAtEnd } =
    played;
  const wrong = (kind: (typeof WRONGS)[number]) => played.problems.filter((one) => one.kind === kind).length;
  return {
    seed,
    targets,
    ...(fails === 0 ? {} : { "fails %": fails * 100, struck }),
    killed: interrupted.get("SIGKILL") ?? 0,
    "^C": interrupted.get("Ctrl-C") ?? 0,
    "^C^C": interrupted.get("Ctrl-C twice") ?? 0,
    loading: moments.get("while loading") ?? 0,
    "before a start": moments.get("before a start") ?? 0,
    "among starts": moments.get("among starts") ?? 0,
    commands,
    requests,
    rows,
    ...Object.fromEntries(WRONGS.map((kind) => [`${kind}s`, wrong(kind)])),
    unknown,
    "at the end": unknownAtEnd,
    s: Math.round(played.ms / 1_000),
  };
}
