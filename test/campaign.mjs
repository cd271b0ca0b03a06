// What takes too long for every day: `npm run campaign -- NAME`, and without a name the list.
import { runNamed } from "./support/run-named.mjs";

runNamed("campaign", {
  faults: {
    file: new URL("faults/run.mjs", import.meta.url),
    what: "every command against every fault; one case again: --command start --fault reset --seed 17; jobs alone: --jobs",
    usesDist: true,
  },
  soak: {
    file: new URL("faults/soak.mjs", import.meta.url),
    what: "watching over a way that fails one answer in five: --minutes 30",
    usesDist: true,
  },
  incident: {
    file: new URL("process/incident.mjs", import.meta.url),
    what: "an incident of 300 customers, run by four people in real terminals",
    usesDist: true,
  },
  fuzz: {
    file: new URL("fuzz/run.mjs", import.meta.url),
    what: "a million hostile texts through the one way to a screen, and what a megabyte of each kind costs",
  },
  mutation: {
    file: new URL("mutation/run.mjs", import.meta.url),
    what: "small changes of the safety core, one at a time, that no test notices; a part of it: claims",
  },
});
