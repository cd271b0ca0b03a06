import { MAX_SENDS } from "../../runs/start/start.ts";

/** So often a target is taken up again that another command of this machine is at. */
const MAX_TRIES = 3;
/** And one whose machine does not tell how its last run is: with the pauses between them, half a minute where it is the only one. */
const MAX_TRIES_OF_MACHINE = 6;

/** Why a start came to nothing for now. */
export interface PutOff {
  /** It has to do with this target, where the platform answers. */
  readonly ours: boolean;
  /** A request was sent, and refused for now. */
  readonly sent: boolean;
  /** The platform failed, or this target alone did: the others go first. */
  readonly failed: boolean;
}

/**
 * The targets to which nothing was sent and which wait for nobody: whose turn it is, and how often each has been taken up. Knows
 * targets by their slots alone: positions in a list of all of them, which are taken in their order.
 */
export class Backlog {
  readonly #size: number;
  readonly #isWaiting: (slot: number) => boolean;
  /** Those to be taken up before the others, and after them. */
  readonly #first: number[] = [];
  readonly #last: number[] = [];
  readonly #tries = new Map<number, number>();
  /** How often a start was sent to a target and refused for now. */
  readonly #sends = new Map<number, number>();
  #next = 0;

  /**
   * @param size how many targets there are.
   * @param isWaiting whether one is to be started at all. Asked when its turn comes: it may have got a run meanwhile.
   */
  constructor(size: number, isWaiting: (slot: number) => boolean) {
    this.#size = size;
    this.#isWaiting = isWaiting;
  }

  /** Whether anybody is left. */
  get hasMore(): boolean {
    while (this.#next < this.#size && !this.#isWaiting(this.#next)) this.#next += 1;
    return this.#first.length > 0 || this.#next < this.#size || this.#last.length > 0;
  }

  /** Takes out whose turn it is. */
  take(): number | undefined {
    const first = this.#first.shift();
    if (first !== undefined || !this.hasMore) return first;
    return this.#next < this.#size ? this.#next++ : this.#last.shift();
  }

  /** What it waited for has ended: its turn is next. */
  putFirst(slot: number): void {
    this.#first.push(slot);
  }

  /**
   * It was tried, and may be tried again.
   *
   * @returns `false` when that was often enough; it is not put back then.
   */
  putBack(slot: number, { ours, sent, failed }: PutOff): boolean {
    const enough =
      (ours && count(this.#tries, slot) >= MAX_TRIES_OF_MACHINE) || (sent && count(this.#sends, slot) >= MAX_SENDS);
    if (enough) return false;
    if (failed) this.#last.push(slot);
    else this.#first.push(slot);
    return true;
  }

  /**
   * Another command of this machine is at it, for minutes at most. It comes behind those that nobody is at, so that there is
   * something to say of its run by then.
   *
   * @returns as {@link putBack}
   */
  putBehind(slot: number): boolean {
    if (count(this.#tries, slot) >= MAX_TRIES) return false;
    this.#last.push(slot);
    return true;
  }
}

/** One more. */
function count(counts: Map<number, number>, slot: number): number {
  const tries = (counts.get(slot) ?? 0) + 1;
  counts.set(slot, tries);
  return tries;
}
