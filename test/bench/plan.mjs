// What planning a job of many costs in time, requests and memory, against a stand-in for the platform that answers at once, in a
// process of its own: what is left is this tool's own work and the wire.
//   npm run bench -- plan [TARGETS]     default: 100000
import { fork } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import http from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const at = (/** @type {string} */ path) => fileURLToPath(new URL(path, import.meta.url));
const uuid = (/** @type {string} */ prefix, /** @type {number} */ number) =>
  `${prefix}0000000-0000-4000-8000-${String(number).padStart(12, "0")}`;
const email = (/** @type {number} */ number) => `customer.${number}@example.com`;
/** One in a thousand has a run in progress. */
const RUNNING_STEP = 1_000;

const megabytes = (/** @type {number} */ bytes) => `${(bytes / 2 ** 20).toFixed(0)} MiB`;
const figure = (/** @type {string} */ name, /** @type {string} */ value) =>
  console.log(`  ${name.padEnd(56)}${value.padStart(22)}`);

/**
 * @template T
 * @param {string} name
 * @param {() => T | Promise<T>} work
 */
async function timed(name, work) {
  const began = performance.now();
  const before = process.cpuUsage();
  const result = await work();
  const { user, system } = process.cpuUsage(before);
  const seconds = (performance.now() - began) / 1_000;
  figure(name, `${seconds.toFixed(1)} s, ${((user + system) / 1e6).toFixed(1)} s of CPU`);
  return result;
}

