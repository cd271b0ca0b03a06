/** Which slice a machine has, by the environment that its scheduler gives it. */
import type { Environment } from "../../environment.ts";
import { CliError } from "../../errors.ts";
import type { AskedShard, Shard } from "./shard.ts";

interface Scheduler {
  /** The variable that has the machine's number. */
  readonly index: string;
  /** The variable that says how many machines there are. */
  readonly total?: string;
  /** The first machine's number, or the variable that has it. */
  readonly first: number | string;
}

/** Set by a person, it takes precedence. */
const OWN: Scheduler = { index: "KILOCLAW_ADMIN_SHARD", first: 0 };

/** Indexed Jobs of Kubernetes, GitLab's `parallel`, Buildkite's parallelism, job arrays of Slurm and of AWS Batch. */
const SCHEDULERS: readonly Scheduler[] = [
  { index: "JOB_COMPLETION_INDEX", first: 0 },
  { index: "CI_NODE_INDEX", total: "CI_NODE_TOTAL", first: 1 },
  { index: "BUILDKITE_PARALLEL_JOB", total: "BUILDKITE_PARALLEL_JOB_COUNT", first: 0 },
  { index: "SLURM_ARRAY_TASK_ID", total: "SLURM_ARRAY_TASK_COUNT", first: "SLURM_ARRAY_TASK_MIN" },
  { index: "AWS_BATCH_JOB_ARRAY_INDEX", total: "AWS_BATCH_JOB_ARRAY_SIZE", first: 0 },
];

const ALL: readonly Scheduler[] = [OWN, ...SCHEDULERS];

/** Every variable that is looked at. */
export const SHARD_VARIABLES: readonly string[] = ALL.flatMap(({ index, total, first }) =>
  [index, total, first].filter((name) => typeof name === "string"),
);

/**
 * The slice that is meant, in this environment.
 *
 * @throws CliError `usage` where the environment does not say which, or contradicts itself or what was typed.
 */
export function resolveShard({ number, of }: AskedShard, env: Environment): Shard {
  if (number !== "auto") return { number, of };
  const refused = (why: string) =>
    new CliError("usage", `--shard auto/${of}: ${why}; nothing was sent`, {
      hint: [
        `set KILOCLAW_ADMIN_SHARD to the machine's number, 0 to ${of - 1}, which takes precedence`,
        `or name the slice: --shard 1/${of}`,
      ],
    });
  const whole = (name: string): number => {
    const text = env[name]?.trim() ?? "";
    if (/^\d{1,9}$/.test(text)) return Number(text);
    throw refused(text === "" ? `${name} is not set` : `${name} is "${text}", which is not a whole number`);
  };
  const isSet = (name: string) => (env[name]?.trim() ?? "") !== "";
  const found = (isSet(OWN.index) ? [OWN] : SCHEDULERS.filter(({ index }) => isSet(index))).map(
    ({ index, total, first }) => {
      if (total !== undefined && isSet(total) && whole(total) !== of) throw refused(`${total} is ${whole(total)}`);
      const from = typeof first === "number" ? first : whole(first);
      const slot = whole(index) - from;
      if (slot >= 0 && slot < of) return { index, number: slot + 1 };
      throw refused(`${index} is ${whole(index)}, which is not from ${from} to ${from + of - 1}`);
    },
  );
  const [one, ...others] = found;
  if (!one) throw refused(`none of ${ALL.map(({ index }) => index).join(", ")} is set`);
  const other = others.find((found) => found.number !== one.number);
  if (!other) return { number: one.number, of };
  throw refused(`${one.index} says slice ${one.number}, and ${other.index} says slice ${other.number}`);
}
