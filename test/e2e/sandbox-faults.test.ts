import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import type { FaultSpec } from "../../src/sandbox/control-api.ts";
import { Calls } from "../support/sandbox-calls.ts";
import type { TestSandbox } from "../support/sandbox.ts";
import { borrowSandbox } from "../support/shared-sandbox.ts";

const fleet = (number: number) => `f0000000-0000-4000-8000-${String(number).padStart(12, "0")}`;
const instanceOf = (number: number) => `d0000000-0000-4000-8000-${String(number + 14).padStart(12, "0")}`;
const LONG = "[rehearse lines=1000 interval=1]";
const SHORT = "[rehearse lines=1 interval=0]";
const LIST = `/api/trpc/admin.kiloclawInstances.listAllCliRuns?input=${encodeURIComponent("{}")}`;

/** What fetch says of a connection that broke before or in the answer. */
const BROKEN = /fetch failed|terminated/;

let sandbox: TestSandbox;
let ada: Calls;
beforeAll(async () => {
  sandbox = await borrowSandbox();
  ada = new Calls(sandbox, sandbox.adminToken);
});
afterEach(() => sandbox.remote.clearFaults());
afterAll(() => sandbox.stop());

const set = (fault: FaultSpec) => sandbox.remote.setFault(fault);

test.each<[FaultSpec, number, string | null, RegExp]>([
  [{ name: "429", retryAfter: 7 }, 429, "application/json", /Too many requests/],
  [{ name: "500" }, 500, "application/json", /error/],
  [{ name: "502" }, 502, "application/json", /error/],
  [{ name: "503" }, 503, "application/json", /error/],
  [{ name: "html-error" }, 502, "text/html; charset=utf-8", /<h1>/],
  [{ name: "empty-error" }, 500, null, /^$/],
  [{ name: "malformed" }, 200, "application/json", /^\{"result":\{"data":$/],
  [{ name: "wrong-shape" }, 200, "application/json", /unexpected/],
])("%o", async (fault, status, type, body) => {
  await set({ ...fault, count: 1 });
  const response = await ada.get(LIST);
  expect([response.status, response.headers.get("content-type")]).toEqual([status, type]);
  expect(response.headers.get("retry-after")).toBe(fault.retryAfter === undefined ? null : String(fault.retryAfter));
  expect(await response.text()).toMatch(body);
  // Counted: the next call is answered as usual.
  expect((await ada.get(LIST)).status).toBe(200);
});

test.each<FaultSpec["name"]>(["reset", "truncated"])("%s breaks the answer before any work", async (name) => {
  await set({ name, count: 1, procedure: "startKiloCliRun" });
  await expect(ada.start(fleet(1), LONG)).rejects.toThrow(BROKEN);
  expect((await ada.start(fleet(1), SHORT)).status).toBe(200);
  await settle(1);
});

test("lost-answer breaks the connection when the work is done", async () => {
  await set({ name: "lost-answer", count: 1 });
  await expect(ada.start(fleet(2), LONG)).rejects.toThrow(BROKEN);
  expect(await ada.start(fleet(2), LONG)).toMatchObject({ error: { upstreamCode: "kilo_cli_run_already_active" } });
  const requests = await sandbox.remote.requests();
  const starts = requests.filter(({ procedure }) => procedure.endsWith("startKiloCliRun")).slice(-2);
  expect(starts.map(({ status }) => status)).toEqual([0, 409]);
});

test("hang gives no answer until its delay is over; slow answers after its delay", async () => {
  await set({ name: "hang", count: 1, delayMs: 300 });
  const hung = performance.now();
  await expect(ada.get(LIST)).rejects.toThrow(BROKEN);
  expect(performance.now() - hung).toBeGreaterThan(290);
  await set({ name: "slow", count: 1, delayMs: 300 });
  const slow = performance.now();
  expect((await ada.get(LIST)).status).toBe(200);
  expect(performance.now() - slow).toBeGreaterThan(290);
});

test("a fault strikes whom it names: user by e-mail, instance, procedure, an entry of a batch", async () => {
  await set({ name: "500", user: "FLEET03@fleet.example.com", procedure: "listKiloCliRuns" });
  await set({ name: "503", instance: instanceOf(4), procedure: "startKiloCliRun" });
  expect((await ada.get(list(fleet(3)))).status).toBe(500);
  expect((await ada.get(list(fleet(4)))).status).toBe(200);
  const start = { userId: fleet(4), prompt: SHORT };
  expect((await ada.post("/api/trpc/admin.kiloclawInstances.startKiloCliRun", start)).status).toBe(503);
  const batch = encodeURIComponent(JSON.stringify({ 0: { userId: fleet(4) }, 1: { userId: fleet(3) } }));
  const both = "admin.kiloclawInstances.listKiloCliRuns,admin.kiloclawInstances.listKiloCliRuns";
  expect((await ada.get(`/api/trpc/${both}?batch=1&input=${batch}`)).status).toBe(500);
});

test("insert-failure leaves a run on the machine that no record knows", async () => {
  await set({ name: "insert-failure", count: 1 });
  const failed = await ada.start(fleet(5), LONG);
  expect(failed).toMatchObject({ status: 500 });
  expect(failed.error?.message).toMatch(/^Failed query: insert into "kiloclaw_cli_runs"/);
  expect(await ada.start(fleet(5), LONG)).toMatchObject({ error: { upstreamCode: "kilo_cli_run_already_active" } });
  const { data } = await ada.query("admin.kiloclawInstances.listKiloCliRuns", { userId: fleet(5), limit: 1 });
  expect(data).toMatchObject({ runs: [{ prompt: "historical prompt 150: check mcp servers" }] });
});

test("audit-failure does not fail the start", async () => {
  await set({ name: "audit-failure" });
  expect((await ada.start(fleet(6), SHORT)).status).toBe(200);
  const { data } = await ada.query("admin.kiloclawInstances.adminAuditLogs", { userId: fleet(6), limit: 1 });
  expect(data).toEqual([]);
});

test("instance-status: what get shows is what a start checks, and a poll loses the run", async () => {
  const { id } = await ada.started(fleet(7), LONG);
  await set({ name: "instance-status", value: "restarting", instance: instanceOf(7) });
  const { data } = await ada.query("admin.kiloclawInstances.get", { id: instanceOf(7) });
  expect(data).toMatchObject({ workerStatus: { status: "restarting" } });
  expect(await ada.start(fleet(7), LONG)).toMatchObject({
    status: 409,
    error: { upstreamCode: "kilo_cli_run_instance_not_running" },
  });
  expect(await ada.status(fleet(7), id)).toMatchObject({ status: "failed", exitCode: null });
});

test("controller-restart forgets the run and kills it", async () => {
  const { id } = await ada.started(fleet(8), LONG);
  await set({ name: "controller-restart", count: 1 });
  expect(await ada.status(fleet(8), id)).toMatchObject({
    status: "failed",
    output: "[run state unavailable: controller no longer has an active CLI run for this record]",
  });
  expect((await ada.start(fleet(8), SHORT)).status).toBe(200);
});

test("old-controller: a start says so, status and cancel only fail", async () => {
  const { id } = await ada.started(fleet(9), LONG);
  await set({ name: "old-controller", user: fleet(9) });
  expect(await ada.start(fleet(9), SHORT)).toMatchObject({
    status: 412,
    error: { upstreamCode: "controller_route_unavailable" },
  });
  const poll = await ada.query("admin.kiloclawInstances.getKiloCliRunStatus", { userId: fleet(9), runId: id });
  expect(poll.error?.message).toBe("KiloClaw API error (500)");
  expect((await ada.cancel(fleet(9), id)).status).toBe(500);
});

// As recorded from the platform: what its web app makes of its worker's answers.
test.each<[string, number, string]>([
  ["400", 400, "Malformed JSON body"],
  ["403", 500, "Forbidden"],
  ["404", 404, "Not Found"],
  ["409", 409, "Instance is busy"],
  ["412", 412, "precondition"],
  ["429", 429, "Too many requests"],
  ["500", 500, "kilo-cli-run start failed"],
  ["502", 500, "<html>Bad gateway</html>"],
  ["503", 500, "Configuration error"],
  ["524", 500, "error code: 524"],
  ["down", 500, "Failed to start kilo CLI run: fetch failed"],
  ["lost-answer", 500, "Failed to start kilo CLI run: fetch failed"],
  ["not-json", 500, `Failed to start kilo CLI run: Unexpected token '<', "<html>" is not valid JSON`],
  ["controller-down", 500, "Gateway controller request failed: Network connection lost."],
  ["route-unavailable", 412, "Instance needs redeploy to support recovery"],
])("the worker's %s becomes %i on a start", async (value, status, message) => {
  await set({ name: "worker", value, count: 1 });
  expect(await ada.start(fleet(10), SHORT)).toMatchObject({ status, error: { message } });
});

test.each([
  ["500", "KiloClaw API error (500)", "kilo-cli-run cancel failed"],
  ["404", "KiloClaw API error (404)", "Not Found"],
  ["429", "KiloClaw API error (429)", "Too many requests"],
  ["down", "fetch failed", "Failed to cancel kilo CLI run: fetch failed"],
  ["status-500", "KiloClaw API error (500)", "kilo-cli-run status failed"],
])("the worker's %s on status and cancel", async (value, onStatus, onCancel) => {
  const { id } = await ada.started(fleet(11), LONG);
  await set({ name: "worker", value, count: 2 });
  const poll = await ada.query("admin.kiloclawInstances.getKiloCliRunStatus", { userId: fleet(11), runId: id });
  expect(poll).toMatchObject({ status: 500, error: { message: onStatus } });
  expect((await ada.cancel(fleet(11), id)).error?.message).toBe(onCancel);
  await settle(11, id);
});

test("a lost answer of a cancel: the poll after it finds the run cancelled, with its output", async () => {
  const { id } = await ada.started(fleet(12), LONG);
  await ada.statusWhen(fleet(12), id, ({ output }) => output !== "");
  await set({ name: "worker", value: "lost-answer", count: 1 });
  expect((await ada.cancel(fleet(12), id)).error?.message).toBe("Failed to cancel kilo CLI run: fetch failed");
  const after = await ada.status(fleet(12), id);
  expect(after.status).toBe("cancelled");
  expect(after.output).toMatch(/\n\[cancelled by user\]\n$/);
});

test("worker trouble is told by get, which does not fail", async () => {
  await set({ name: "worker", value: "500", count: 1 });
  const { data } = await ada.query("admin.kiloclawInstances.get", { id: instanceOf(1) });
  expect(data).toMatchObject({ workerStatus: null, workerStatusError: "debug-status failed" });
});

test.each([
  [{ name: "instance-status" }, "needs a value"],
  [{ name: "worker", value: "200" }, "worker needs a value"],
  [{ name: "500", user: "nobody@example.com" }, "no user nobody@example.com"],
  [{ name: "500", count: 0 }, "count"],
] satisfies Array<[FaultSpec, string]>)("%o is refused", async (fault, message) => {
  await expect(set(fault)).rejects.toThrow(message);
  expect(await sandbox.remote.listFaults()).toEqual([]);
});

function list(userId: string): string {
  return `/api/trpc/admin.kiloclawInstances.listKiloCliRuns?input=${encodeURIComponent(JSON.stringify({ userId }))}`;
}

/** Frees the fleet customer's machine for the next test. */
async function settle(number: number, runId?: string): Promise<void> {
  const { data } = await ada.query("admin.kiloclawInstances.listKiloCliRuns", { userId: fleet(number), limit: 1 });
  const id = runId ?? (data as { runs: Array<{ id: string }> }).runs[0]?.id ?? "";
  await ada.cancel(fleet(number), id);
  // The machine is busy until the process is gone.
  await set({ name: "controller-restart", count: 1, user: fleet(number) });
  await ada.start(fleet(number), SHORT);
  await sandbox.remote.clearFaults();
  await set({ name: "controller-restart", count: 1, user: fleet(number) });
  const started = await ada.query("admin.kiloclawInstances.listKiloCliRuns", { userId: fleet(number), limit: 1 });
  const last = (started.data as { runs: Array<{ id: string }> }).runs[0]?.id ?? "";
  await ada.status(fleet(number), last);
}
