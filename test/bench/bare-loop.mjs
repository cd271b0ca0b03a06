// The floor that a job is compared with: nothing but start requests, so many at a time. No look at the machine, no record.
//   node test/bench/bare-loop.mjs URL TOKEN CONCURRENCY < TARGETS (JSON)
import { text } from "node:stream/consumers";
import { createTRPCClient, httpLink } from "@trpc/client";

const [url, token, concurrency] = process.argv.slice(2);
const targets = JSON.parse(await text(process.stdin));
const headers = { authorization: `Bearer ${token}` };
const client = createTRPCClient({ links: [httpLink({ url: `${url}/api/trpc`, headers })] });

const loop = async () => {
  for (let target = targets.shift(); target; target = targets.shift()) {
    await client.admin.kiloclawInstances.startKiloCliRun.mutate(target);
  }
};
await Promise.all(Array.from({ length: Number(concurrency) }, loop));
