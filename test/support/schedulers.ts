/** What each scheduler gives the machine with this number, from 0, of so many. */
export const ENVIRONMENTS = {
  kubernetes: (slot: number) => ({ JOB_COMPLETION_INDEX: `${slot}` }),
  gitlab: (slot: number, of: number) => ({ CI_NODE_INDEX: `${slot + 1}`, CI_NODE_TOTAL: `${of}` }),
  buildkite: (slot: number, of: number) => ({
    BUILDKITE_PARALLEL_JOB: `${slot}`,
    BUILDKITE_PARALLEL_JOB_COUNT: `${of}`,
  }),
  slurm: (slot: number, of: number) => ({
    SLURM_ARRAY_TASK_ID: `${slot + 5}`,
    SLURM_ARRAY_TASK_MIN: "5",
    SLURM_ARRAY_TASK_COUNT: `${of}`,
  }),
  batch: (slot: number, of: number) => ({ AWS_BATCH_JOB_ARRAY_INDEX: `${slot}`, AWS_BATCH_JOB_ARRAY_SIZE: `${of}` }),
  own: (slot: number) => ({ KILOCLAW_ADMIN_SHARD: `${slot}` }),
} satisfies Record<string, (slot: number, of: number) => Record<string, string>>;
