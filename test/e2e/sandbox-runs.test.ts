import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Calls } from "../support/sandbox-calls.ts";
import type { TestSandbox } from "../support/sandbox.ts";
import { borrowSandbox } from "../support/shared-sandbox.ts";

const fleet = (number: number) => `f0000000-0000-4000-8000-${String(number).padStart(12, "0")}`;
const CAROL = "c0000000-0000-4000-8000-000000000003";
const LEO = "c0000000-0000-4000-8000-000000000012";
const OLD_INSTANCE = "d0000000-0000-4000-8000-000000000012";
const STUCK = "91000000-0000-4000-8000-000000000005";
const LONG = "[rehearse lines=1000 interval=1]";
const SHORT = "[rehearse lines=1 interval=0]";

let sandbox: TestSandbox;
let ada: Calls;
beforeAll(async () => {
  sandbox = await borrowSandbox();
  ada = new Calls(sandbox, sandbox.adminToken);
});
afterAll(() => sandbox.stop());

const runsOf = async (userId: string) => {
  const { data } = await ada.query("admin.kiloclawInstances.listKiloCliRuns", { userId });
  return (data as { runs: Array<{ id: string; status: string; output: string | null }> }).runs;
};
const auditOf = async (targetUserId: string) => {
  const { data } = await ada.query("admin.kiloclawInstances.adminAuditLogs", { userId: targetUserId, limit: 50 });
  return data as Array<{ action: string }>;
};

test("of ten simultaneous starts one wins; another instance is not held up", async () => {
  const before = (await runsOf(fleet(1))).length;
  const [elsewhere, ...answers] = await Promise.all([
    ada.start(fleet(2), SHORT),
    ...Array.from({ length: 10 }, () => ada.start(fleet(1), LONG)),
  ]);
  expect(elsewhere?.status).toBe(200);
  expect(answers.map(({ status }) => status).toSorted()).toEqual([200, ...Array.from({ length: 9 }, () => 409)]);
  for (const { error } of answers.filter(({ status }) => status === 409)) {
    expect(error).toEqual({
      message: "A Kilo CLI run is already in progress",
      code: "CONFLICT",
      upstreamCode: "kilo_cli_run_already_active",
    });
  }
  expect((await runsOf(fleet(1))).length).toBe(before + 1);
});

test("a run that ended is recorded by the poll, and not before", async () => {
  const { id } = await ada.started(fleet(3), "[rehearse lines=2 interval=0 exit=3]");
  expect((await runsOf(fleet(3)))[0]).toMatchObject({ id, status: "running", output: null });
  const polled = await ada.statusWhen(fleet(3), id, ({ status }) => status !== "running");
  expect(polled).toMatchObject({ status: "failed", exitCode: 3 });
  expect((await runsOf(fleet(3)))[0]).toMatchObject({ id, status: "failed", output: polled.output });
});

test("a newer run supersedes one that nobody polled", async () => {
  const old = await ada.started(fleet(4), SHORT);
  // The start itself says when the first has ended.
  let newer = await ada.start(fleet(4), LONG);
  while (newer.status === 409) newer = await ada.start(fleet(4), LONG);
  expect(await ada.status(fleet(4), old.id)).toMatchObject({
    status: "failed",
    exitCode: null,
    output: "[run state unavailable: controller has moved on to a newer run]",
  });
});

describe("cancel", () => {
  test("stops the run, drops its output, and is in the audit log once", async () => {
    const { id } = await ada.started(fleet(5), LONG);
    await ada.statusWhen(fleet(5), id, ({ output }) => output !== "");
    const answers = await Promise.all([ada.cancel(fleet(5), id), ada.cancel(fleet(5), id)]);
    expect(answers.filter(({ data }) => (data as { ok: boolean }).ok).length).toBeGreaterThanOrEqual(1);
    expect(await ada.status(fleet(5), id)).toMatchObject({ status: "cancelled", output: null, exitCode: null });
    expect((await auditOf(fleet(5))).map(({ action }) => action)).toEqual([
      "kiloclaw.cli_run.cancel",
      "kiloclaw.cli_run.start",
    ]);
  });

  test("after the end changes nothing, also when nobody had polled", async () => {
    const { id } = await ada.started(fleet(6), SHORT);
    const next = ada.statusWhen(fleet(6), id, ({ status }) => status === "completed");
    await next;
    expect(await ada.cancel(fleet(6), id)).toEqual({ status: 200, data: { ok: true } });
    expect(await ada.status(fleet(6), id)).toMatchObject({ status: "completed", exitCode: 0 });
    expect((await auditOf(fleet(6))).map(({ action }) => action)).toEqual(["kiloclaw.cli_run.start"]);
  });

  test("a run of a destroyed instance is reached by the row's own instance id, and only so", async () => {
    const procedure = "admin.kiloclawInstances.cancelKiloCliRun";
    expect(await ada.mutate(procedure, { userId: LEO, runId: STUCK })).toMatchObject({
      status: 404,
      error: { message: "CLI run not found" },
    });
    expect(await ada.mutate(procedure, { userId: LEO, runId: STUCK, instanceId: OLD_INSTANCE })).toMatchObject({
      data: { ok: true },
    });
    expect((await runsOf(LEO)).find(({ id }) => id === STUCK)).toMatchObject({ status: "failed" });
  });
});

