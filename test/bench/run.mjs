// What things cost: `npm run bench -- NAME`, and without a name the list.
import { runNamed } from "../support/run-named.mjs";

runNamed("bench", {
  startup: {
    file: new URL("startup.mjs", import.meta.url),
    what: "start-up, as ratios to a bare `node -e 0`",
    usesDist: true,
  },
  start: {
    file: new URL("start.mjs", import.meta.url),
    what: "a safe start next to a bare POST, in requests and time",
    usesDist: true,
  },
  jobs: {
    file: new URL("jobs.mjs", import.meta.url),
    what: "a job of 2,000 targets next to a shell loop and a bare loop; one of 100,000, killed and resumed",
    usesDist: true,
  },
  plan: {
    file: new URL("plan.mjs", import.meta.url),
    what: "planning a job of 100,000 targets: time, requests, memory",
  },
  journal: {
    file: new URL("journal.mjs", import.meta.url),
    what: "the journal: a start, a job of 100,000 records, reading it back",
    node: ["--expose-gc"],
  },
  output: {
    file: new URL("output.mjs", import.meta.url),
    what: "printing what is new of an output next to comparing whole texts: time, bytes, memory, nothing lost or doubled",
  },
  watch: {
    file: new URL("watch-many.mjs", import.meta.url),
    what: "watching 10, 100 and 1,000 runs, next to a process for each and to a plain loop; about 20 minutes",
    usesDist: true,
  },
  keys: {
    file: new URL("keys.mjs", import.meta.url),
    what: "how soon a key is answered in a live table of 1,000 runs, and what its frame costs; needs `script`",
    usesDist: true,
  },
});
