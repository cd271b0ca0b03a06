import { DueQueue } from "../../async/due-queue.ts";

/**
 * Where a run stands: it shares requests; or one of its own is next, to find out whether it is what holds up or breaks the
 * shared ones; or it has turned out to be slow.
 */
export type Lane = "shared" | "suspect" | "slow";

/** A run that is polled again and again. */
export interface Turn {
  readonly lane: Lane;
  /** When it is asked about next, on the clock of the schedule's user. */
  readonly dueAt: number;
  /** How long it was to wait from its last answer, in milliseconds. */
  readonly pauseMs: number;
  /** How many characters its answer is likely to bring. */
  readonly size: number;
}

/** So many may share a request whatever their answers bring: those can be megabytes each. */
const TOGETHER = 10;
/** So many may while their answers together are likely to bring no more than this many characters; more fit no address. */
const MAX_TOGETHER = 30;
const LIGHT = 2 ** 20;
/** A request takes along runs whose time comes within this part of their pause: many small requests become one. */
const EARLY = 0.2;
/** Runs asked about at a time, whatever their number. */
const MAX_UNDER_WAY = { shared: 60, suspect: 10, slow: 8 } as const satisfies Record<Lane, number>;
const LANES = ["shared", "suspect", "slow"] as const satisfies readonly Lane[];

/**
 * Which runs are polled when, and which together. Knows no clock, no platform and no answer. What it costs grows with what is due,
 * not with what waits.
 */
export class Schedule<T extends Turn> {
  readonly #waiting = { shared: new DueQueue<T>(), suspect: new DueQueue<T>(), slow: new DueQueue<T>() };
  readonly #underWay = { shared: 0, suspect: 0, slow: 0 };
  #quietUntil = -Infinity;

  /** It waits for its time from now on. */
  add(turn: T): void {
    this.#waiting[turn.lane].add(turn);
  }

  /** Takes out those that the next request is about, if it is time for one. Each comes back with {@link add}, or never. */
  next(now: number): { readonly lane: Lane; readonly group: readonly T[] } | undefined {
    if (this.isQuiet(now)) return undefined;
    const lane = LANES.find((name) => this.#hasRoom(name) && this.#dueIn(name, now) <= 0);
    if (!lane) return undefined;
    const group = this.#takeTogether(lane, now);
    this.#underWay[lane] += group.length;
    return { lane, group };
  }

  /** Milliseconds until {@link next} has something, if nothing comes back before; infinite when that is what it waits for. */
  waitMs(now: number): number {
    const due = Math.min(...LANES.map((name) => (this.#hasRoom(name) ? this.#dueIn(name, now) : Infinity)));
    return Math.max(0, this.#quietUntil - now, due);
  }

  /** A request about so many is over. */
  over(lane: Lane, count: number): void {
    this.#underWay[lane] -= count;
  }

  /** A request about one, which is still under way, counts among others from now on. */
  move(from: Lane, to: Lane): void {
    this.#underWay[from] -= 1;
    this.#underWay[to] += 1;
  }

  /** Nobody is asked about before this time. */
  keepQuiet(until: number): void {
    this.#quietUntil = Math.max(this.#quietUntil, until);
  }

  isQuiet(now: number): boolean {
    return now < this.#quietUntil;
  }

  /** Takes out all that wait. */
  takeAll(): T[] {
    return LANES.flatMap((name) => this.#waiting[name].takeAll());
  }

  #hasRoom(lane: Lane): boolean {
    return this.#underWay[lane] < MAX_UNDER_WAY[lane];
  }

  #dueIn(lane: Lane, now: number): number {
    return (this.#waiting[lane].first?.dueAt ?? Infinity) - now;
  }

  #takeTogether(lane: Lane, now: number): T[] {
    const queue = this.#waiting[lane];
    const group: T[] = [];
    let size = 0;
    for (let turn = queue.first; turn && group.length < (lane === "shared" ? MAX_TOGETHER : 1); turn = queue.first) {
      size += turn.size;
      if (turn.dueAt - now > EARLY * turn.pauseMs || (group.length >= TOGETHER && size > LIGHT)) break;
      queue.take();
      group.push(turn);
    }
    return group;
  }
}
