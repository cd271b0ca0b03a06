/** Slices of a list, in words. */
import type { JoinedShards } from "./report.ts";

/** Which slices are there, and which are not. */
export function slicesWords({ of, jobs, missing }: JoinedShards): string {
  const there = `${ranges([...new Set(jobs.map(({ shard }) => shard))])} of ${of}`;
  return missing.length === 0 ? there : `${there}; missing: ${ranges(missing)}`;
}

/** An instance that two targets led to, and what became of it by each. */
export function doubledWords({ instanceId, targets }: JoinedShards["doubled"][number]): string {
  const each = targets.map(({ shard, runId }) => `slice ${shard} (${runId === null ? "no run" : `run ${runId}`})`);
  return `instance ${instanceId} is in ${each.join(" and in ")}`;
}

/** Numbers in ascending order, as a person writes them: `1-3, 7`. */
function ranges(numbers: readonly number[]): string {
  const found: { from: number; to: number }[] = [];
  for (const number of numbers) {
    const last = found.at(-1);
    if (last?.to === number - 1) last.to = number;
    else found.push({ from: number, to: number });
  }
  return found.map(({ from, to }) => (from === to ? String(from) : `${from}-${to}`)).join(", ");
}
