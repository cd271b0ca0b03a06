// What a process costs, for `node --require`: at its end it adds a line to the file that BENCH_METER names. Syncs to the disk are
// counted where Node offers them, which slows nothing down, unlike tracing the system's calls.
const fs = require("node:fs");

const began = process.hrtime.bigint();
let [syncs, syncMs] = [0, 0];

async function countSyncs() {
  const file = await fs.promises.open(process.execPath);
  const methods = Object.getPrototypeOf(file);
  const { sync } = methods;
  methods.sync = /** @this {unknown} */ async function count() {
    const from = process.hrtime.bigint();
    await sync.call(this);
    syncs += 1;
    syncMs += Number(process.hrtime.bigint() - from) / 1e6;
  };
  await file.close();
}

void countSyncs();
process.once("exit", () => {
  const { userCPUTime, systemCPUTime, maxRSS } = process.resourceUsage();
  const cpuMs = (userCPUTime + systemCPUTime) / 1e3;
  const wallMs = Number(process.hrtime.bigint() - began) / 1e6;
  fs.appendFileSync(
    process.env.BENCH_METER ?? "",
    `${JSON.stringify({ cpuMs, wallMs, rss: maxRSS * 1024, syncs, syncMs })}\n`,
  );
});