/** @param {number} targets */
async function main(targets) {
  const directory = await mkdtemp(join(tmpdir(), "kiloclaw-admin-bench-"));
  try {
    const bundle = join(directory, "plan.mjs");
    const { build } = await import("esbuild");
    await build({
      stdin: {
        contents: [
          "api/api",
          "api/origin",
          "bulk/input/input",
          "bulk/plan/plan",
          "bulk/input/prompt-template",
          "timing",
        ]
          .map((module) => `export * from "./${module}.ts";`)
          .join("\n"),
        resolveDir: at("../../src"),
      },
      outfile: bundle,
      bundle: true,
      platform: "node",
      format: "esm",
      banner: { js: 'import { createRequire } from "node:module"; const require = createRequire(import.meta.url);' },
    });
    // As many instances as targets: going through all of them is best. Very many more: searching for each.
    for (const instances of [targets, 10_000_000]) {
      console.log(`\n${targets} targets among ${instances} instances`);
      const server = fork(at("plan.mjs"), ["serve", String(instances)]);
      try {
        const port = await new Promise((resolve) => server.once("message", resolve));
        const planner = fork(at("plan.mjs"), ["plan", bundle, `http://127.0.0.1:${port}`, String(targets)]);
        const code = await new Promise((resolve) => planner.once("exit", resolve));
        if (code !== 0) throw new Error(`planning ended with ${code}`);
      } finally {
        server.kill();
      }
    }
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/**
 * @param {string} bundle
 * @param {string} url
 * @param {number} count
 */
async function plan(bundle, url, count) {
  /**
   * @type {typeof import("../../src/api/api.ts") & typeof import("../../src/api/origin.ts") &
   *   typeof import("../../src/bulk/input/input.ts") & typeof import("../../src/bulk/plan/plan.ts") &
   *   typeof import("../../src/bulk/input/prompt-template.ts") & typeof import("../../src/timing.ts")}
   */
  const { Api, parseOrigin, readUsers, planTargets, PromptTemplate, SYSTEM_TIMING } = await import(bundle);
  figure("memory before", megabytes(process.resourceUsage().maxRSS * 1024));
  let requests = 0;
  const api = new Api({
    origin: parseOrigin(url, "bench"),
    token: "bench",
    userAgent: "bench",
    env: {},
    timing: SYSTEM_TIMING,
    onExchange: () => (requests += 1),
  });
  const lines = Array.from({ length: count }, (_, index) => `${email(index)},reason ${index}`);
  const text = ["email,reason", ...lines].join("\n");
  const template = new PromptTemplate("repair what {{user}} has: {{reason}}");
  const { entries, columns } = await timed("reading them from CSV", () =>
    readUsers(text, "bench.csv", { fields: template.fields }),
  );
  await timed("checking the prompt of each", async () => template.check(entries, columns));
  figure("peak memory by then", megabytes(process.resourceUsage().maxRSS * 1024));
  const targets = await timed("planning them", () => planTargets(api, entries));
  figure("requests", String(requests));
  figure("peak memory", megabytes(process.resourceUsage().maxRSS * 1024));
  const startable = targets.filter(({ planned }) => planned === "startable").length;
  const running = targets.filter(({ planned }) => planned === "running").length;
  const expected = Math.ceil(count / RUNNING_STEP);
  if (running !== expected || startable !== count - expected) {
    throw new Error(`${startable} startable and ${running} running are not all`);
  }
  figure("startable, running", `${startable}, ${running}`);
  await api.close();
  process.disconnect();
}

/** @param {number} total */
function serve(total) {
  /** @type {Record<string, (input: any) => unknown>} */
  const answers = {
    list: (input) => {
      const number = /^customer\.(\d+)@/.exec(input.search ?? "")?.[1];
      const { rows, pagination } =
        number === undefined ? page(input, total, instance) : page(input, 1, () => instance(Number(number)));
      return { instances: rows, pagination };
    },
    get: ({ id }) => ({
      ...instance(Number(id.slice(-12))),
      inbound_email_address: null,
      workerStatus: { status: "running" },
      workerStatusError: null,
    }),
    listAllCliRuns: (input) => {
      const count = Math.ceil(Math.min(total, 100_000) / RUNNING_STEP);
      const { rows, pagination } = page(input, count, (index) => run(index * RUNNING_STEP));
      return { runs: rows, pagination };
    },
  };
  const server = http.createServer((request, response) => {
    const url = new URL(request.url ?? "", "http://bench");
    const procedures = url.pathname.slice("/api/trpc/".length).split(",");
    const input = JSON.parse(url.searchParams.get("input") ?? "");
    const results = procedures.map((procedure, index) => ({
      result: { data: answers[procedure.split(".").at(-1) ?? ""]?.(input[index]) },
    }));
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify(results));
  });
  server.listen(0, "127.0.0.1", () =>
    process.send?.(/** @type {import("node:net").AddressInfo} */ (server.address()).port),
  );
}

const instance = (/** @type {number} */ number) => ({
  id: uuid("d", number),
  user_id: uuid("c", number),
  user_email: email(number),
  organization_id: null,
  sandbox_id: `ki_${number}`,
  lifecycle_state: "active",
  tracked_image_tag: "1.0",
  created_at: "2026-05-11 10:00:00.123456+00",
  destroyed_at: null,
  inbound_email_enabled: true,
  inactive_trial_stopped_at: null,
  suspended_at: null,
  subscription_id: uuid("5", number),
  subscription_status: "active",
  user_kiloclaw_early_access: false,
  pin: null,
  admin_size_override: null,
});

const run = (/** @type {number} */ number) => ({
  id: uuid("e", number),
  user_id: uuid("c", number),
  user_email: email(number),
  instance_id: uuid("d", number),
  initiated_by_admin_id: null,
  initiated_by_admin_email: null,
  prompt: "repair it ".repeat(100),
  status: "running",
  exit_code: null,
  started_at: "2026-05-11 10:00:00+00",
  completed_at: null,
});

/**
 * @param {{ offset?: number, limit?: number }} input
 * @param {number} count
 * @param {(index: number) => unknown} row
 */
const page = (input, count, row) => {
  const { offset = 0, limit = 25 } = input;
  const size = Math.max(0, Math.min(limit, count - offset));
  const rows = Array.from({ length: size }, (_, index) => row(offset + index));
  return { rows, pagination: { offset, limit, total: count, totalPages: Math.ceil(count / limit) } };
};

const [role, first = "", second = "", third] = process.argv.slice(2);
if (role === "serve") serve(Number(first));
else if (role === "plan") await plan(first, second, Number(third));
else await main(Number(role ?? 100_000));
