// The floor that a job is compared with: nothing but start requests, so many at a time. No look at the machine, no record.
//   node test/bench/bare-loop.mjs URL TOKEN CONCURRENCY < TARGETS (JSON)
import { text } from "node:stream/consumers";
import { createTRPCUntypedClient, httpLink } from "@trpc/client";

const [url, token, concurrency] = process.argv.slice(2);
const targets = JSON.parse(await text(process.stdin));
const headers = { authorization: `Bearer ${token}` };
const client = createTRPCUntypedClient({ links: [httpLink({ url: `${url}/api/trpc`, headers })] });

const loop = async () => {
  for (let target = targets.shift(); target; target = targets.shift()) {
    await client.mutation("admin.kiloclawInstances.startKiloCliRun", target);
  }
};
await Promise.all(Array.from({ length: Number(concurrency) }, loop));