test("a NUL byte in the output keeps the record running and every poll failing, until a newer run", async () => {
  const { id } = await ada.started(fleet(7), "[rehearse lines=1 interval=0 nul=1]");
  const procedure = "admin.kiloclawInstances.getKiloCliRunStatus";
  let answer = await ada.query(procedure, { userId: fleet(7), runId: id });
  while (answer.status === 200) answer = await ada.query(procedure, { userId: fleet(7), runId: id });
  expect(answer).toMatchObject({ status: 500, error: { code: "INTERNAL_SERVER_ERROR" } });
  expect(answer.error?.message).toMatch(/^Failed query: update "kiloclaw_cli_runs"/);
  expect((await runsOf(fleet(7)))[0]).toMatchObject({ id, status: "running" });
  expect((await ada.cancel(fleet(7), id)).error?.message).toMatch(
    /^Failed to cancel kilo CLI run: Failed query: update/,
  );

  // The machine is free all the same, and a newer run settles the record.
  await ada.started(fleet(7), SHORT);
  expect(await ada.status(fleet(7), id)).toMatchObject({
    status: "failed",
    output: "[run state unavailable: controller has moved on to a newer run]",
  });
});

test("the history from before the audit log was introduced is not in it", async () => {
  expect((await runsOf(fleet(9))).length).toBeGreaterThan(5);
  expect(await auditOf(fleet(9))).toEqual([]);
});

test("concurrent polls of a run that ended agree", async () => {
  const { id } = await ada.started(fleet(8), SHORT);
  await ada.statusWhen(fleet(8), id, ({ output }) => output?.includes("exit") ?? false);
  const polls = await Promise.all(Array.from({ length: 8 }, () => ada.status(fleet(8), id)));
  const final = await ada.statusWhen(fleet(8), id, ({ status }) => status !== "running");
  for (const poll of polls.filter(({ status }) => status !== "running")) expect(poll.output).toBe(final.output);
});

describe("roles", () => {
  test("the owner sees and cancels an admin's run; his own leaves no audit row", async () => {
    const carol = new Calls(sandbox, await sandbox.remote.token("carol@example.com"));
    const { id } = await ada.started(CAROL, LONG);
    expect(await carol.query("kiloclaw.getKiloCliRunStatus", { runId: id })).toMatchObject({
      data: { status: "running", initiatedBy: "admin" },
    });
    expect(await carol.mutate("kiloclaw.cancelKiloCliRun", { runId: id })).toMatchObject({ data: { ok: true } });
    expect((await auditOf(CAROL)).map(({ action }) => action)).toEqual(["kiloclaw.cli_run.start"]);
  });

  test.each([
    ["plain@example.com", 403, "Admin access required"],
    ["blocked@example.com", 401, "User not authenticated - no user to set on context"],
    ["blocked.admin@kilocode.ai", 401, "User not authenticated - no user to set on context"],
    ["otto.oncall@kilocode.ai", 200, undefined],
  ])("%s gets %i on the admin API", async (email, status, message) => {
    const calls = new Calls(sandbox, await sandbox.remote.token(email));
    const answer = await calls.query("admin.kiloclawInstances.listAllCliRuns", {});
    expect(answer.status).toBe(status);
    expect(answer.error?.message).toBe(message);
  });

  test("a user without a subscription may not start", async () => {
    const frank = new Calls(sandbox, await sandbox.remote.token("frank.none@example.com"));
    expect(await frank.mutate("kiloclaw.startKiloCliRun", { prompt: "x" })).toMatchObject({ status: 403 });
  });

  test("a website whose name points here is turned away", async () => {
    const { request } = await import("node:http");
    const status = await new Promise((resolve) => {
      request(`${sandbox.url}/api/profile`, { headers: { host: "evil.example" } }, (response) => {
        response.resume();
        resolve(response.statusCode);
      }).end();
    });
    expect(status).toBe(421);
  });
});
