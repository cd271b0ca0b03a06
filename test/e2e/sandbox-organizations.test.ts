/** What an organization's members may do, beyond what was recorded. */
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import type { FaultSpec } from "../../src/sandbox/control-api.ts";
import { Calls } from "../support/sandbox-calls.ts";
import type { TestSandbox } from "../support/sandbox.ts";
import { borrowSandbox } from "../support/shared-sandbox.ts";

const ORGANIZATION = "e0000000-0000-4000-8000-00000000000e";
const ERIN = "oauth/github:5550001";
const ERINS_INSTANCE = "d0000000-0000-4000-8000-000000000005";
const LONG = "[rehearse lines=1000 interval=1]";

let sandbox: TestSandbox;
let erin: Calls;
let gina: Calls;
let ada: Calls;
beforeAll(async () => {
  sandbox = await borrowSandbox();
  ada = new Calls(sandbox, sandbox.adminToken);
  erin = new Calls(sandbox, await sandbox.remote.token("erin.org@example.com"));
  gina = new Calls(sandbox, await sandbox.remote.token("Gina.Multi@Example.com"));
});
afterEach(() => sandbox.remote.clearFaults());
afterAll(() => sandbox.stop());

const path = (name: string) => `organizations.kiloclaw.${name}`;
const about = (more: object = {}) => ({ organizationId: ORGANIZATION, ...more });

test("one record for all sides: a member's start meets an admin's, who sees the member's run and cancels it", async () => {
  const started = await erin.mutate(path("startKiloCliRun"), about({ prompt: LONG }));
  const { id: runId } = started.data as { id: string };
  expect(await ada.query("admin.kiloclawInstances.listKiloCliRuns", { userId: ERIN, limit: 1 })).toMatchObject({
    data: { runs: [{ id: runId, instance_id: ERINS_INSTANCE, initiated_by_admin_id: null, status: "running" }] },
  });
  const second = { userId: ERIN, instanceId: ERINS_INSTANCE, prompt: LONG };
  expect(await ada.mutate("admin.kiloclawInstances.startKiloCliRun", second)).toMatchObject({ status: 409 });
  expect(await gina.query(path("getKiloCliRunStatus"), about({ runId }))).toMatchObject({ data: { hasRun: false } });
  const cancel = { userId: ERIN, instanceId: ERINS_INSTANCE, runId };
  expect(await ada.mutate("admin.kiloclawInstances.cancelKiloCliRun", cancel)).toMatchObject({ data: { ok: true } });
  expect(await erin.query(path("getKiloCliRunStatus"), about({ runId }))).toMatchObject({
    data: { status: "cancelled" },
  });
});

test("a member sees an admin's run and cancels it, without an audit row", async () => {
  const start = { userId: ERIN, instanceId: ERINS_INSTANCE, prompt: LONG };
  const { id: runId } = (await ada.mutate("admin.kiloclawInstances.startKiloCliRun", start)).data as { id: string };
  const audit = () => ada.query("admin.kiloclawInstances.adminAuditLogs", { userId: ERIN });
  const before = await audit();
  expect(await erin.query(path("getKiloCliRunStatus"), about({ runId }))).toMatchObject({
    data: { status: "running", initiatedBy: "admin" },
  });
  expect(await erin.mutate(path("cancelKiloCliRun"), about({ runId }))).toMatchObject({ data: { ok: true } });
  expect(await audit()).toEqual(before);
});

const worker = (value: string): FaultSpec => ({ name: "worker", value, user: ERIN });

test.each([
  [worker("500"), "startKiloCliRun", "KiloClaw API error (500)"],
  [worker("409"), "startKiloCliRun", "KiloClaw API error (409)"],
  [worker("down"), "startKiloCliRun", "fetch failed"],
  [worker("429"), "getKiloCliRunStatus", "KiloClaw API error (429)"],
  [worker("down"), "getKiloCliRunStatus", "fetch failed"],
  [worker("500"), "cancelKiloCliRun", "KiloClaw API error (500)"],
  [worker("route-unavailable"), "cancelKiloCliRun", "KiloClaw API error (404)"],
] as const)("trouble of the worker is a bare 500: %o on %s", async (fault, name, message) => {
  const start = await erin.mutate(path("startKiloCliRun"), about({ prompt: LONG }));
  const { id: runId } = start.data as { id: string };
  try {
    await sandbox.remote.setFault(fault);
    const answer =
      name === "getKiloCliRunStatus"
        ? await erin.query(path(name), about({ runId }))
        : await erin.mutate(path(name), about({ runId, prompt: "x" }));
    expect(answer).toEqual({ status: 500, error: { message, code: "INTERNAL_SERVER_ERROR", upstreamCode: undefined } });
  } finally {
    await sandbox.remote.clearFaults();
    await erin.mutate(path("cancelKiloCliRun"), about({ runId }));
  }
});

test("a fault can be set for a member's instance in the organization", async () => {
  await sandbox.remote.setFault({ name: "503", instance: ERINS_INSTANCE });
  const answer = await erin.get(
    `/api/trpc/${path("listKiloCliRuns")}?input=${encodeURIComponent(JSON.stringify(about()))}`,
  );
  expect(answer.status).toBe(503);
  expect((await gina.query(path("listKiloCliRuns"), about())).status).toBe(200);
});
