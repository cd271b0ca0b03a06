/** Slices of a list: each machine takes one of them, and all of them together are the list. */
import { createHash } from "node:crypto";
import type { Entry } from "../item.ts";

/** Slice `number` of `of`, the first being 1. */
export interface Shard {
  readonly number: number;
  readonly of: number;
}

/** A slice as it is typed; `auto`: the environment says which. */
export interface AskedShard {
  readonly number: number | "auto";
  readonly of: number;
}

const MAX_SHARDS = 10_000;

/** Reads `k/n` or `auto/n`; `undefined` when the text is not a slice. */
export function parseShard(text: string): AskedShard | undefined {
  const [, typed, all] = /^(\d{1,5}|auto)\/(\d{1,5})$/.exec(text) ?? [];
  const of = Number(all);
  if (typed === undefined || of < 1 || of > MAX_SHARDS) return undefined;
  if (typed === "auto") return { number: typed, of };
  const number = Number(typed);
  return number >= 1 && number <= of ? { number, of } : undefined;
}

/**
 * Whether what has this key belongs to the slice. By the key alone, whatever else there is and in whatever order: of all
 * slices, exactly one has it.
 */
export function isInShard(key: string, { number, of }: Shard): boolean {
  // 48 bits: as many as a number holds exactly, with room.
  return createHash("sha256").update(key).digest().readUIntBE(0, 6) % of === number - 1;
}

/** What decides which slice an entry belongs to: how it was named, whatever the platform says of it by then. */
export function shardKey({ named, instance }: Pick<Entry, "named" | "instance">): string {
  return `${named}\n${instance ?? ""}`.toLowerCase();
}

/** A hash over what was asked: the same on every machine that has a slice of it, and for nothing else. */
export function askedHash(entries: readonly Entry[], prompt: string, of: number): string {
  const hash = createHash("sha256").update(JSON.stringify([of, prompt]));
  for (const { named, instance, fields } of entries) hash.update(`\n${JSON.stringify([named, instance, fields])}`);
  return hash.digest("hex");
}
