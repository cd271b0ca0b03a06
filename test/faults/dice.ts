import { createHash } from "node:crypto";

/** Chances that come out the same whenever the same words are given: a case that failed can be played again. */
export class Dice {
  #state: number;

  constructor(...words: readonly (string | number)[]) {
    this.#state = createHash("sha256").update(words.join("/")).digest().readUInt32LE();
  }

  /** From 0 up to 1, without it (mulberry32). */
  chance(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  /** A whole number from `low` to `high`, both included. */
  between(low: number, high: number): number {
    return low + Math.floor(this.chance() * (high - low + 1));
  }

  /** True with this probability. */
  hits(probability: number): boolean {
    return this.chance() < probability;
  }

  pick<T>(first: T, ...more: readonly T[]): T {
    return [first, ...more][this.between(0, more.length)] ?? first;
  }
}
