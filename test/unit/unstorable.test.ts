/** A run whose end the platform cannot store: read from the platform's own words, whatever the customer wrote in between. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ApiError, foreign, refusal } from "../../src/api/api-error.ts";
import type { Api } from "../../src/api/api.ts";
import { admin } from "../../src/contract/procedures.ts";
import { cancelRun } from "../../src/runs/cancel/cancel.ts";
import { startedRun, type Run } from "../../src/runs/run.ts";
import { pollRun, settleRuns } from "../../src/runs/settle/settle.ts";
import { unstorableEnd } from "../../src/runs/settle/unstorable.ts";
import { SYSTEM_TIMING } from "../../src/timing.ts";

const procedure = admin.getKiloCliRunStatus.path;
const RUN: Run = startedRun({
  id: "f1fadb86-559e-4c1e-a8db-5fc7a1dc3f60",
  userId: "f0000000-0000-4000-8000-000000000001",
  userEmail: null,
  instanceId: "d0000000-0000-4000-8000-000000000015",
  initiatedBy: "admin",
  initiatedByAdminId: null,
  initiatedByAdminEmail: null,
  prompt: "nul",
  startedAt: new Date("2026-11-30T20:09:56.269Z"),
});
const recorded = (name: string) => {
  const path = join(import.meta.dirname, "../fixtures/recorded", `${name}.json`);
  const { response } = JSON.parse(readFileSync(path, "utf8")) as {
    response: { status: number; body: { error: { message: string } } };
  };
  return response.body.error.message;
};
const failed = (message: string) => refusal(500, message, { procedure, trpcCode: "INTERNAL_SERVER_ERROR" });
const TEXT = recorded("status-45-nul-in-output-finished");
const [HEAD = ""] = /^[^\n]*\nparams: /.exec(TEXT) ?? [];
const TAIL = `,2026-11-30T20:09:57.486Z,${RUN.id},${RUN.userId},running,${RUN.instanceId}`;

const platform = (...answers: ApiError[]) => {
  const at: number[] = [];
  const query = async ({ path }: { path: string }) => {
    if (path !== procedure) return { workerStatus: { status: "running" }, workerStatusError: null };
    at.push(performance.now());
    throw answers.shift() ?? failed("no answer is left");
  };
  return { at, api: { query, timing: SYSTEM_TIMING } as unknown as Api };
};

const status = (value: "running" | "cancelled") => ({
  hasRun: true,
  status: value,
  output: "so far",
  exitCode: null,
  startedAt: new Date(0),
  completedAt: null,
  prompt: "",
  initiatedBy: "admin",
});

describe("the end of a run that cannot be stored", () => {
  it("is read from a recorded answer", () => {
    const end = unstorableEnd(failed(TEXT), RUN);
    expect(end).toMatchObject({ status: "completed", exitCode: 0, completedAt: new Date("2026-11-30T20:09:57.486Z") });
    expect(end?.output).toMatch(/^kilo \(fake\) starting pid=\d+\n[^]*before\0after\nkilo \(fake\) done exit=0\n$/);
    expect(unstorableEnd(failed(recorded("status-45b-second-poll")), RUN)?.text).toBe(end?.text);
  });

  it.each([
    ["failed,3,", { status: "failed", exitCode: 3 }],
    ["failed,,", { status: "failed", exitCode: null }],
  ])("may be %s", (front, expected) => {
    expect(unstorableEnd(failed(`${HEAD}${front}a\0b${TAIL}`), RUN)).toMatchObject({ ...expected, output: "a\0b" });
  });

  it("keeps whatever the customer wrote, also what looks like the platform's own words", () => {
    const piece = fc.oneof(
      fc.string({ unit: "binary" }),
      fc.constantFrom("\0", "\nparams: failed,137,", TAIL, HEAD, ",", "\n", ",running,", ",2020-01-01T00:00:00.000Z"),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 8 }), fc.array(piece, { maxLength: 8 }), (before, after) => {
        const output = `${before.join("")}\0${after.join("")}`;
        const end = unstorableEnd(failed(`${HEAD}completed,0,${output}${TAIL}`), RUN);
        expect(end).toMatchObject({ status: "completed", exitCode: 0, output });
      }),
    );
  });

  it.each([
    ["an output without a NUL", failed(`${HEAD}completed,0,fine${TAIL}`)],
    ["a NUL in the statement only", failed(`${HEAD.replace("set", "set\0")}completed,0,fine${TAIL}`)],
    ["another run", failed(TEXT.replace(RUN.id, "f1fadb86-559e-4c1e-a8db-5fc7a1dc3f61"))],
    ["another user", failed(TEXT.replace(RUN.userId, "f0000000-0000-4000-8000-000000000002"))],
    ["another instance", failed(TEXT.replace(RUN.instanceId ?? "", "d0000000-0000-4000-8000-000000000016"))],
    ["another statement", failed(TEXT.replace("update", "select"))],
    ["a status that is no end", failed(`${HEAD}running,0,a\0b${TAIL}`)],
    ["words before it", failed(`Failed to cancel kilo CLI run: ${TEXT}`)],
    ["a text that was cut", failed(TEXT.slice(0, -1))],
    ["another status", refusal(503, TEXT, { procedure, trpcCode: "X" })],
    ["an answer that is not the platform's", foreign(procedure, 500, "a page", { detail: TEXT })],
  ])("is not told by %s", (_, error) => {
    expect(unstorableEnd(error, RUN)).toBeUndefined();
  });
});

describe("a poll", () => {
  it("believes it when it comes twice, two seconds apart", async () => {
    const { api, at } = platform(failed(TEXT), failed(TEXT));
    const { run, status, unstorable } = await pollRun(api, RUN);
    expect({ unstorable, status: run.status, exitCode: run.exitCode, unknown: run.outcomeUnknown }).toEqual({
      unstorable: true,
      status: "completed",
      exitCode: 0,
      unknown: false,
    });
    expect(status.output).toContain("\0");
    expect((at[1] ?? 0) - (at[0] ?? 0)).toBeGreaterThanOrEqual(1_990);
  });

  it("does not believe it when it comes once, or changes", async () => {
    const once = platform(failed(TEXT), failed("fetch failed"));
    await expect(pollRun(once.api, RUN)).rejects.toThrow("fetch failed");
    const changed = platform(failed(TEXT), failed(TEXT.replace("before", "after")));
    await expect(pollRun(changed.api, RUN)).rejects.toBeInstanceOf(ApiError);
  });

  it("stops waiting when it is told to", async () => {
    const stop = AbortSignal.timeout(50);
    await expect(pollRun(platform(failed(TEXT)).api, RUN, { signal: stop })).rejects.toBeInstanceOf(ApiError);
  });
});

describe("a list that is brought up to date", () => {
  it("asks about a run that failed without an exit code: only its output tells whether its machine lost it", async () => {
    const asked: unknown[] = [];
    const query = async ({ path }: { path: string }, input: { runId: string }) => {
      if (path !== procedure) throw new Error(path);
      asked.push(input.runId);
      return {
        hasRun: true,
        status: "failed",
        output: "[run state unavailable: controller no longer has an active CLI run for this record]",
        exitCode: null,
        startedAt: new Date(0),
        completedAt: new Date(0),
        prompt: "",
        initiatedBy: "admin",
      };
    };
    const row: Run = { ...RUN, status: "failed", exitCode: null };
    const { runs } = await settleRuns({ query, timing: SYSTEM_TIMING } as unknown as Api, [
      row,
      { ...row, id: "another", exitCode: 1 },
    ]);
    expect(asked).toEqual([RUN.id]);
    expect(runs.map(({ outcomeUnknown }) => outcomeUnknown)).toEqual([true, false]);
  });
});

describe("a cancel", () => {
  const machine = {
    id: RUN.instanceId,
    user_id: RUN.userId,
    user_email: null,
    organization_id: null,
    sandbox_id: "s",
    lifecycle_state: "active",
    tracked_image_tag: null,
    created_at: new Date(0),
    destroyed_at: null,
    workerStatus: { status: "running" },
    workerStatusError: null,
  };

  it("is not sent before the output is kept", async () => {
    const order: string[] = [];
    const api = {
      query: async ({ path }: { path: string }) =>
        path === procedure ? status(order.includes("sent") ? "cancelled" : "running") : machine,
      mutate: async () => {
        order.push("sent");
        return { ok: true };
      },
      timing: SYSTEM_TIMING,
    } as unknown as Api;
    let kept: (() => void) | undefined;
    const keeping = new Promise<void>((resolve) => (kept = resolve));
    const cancelling = cancelRun(api, RUN, {
      force: false,
      stop: new AbortController().signal,
      keepOutput: async (output) => {
        order.push(output);
        await keeping;
        order.push("kept");
      },
    });
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(order).toEqual(["so far"]);
    kept?.();
    expect(await cancelling).toMatchObject({ run: { status: "cancelled" }, alreadyEnded: false });
    expect(order).toEqual(["so far", "kept", "sent"]);
  });

  it("says that its answer was lost where another look had to tell what became of the run", async () => {
    let sent = 0;
    const lost = refusal(500, "fetch failed", { procedure, trpcCode: "INTERNAL_SERVER_ERROR" });
    const api = {
      query: async ({ path }: { path: string }) =>
        path === procedure ? status(sent > 0 ? "cancelled" : "running") : machine,
      mutate: async () => {
        sent += 1;
        throw lost;
      },
      timing: SYSTEM_TIMING,
    } as unknown as Api;
    const options = { force: false, stop: new AbortController().signal, keepOutput: async () => undefined };
    expect(await cancelRun(api, RUN, options)).toMatchObject({ run: { status: "cancelled" }, lost });
    expect(sent).toBe(1);
  });
});
