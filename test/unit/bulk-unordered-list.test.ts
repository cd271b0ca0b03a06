/** A platform that has no order for instances of the same moment: the pages of its list overlap, and some are on none. */
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, expect, it } from "vitest";
import { Api } from "../../src/api/api.ts";
import { parseOrigin } from "../../src/api/origin.ts";
import { entriesFromInstances } from "../../src/bulk/input/select.ts";
import { planTargets } from "../../src/bulk/plan/plan.ts";
import { scanInstances, type Instance } from "../../src/customers/instances.ts";
import { QUICK } from "../support/timing.ts";

const TOTAL = 250;
/** On its page one way round only; and on no page at all. */
const SHY = 120;
const HIDDEN = 130;

const uuid = (prefix: string, number: number) => `${prefix}0000000-0000-4000-8000-${String(number).padStart(12, "0")}`;
const row = (number: number) => ({
  id: uuid("d", number),
  // The hidden one is the first customer's second instance.
  user_id: uuid("c", number === HIDDEN ? 0 : number),
  user_email: `customer.${number === HIDDEN ? 0 : number}@example.com`,
  organization_id: null,
  sandbox_id: `ki_${number}`,
  lifecycle_state: "active",
  tracked_image_tag: null,
  created_at: "2026-05-11 10:00:00+00",
  destroyed_at: null,
});

let hidden: number | undefined;

interface Input {
  readonly offset?: number;
  readonly limit?: number;
  readonly search?: string;
  readonly sortOrder?: string;
  readonly id?: string;
}

function list({ offset = 0, limit = 25, search, sortOrder }: Input) {
  const all = Array.from({ length: TOTAL }, (_, number) => number);
  const found = search === undefined ? all : all.filter((number) => row(number).user_email === search);
  // What is missing stands where another one is for the second time.
  const missing = (number: number) =>
    search === undefined && (number === hidden || (number === SHY && sortOrder === "asc"));
  const shown = found.map((number) => (missing(number) ? 1 : number));
  const ordered = sortOrder === "asc" ? shown : shown.toReversed();
  const pagination = { offset, limit, total: found.length, totalPages: Math.ceil(found.length / limit) };
  return { instances: ordered.slice(offset, offset + limit).map(row), pagination };
}

const ANSWERS: Readonly<Record<string, (input: Input) => unknown>> = {
  list,
  get: ({ id = "" }) => ({
    ...row(Number(id.slice(-12))),
    workerStatus: { status: "running" },
    workerStatusError: null,
  }),
  listAllCliRuns: () => ({ runs: [], pagination: { offset: 0, limit: 100, total: 0, totalPages: 0 } }),
};

const server = createServer((request, response) => {
  const url = new URL(request.url ?? "", "http://platform");
  const input = JSON.parse(url.searchParams.get("input") ?? "{}") as Record<string, Input>;
  const procedures = url.pathname.slice("/api/trpc/".length).split(",");
  const results = procedures.map((path, at) => ({
    result: { data: ANSWERS[path.split(".").at(-1) ?? ""]?.(input[at] ?? {}) },
  }));
  response.setHeader("content-type", "application/json").end(JSON.stringify(results));
});

let api: Api;
beforeAll(async () => {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const origin = parseOrigin(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, "test");
  api = new Api({ origin, token: "token", userAgent: "test", timing: QUICK, env: {} });
});
afterAll(async () => {
  await api.close();
  server.closeAllConnections();
  server.close();
});

it("is read from its other end too, each instance once", async () => {
  hidden = undefined;
  const taken: Instance[] = [];
  expect(await scanInstances(api, {}, (instance) => taken.push(instance))).toBe(true);
  expect(new Set(taken.map(({ id }) => id)).size).toBe(TOTAL);
  expect(taken).toHaveLength(TOTAL);
  expect(await entriesFromInstances(api, {}, [])).toHaveLength(TOTAL);
});

it("is not believed where one is missing all the same: nobody is planned for one of two instances", async () => {
  hidden = HIDDEN;
  expect(await scanInstances(api, {}, () => undefined)).toBe(false);
  const entries = [0, 1, 2, 3].map((number) => ({
    named: `customer.${number}@example.com`,
    instance: null,
    line: null,
    fields: {},
  }));
  const targets = await planTargets(api, entries);
  expect(targets.map(({ planned }) => planned)).toEqual(["ambiguous", "startable", "startable", "startable"]);
  await expect(entriesFromInstances(api, {}, [])).rejects.toMatchObject({ kind: "unreachable", retryable: true });
});
