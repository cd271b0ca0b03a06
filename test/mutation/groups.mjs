/**
 * The safety core, in groups: what is changed, and the tests nearest to it. Left out: models that take a minute for each change.
 * `timeoutMs`: for tests that wait for nothing, after which a change counts as one that never ends.
 */
/** @type {Record<string, { readonly mutate: string[], readonly tests: string[], readonly timeoutMs?: number }>} */
export const GROUPS = {
  start: {
    mutate: [
      "src/runs/start/{start,on-record,reconcile,row-search,already-started}.ts",
      "src/runs/settle/unstorable.ts",
    ],
    tests: ["unit/start", "unit/reconcile", "unit/already-started", "unit/unstorable"],
  },
  claims: {
    mutate: ["src/journal/{claim,process-identity}.ts"],
    tests: ["unit/journal-claim"],
  },
  journal: {
    mutate: ["src/journal/{journal,chain,recovery,record,read,open-index,ledger}.ts"],
    tests: ["unit/journal*", "unit/ledger", "unit/start", "unit/reconcile", "unit/bulk-adoption"],
  },
  cancel: {
    mutate: ["src/runs/cancel/*.ts", "src/runs/settle/settle.ts", "src/runs/output/kept.ts"],
    tests: ["unit/cancel", "unit/settle", "unit/unstorable", "unit/outputs"],
  },
  answers: {
    mutate: ["src/api/{api-error,own-answer}.ts"],
    tests: ["unit/own-answer", "unit/typed-errors"],
  },
  async: {
    mutate: ["src/async/{wait,on-abort,each,limit}.ts", "src/api/retry.ts"],
    tests: ["unit/wait", "unit/on-abort", "unit/each", "unit/retry"],
  },
  transport: {
    mutate: ["src/api/transport.ts", "src/api/wire/direct.ts"],
    tests: ["unit/transport", "unit/renewed-login"],
  },
  jobs: {
    mutate: ["src/bulk/execute/{execution,attempt,backlog}.ts"],
    tests: ["unit/bulk-execute", "unit/bulk-backlog"],
  },
  "job-parts": {
    mutate: ["src/bulk/execute/{adoption,verdict,gate,throttle}.ts", "src/bulk/job/{resume,records}.ts"],
    tests: ["unit/bulk-{adoption,verdict,gate,throttle,resume,job-records,job}"],
  },
  output: {
    mutate: ["src/runs/output/cursor.ts", "src/terminal/sanitize.ts"],
    // Not `unit/hostile-output`: thousands of texts, instrumented, for each change.
    tests: ["unit/output-cursor", "unit/sanitize"],
    timeoutMs: 5_000,
  },
};
