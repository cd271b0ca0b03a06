/** The safety core, in groups: what is changed, and the tests nearest to it. */
export const GROUPS = {
  start: {
    mutate: ["src/runs/{start,start-on-record,reconcile,open-intents,unstorable}.ts"],
    tests: [
      "unit/start-model",
      "unit/start",
      "unit/unstorable",
      "e2e/runs-start",
      "e2e/runs-start-*",
      "e2e/runs-unstorable*",
    ],
  },
  claims: {
    mutate: ["src/journal/{claim,process-identity}.ts"],
    tests: ["unit/journal-claim", "unit/lock"],
  },
  journal: {
    mutate: ["src/journal/{journal,record,read,open-index,ledger}.ts"],
    tests: ["unit/journal*", "unit/ledger"],
  },
  cancel: {
    mutate: ["src/runs/{cancel,cancel-on-record,settle}.ts", "src/journal/outputs.ts"],
    tests: ["e2e/runs-cancel*", "e2e/runs-settle*", "unit/outputs", "unit/settle*", "unit/cancel*"],
  },
  transport: {
    mutate: ["src/api/{transport,direct-wire,retry,api-error,own-answer}.ts", "src/async/*.ts"],
    tests: [
      "unit/transport",
      "unit/renewed-login",
      "unit/own-answer",
      "unit/typed-errors",
      "unit/wait",
      "unit/on-abort",
    ],
  },
  jobs: {
    mutate: ["src/bulk/{execute,verdict,adoption,gate,throttle,resume,job-records}.ts"],
    tests: ["unit/bulk-*", "unit/job-model"],
  },
  output: {
    mutate: ["src/runs/output-cursor.ts", "src/terminal/sanitize.ts"],
    tests: ["unit/output-cursor", "unit/sanitize", "unit/hostile-output"],
  },
};
