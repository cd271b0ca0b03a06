/**
 * Jobs that something stops half-way, or whose state on this machine goes back in time: what they exit with, and that going on with
 * them starts each target once.
 */
import { cp, readdir, readFile, rename, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import * as z from "zod";
import { loadCustomer } from "../../src/sandbox/seed/people.ts";
import { openDesk, type Desk, type Result } from "../harness.ts";
import { Dice } from "./dice.ts";
import { EXCHANGE_FAULTS, type ExchangeFault } from "./faults.ts";
import { Operator, type JobCustomer } from "./operator.ts";
import type { Exchange } from "./proxy.ts";

vi.setConfig({ testTimeout: 120_000 });

const TARGETS = 8;
const TESTS = 14;

let desk: Desk;
let operator: Operator;
let customers: readonly JobCustomer[] = [];
let prompt: string;
let taken = 0;
beforeAll(async () => {
  desk = await openDesk({ extraUsers: TARGETS * TESTS });
}, 120_000);
afterAll(() => desk.close());
beforeEach(async () => {
  operator = await Operator.open(desk);
  customers = Array.from({ length: TARGETS }, (_, at) => ({ number: taken + at + 1, exit: 0 }));
  taken += TARGETS;
  prompt = `[rehearse lines=1 interval=0.05] stopped-${taken}`;
});
afterEach(() => operator.close());

/** Does the job to its end, one target after the other. */
const doJob = async (...more: string[]) => {
  const file = join(operator.configDir, "users.txt");
  await writeFile(file, customers.map(({ number }) => `${loadCustomer(number).person.email}\n`).join(""));
  const job = ["runs", "start", "--users-file", file, "-p", prompt, "--yes", "--concurrency", "1"];
  return operator.do(...job, ...more);
};
const resume = (...more: string[]) => operator.do("jobs", "resume", "@latest", ...more);
const jobOf = ({ stderr }: Result) => /^job ([0-9a-f-]{36})$/m.exec(stderr)?.[1] ?? "no job";
const states = async () => (await operator.report())?.items.map(({ state }) => state) ?? [];
const rows = () => desk.rows(prompt);

/** Deals with every exchange like that once so many starts have reached the way. */
function after(starts: number, fault: ExchangeFault, which: (exchange: Exchange) => boolean = () => true): void {
  const { deal } = EXCHANGE_FAULTS[fault](new Dice("job stops", fault));
  operator.proxy.decide = (exchange) =>
    operator.starts.filter(({ exchange: { number } }) => number < exchange.number).length >= starts && which(exchange)
      ? deal
      : undefined;
}

describe("a job that is stopped", () => {
  it.each(["401", "403"] as const)("by a %s after it has started some exits with 9, not 4", async (fault) => {
    after(5, fault);
    const stopped = await doJob();
    expect(stopped.code).toBe(9);
    expect(stopped.stderr).toContain(`kiloclaw-admin jobs resume ${jobOf(stopped)}`);
    expect(stopped.stderr).not.toContain("nothing was sent");
    expect(await states()).toEqual([...Array<string>(5).fill("running"), ...Array<string>(3).fill("waiting")]);
    // Also for whoever goes on with it and gets no further.
    const again = await resume("--json");
    expect(again.code).toBe(9);
    expect(JSON.parse(again.stderr.trim().split("\n").at(-1) ?? "")).toMatchObject({
      error: { kind: "partial", exitCode: 9, retryable: true },
    });
    await operator.proxy.heal();
    expect((await resume()).code).toBe(0);
    expect(await rows()).toHaveLength(TARGETS);
    expect(operator.starts).toHaveLength(TARGETS);
  });

  it("by a 401 before it has sent anything exits with 4", async () => {
    after(0, "401", isBeforeStart);
    const stopped = await doJob();
    expect(stopped.code).toBe(4);
    expect(operator.starts).toEqual([]);
    expect(new Set(await states())).toEqual(new Set(["waiting"]));
  });

  it("by a 401 after a start whose outcome is unknown exits with 7", async () => {
    let starts = 0;
    const { deal } = EXCHANGE_FAULTS["401"]();
    operator.proxy.decide = (exchange) => {
      if (exchange.isStart && ++starts === 2) return ({ socket }) => void socket.resetAndDestroy();
      // From the third target on.
      return starts === 2 && isBeforeStart(exchange) ? deal : undefined;
    };
    const stopped = await doJob();
    expect(stopped.code).toBe(7);
    expect(stopped.stderr).toContain(`kiloclaw-admin jobs resume ${jobOf(stopped)}`);
    expect((await states()).slice(0, 3)).toEqual(["running", "unknown", "waiting"]);
  });

  it("by a 401 where its one start was refused for a run just like its own exits with 9, not 4", async () => {
    customers = customers.slice(0, 1);
    operator.proxy.decide = (exchange) =>
      exchange.isStart
        ? async () => {
            await exchange.deliver();
            const upstreamCode = "kilo_cli_run_already_active";
            const data = { code: "CONFLICT", httpStatus: 409, path: exchange.paths[0], zodError: null, upstreamCode };
            const body = Buffer.from(JSON.stringify({ error: { message: "busy", code: -32_009, data } }));
            exchange.answer({ status: 409, headers: { "content-type": "application/json" }, body });
          }
        : undefined;
    expect((await doJob()).code).toBe(0);
    expect(await states()).toEqual(["running"]);
    after(0, "401");
    const stopped = await resume("--wait");
    expect(stopped.code).toBe(9);
    expect(stopped.stderr).toContain("kiloclaw-admin jobs resume ");
  });

  it("by this machine's disk before it is gone on with exits with 9, not 12", async () => {
    customers = customers.slice(0, 1);
    const job = jobOf(await doJob());
    const results = join(operator.configDir, "state", "jobs", job, "results.jsonl");
    await rm(results);
    await symlink(join(operator.configDir, "no such folder", "results.jsonl"), results);
    const stopped = await resume("--wait");
    expect(stopped.code).toBe(9);
    expect(stopped.stderr).toContain(`kiloclaw-admin jobs resume ${job}`);
  });

  it("by this machine's disk after it has started some exits with 9, not 12", async () => {
    const claims = join(operator.configDir, "state", "claims");
    let starts = 0;
    operator.proxy.decide = (exchange) => {
      if (!exchange.isStart || ++starts !== 3) return undefined;
      return async () => {
        const answer = await exchange.deliver();
        await rename(claims, `${claims}-`);
        await writeFile(claims, "");
        exchange.answer(answer);
      };
    };
    const stopped = await doJob();
    expect(stopped.code).toBe(9);
    expect(stopped.stderr).toContain(`kiloclaw-admin jobs resume ${jobOf(stopped)}`);
    expect((await states()).slice(0, 4)).toEqual(["running", "running", "running", "waiting"]);
    await rm(claims);
    expect((await resume()).code).toBe(0);
    expect(operator.starts).toHaveLength(TARGETS);
  });

  it("by this machine's disk before it has sent anything exits with 12", async () => {
    await doJob("--dry-run");
    await writeFile(join(operator.configDir, "state"), "");
    expect((await doJob()).code).toBe(12);
    expect(operator.starts).toEqual([]);
  });

  it.each(["502", "503", "portal"] as const)("by nothing where what it reads is %s for seconds", async (fault) => {
    let until = Infinity;
    const { deal } = EXCHANGE_FAULTS[fault](new Dice("storm", fault));
    operator.proxy.decide = (exchange) => {
      if (operator.starts.length === 3 && until === Infinity) until = performance.now() + 6_000;
      return exchange.method === "GET" && performance.now() < until && until !== Infinity ? deal : undefined;
    };
    const done = await doJob("--max-errors", "0");
    expect(done.code).toBe(0);
    expect(await rows()).toHaveLength(TARGETS);
    expect(operator.starts).toHaveLength(TARGETS);
  });
});

/** Asks for the machine and the rows of one instance. */
function isBeforeStart({ procedure }: Exchange): boolean {
  return procedure.split(",").toSorted().join() === "get,listAllCliRuns";
}

const state = () => join(operator.configDir, "state");

/** Keeps what is on the disk once so many starts were answered. */
function backUp(after: number): string {
  const backup = join(operator.configDir, "backup");
  let starts = 0;
  operator.proxy.decide = (exchange) => {
    if (!exchange.isStart || ++starts !== after + 1) return undefined;
    return async () => {
      await cp(state(), backup, { recursive: true });
      exchange.answer(await exchange.deliver());
    };
  };
  return backup;
}

async function restore(backup: string): Promise<void> {
  await rm(state(), { recursive: true });
  await cp(backup, state(), { recursive: true });
  // Those of a process that is gone.
  for (const name of await readdir(state(), { recursive: true })) {
    if (name.startsWith("claims/") || name.endsWith(".claim")) await rm(join(state(), name));
  }
}

/** Leaves of a job's journal what it began with. */
async function restoreFirstRecord(job: string): Promise<void> {
  const names = await readdir(state(), { recursive: true });
  const journal = names.find((name) => name.includes(job) && name.endsWith(".jsonl") && !name.startsWith("jobs"));
  if (journal === undefined) throw new Error(`no journal in ${names.join(", ")}`);
  const [first] = (await readFile(join(state(), journal), "utf8")).split("\n");
  await writeFile(join(state(), journal), `${first}\n`);
  await rm(join(state(), "jobs", job, "results.jsonl"));
}

describe("a job whose state has gone back in time", () => {
  it("takes up the runs that it had started, from the platform's rows", async () => {
    const backup = backUp(2);
    const done = await doJob();
    expect(done.code).toBe(0);
    await restore(backup);
    const resumed = await resume();
    expect(resumed.code).toBe(0);
    // The third was under way: it is found by its intent.
    expect(resumed.stderr.match(/this job had started the run already/g)).toHaveLength(TARGETS - 3);
    expect(operator.starts).toHaveLength(TARGETS);
    const started = await rows();
    expect(started).toHaveLength(TARGETS);
    const items = (await operator.report())?.items ?? [];
    for (const { instanceId, runId, attached } of items) {
      expect({ runId, attached }).toEqual({
        runId: started.find((row) => row.instance_id === instanceId)?.id,
        attached: false,
      });
    }
    // The auditor finds each with its run.
    const { stdout } = await operator.do("audit", "verify", "--json");
    const checks = z
      .array(z.looseObject({ runId: z.string().nullable(), verdict: z.string() }))
      .parse(JSON.parse(stdout));
    const ours = checks.filter(({ runId }) => started.some(({ id }) => id === runId));
    expect(ours.map(({ verdict }) => verdict)).toEqual(started.map(() => "verified"));
    expect((await resume("--wait")).code).toBe(0);
    expect((await resume()).stderr).toContain("nothing is left to do");
    expect(operator.starts).toHaveLength(TARGETS);
  });

  it("does so where its journal is cut and its results are gone", async () => {
    const done = await doJob();
    await restoreFirstRecord(jobOf(done));
    const resumed = await resume("--wait");
    expect(resumed.code).toBe(0);
    expect(operator.starts).toHaveLength(TARGETS);
    expect(new Set(await states())).toEqual(new Set(["completed"]));
  });

  it("leaves to a person which of several runs is its own, and sends nothing there, whatever it is told", async () => {
    const done = await doJob("--wait");
    const job = jobOf(done);
    const email = loadCustomer(customers[0]?.number ?? 0).person.email;
    const [first] = await desk.rows(email);
    const twin = await desk.startRun(email, prompt);
    await restoreFirstRecord(job);
    const resumed = await resume("--resend-unknown", "--yes");
    expect(resumed.code).toBe(9);
    const [item] = (await operator.report())?.items ?? [];
    expect(item).toMatchObject({ state: "unknown", runId: null });
    for (const id of [first?.id ?? "none", twin]) expect(item?.problem).toContain(id);
    expect(operator.starts).toHaveLength(TARGETS);
    const other = (await rows()).find(({ user_email: user }) => user !== email)?.id ?? "";
    const wrong = await resume("--adopt", other);
    expect(wrong).toMatchObject({ code: 2, stdout: "" });
    expect(wrong.stderr).toMatch(/is not adopted: it is on record as operation/);
    const decided = await resume("--adopt", twin);
    expect(decided.code).toBe(0);
    expect((await operator.report())?.items[0]).toMatchObject({ state: "completed", runId: twin });
    expect(operator.starts).toHaveLength(TARGETS);
  });
});
