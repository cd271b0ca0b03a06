// What somebody would write who has no tool for it: asks about each run every 3 s, as the platform's own page does for the one
// that it shows, and says which have ended. Calls of one moment share a request as far as its address may be long.
//   node test/bench/watch-loop.mjs URL TOKEN FILE     the file: a JSON list of runs
import { readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { createTRPCUntypedClient, httpBatchLink } from "@trpc/client";

const [url, token, file = ""] = process.argv.slice(2);
const client = createTRPCUntypedClient({
  links: [
    httpBatchLink({ url: `${url}/api/trpc`, maxURLLength: 8_000, headers: { authorization: `Bearer ${token}` } }),
  ],
});
/** @type {{ id: string, userId: string, instanceId: string }[]} */
let running = JSON.parse(await readFile(file, "utf8"));
process.once("SIGINT", () => process.exit());
while (running.length > 0) {
  const ended = new Set();
  await Promise.all(
    running.map(async ({ id: runId, userId, instanceId }) => {
      const path = "admin.kiloclawInstances.getKiloCliRunStatus";
      const { status } = /** @type {{ status: string }} */ (await client.query(path, { userId, runId, instanceId }));
      if (status === "running") return;
      ended.add(runId);
      console.log(JSON.stringify({ type: "end", runId, status }));
    }),
  );
  running = running.filter(({ id }) => !ended.has(id));
  await sleep(3_000);
}
