import { createHash } from "node:crypto";

/** Slice `number` of `of`, the first being 1. */
export interface Shard {
  readonly number: number;
  readonly of: number;
}

const MAX_SHARDS = 10_000;

/** Reads `k/n`; `undefined` when the text is not a slice. */
export function parseShard(text: string): Shard | undefined {
  const [, number, of] = /^(\d{1,5})\/(\d{1,5})$/.exec(text) ?? [];
  const shard = { number: Number(number), of: Number(of) };
  return shard.number >= 1 && shard.number <= shard.of && shard.of <= MAX_SHARDS ? shard : undefined;
}

/**
 * Whether what has this key belongs to the slice. By the key alone, whatever else there is and in whatever order: of all
 * slices, exactly one has it.
 */
export function isInShard(key: string, { number, of }: Shard): boolean {
  // 48 bits: as many as a number holds exactly, with room.
  return createHash("sha256").update(key).digest().readUIntBE(0, 6) % of === number - 1;
}
