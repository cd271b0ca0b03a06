// What starting runs on many instances costs.
//   npm run bench -- jobs [--users 2000] [--sample 200] [--slices 5] [--concurrency 8,32] [--agents node,shell]
//                          [--targets 100000] [--profile FOLDER]
// --users 0 or --targets 0 leaves a part out. --sample: so many starts of the shell loop stand for all. --slices:
// the loops and the job take turns with so many parts of the targets. --profile: where to put
// profiles of the command line's CPU time.
import { parseArgs } from "node:util";
import { measureBigJob } from "./big-job.mjs";
import { compareLoops } from "./loops.mjs";

const { values } = parseArgs({
  options: {
    users: { type: "string", default: "2000" },
    sample: { type: "string", default: "200" },
    slices: { type: "string", default: "5" },
    concurrency: { type: "string", default: "8,32" },
    agents: { type: "string", default: "node,shell" },
    targets: { type: "string", default: "100000" },
    profile: { type: "string" },
  },
});
const { profile } = values;
const users = Number(values.users);
const targets = Number(values.targets);

console.log(`Node ${process.versions.node}`);
if (users > 0) {
  await compareLoops({
    users,
    sample: Math.min(users, Number(values.sample)),
    slices: Number(values.slices),
    concurrencies: values.concurrency.split(",").map(Number),
    agents: values.agents.split(","),
    profile,
  });
}
if (targets > 0) await measureBigJob({ targets, profile });
