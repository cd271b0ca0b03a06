// A stand-in for the platform that answers at once and keeps everything in memory, for what a sandbox is too slow for: instances
// without end, each machine running, runs that complete when they are asked about. Counts the starts of each instance.
//   node test/bench/platform.mjs INSTANCES [RUNNING]     its address comes as a message to whoever forked it
// The first so many instances have a run in progress, which never ends.
import { randomUUID } from "node:crypto";
import http from "node:http";

const total = Number(process.argv[2]);
const running = Number(process.argv[3] ?? 0);
const uuid = (/** @type {string} */ prefix, /** @type {number} */ number) =>
  `${prefix}0000000-0000-4000-8000-${String(number).padStart(12, "0")}`;
const ADMIN = { id: uuid("a", 1), email: "ada.admin@example.com", name: "Ada Admin" };
const CREATED = Date.UTC(2026, 3, 15);

export const emailOf = (/** @type {number} */ number) => `customer${number}@example.com`;

/** @typedef {Record<"id" | "status" | "prompt" | "started_at", string> & { completed_at: string | null } & Record<string, unknown>} Run */

/**
 * By instance, in the order of their starts.
 *
 * @type {Map<string, Run[]>}
 */
const runs = new Map();
let starts = 0;

/** @type {Run[]} */
const going = Array.from({ length: running }, (_, number) => ({
  id: randomUUID(),
  user_id: uuid("c", number),
  user_email: emailOf(number),
  instance_id: uuid("d", number),
  status: "running",
  prompt: "repair",
  initiated_by_admin_id: ADMIN.id,
  initiated_by_admin_email: ADMIN.email,
  exit_code: null,
  started_at: new Date(Date.now() - number * 1_000).toISOString(),
  completed_at: null,
}));
for (const run of going) runs.set(String(run.instance_id), [run]);

const instance = (/** @type {number} */ number) => ({
  id: uuid("d", number),
  user_id: uuid("c", number),
  user_email: emailOf(number),
  organization_id: null,
  sandbox_id: `ki_${number}`,
  lifecycle_state: "active",
  tracked_image_tag: "1.0",
  created_at: new Date(CREATED + number * 1_000).toISOString().replace("T", " ").replace("Z", "+00"),
  destroyed_at: null,
  inbound_email_enabled: true,
  inactive_trial_stopped_at: null,
  suspended_at: null,
  subscription_id: null,
  subscription_status: "active",
  user_kiloclaw_early_access: false,
  pin: null,
  admin_size_override: null,
});

/**
 * @param {{ offset?: number, limit?: number }} input
 * @param {number} count
 * @param {(at: number) => unknown} row
 */
function page({ offset = 0, limit = 25 }, count, row) {
  const size = Math.max(0, Math.min(limit, count - offset));
  const rows = Array.from({ length: size }, (_, at) => row(offset + at));
  return { rows, pagination: { offset, limit, total: count, totalPages: Math.ceil(count / limit) } };
}

/** @type {Record<string, (input: any) => unknown>} */
const answers = {
  list: (input) => {
    const row = (/** @type {number} */ at) => instance(input.sortOrder === "asc" ? at : total - 1 - at);
    const { rows, pagination } = page(input, total, row);
    return { instances: rows, pagination };
  },
  get: ({ id }) => ({
    ...instance(Number(id.slice(-12))),
    inbound_email_address: null,
    workerStatus: { status: "running" },
    workerStatusError: null,
  }),
  listAllCliRuns: (input) => {
    const found = input.search === undefined ? going : (runs.get(input.search) ?? []);
    const { rows, pagination } = page(input, found.length, (at) => found.at(-1 - at));
    return { runs: rows, pagination };
  },
  getKiloCliRunStatus: ({ runId, instanceId }) => {
    const run = runs.get(instanceId)?.find(({ id }) => id === runId);
    if (run === undefined) return { hasRun: false };
    const times = { startedAt: run.started_at, completedAt: run.completed_at };
    const { status, prompt, exit_code: exitCode } = run;
    return { hasRun: true, status, output: "repaired\n", exitCode, ...times, prompt, initiatedBy: "admin" };
  },
  startKiloCliRun: ({ userId, instanceId, prompt }) => {
    const id = randomUUID();
    const startedAt = new Date().toISOString();
    const row = { id, user_id: userId, user_email: null, instance_id: instanceId, status: "completed", prompt };
    const by = { initiated_by_admin_id: ADMIN.id, initiated_by_admin_email: ADMIN.email };
    const earlier = runs.get(instanceId) ?? [];
    runs.set(instanceId, [...earlier, { ...row, ...by, exit_code: 0, started_at: startedAt, completed_at: startedAt }]);
    starts += 1;
    return { ok: true, id, startedAt };
  },
};

/** @param {string | undefined} path */
function procedureOf(path) {
  const procedure = answers[path?.split(".").at(-1) ?? ""];
  if (procedure === undefined) throw new Error(`no such procedure: ${path}`);
  return procedure;
}

/**
 * @param {URL} url
 * @param {string} body
 */
function answer(url, body) {
  if (url.pathname === "/api/profile") return { user: ADMIN };
  if (url.pathname === "/starts") return { starts, instances: runs.size };
  const paths = url.pathname.slice("/api/trpc/".length).split(",");
  if (body !== "") return { result: { data: procedureOf(paths[0])(JSON.parse(body)) } };
  const input = JSON.parse(url.searchParams.get("input") ?? "");
  return paths.map((path, at) => ({ result: { data: procedureOf(path)(input[at]) } }));
}

const server = http.createServer((request, response) => {
  let body = "";
  request.setEncoding("utf8").on("data", (text) => (body += text));
  request.on("end", () => {
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify(answer(new URL(request.url ?? "", "http://platform"), body)));
  });
});
server.listen(0, "127.0.0.1", () => {
  const { port } = /** @type {import("node:net").AddressInfo} */ (server.address());
  process.send?.(`http://127.0.0.1:${port}`);
});
