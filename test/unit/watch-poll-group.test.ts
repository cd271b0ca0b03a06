/** Groups of runs that are asked about together, for as long as a watch may last. */
import { expect, it } from "vitest";
import { ApiError } from "../../src/api/api-error.ts";
import type { Api } from "../../src/api/api.ts";
import { admin } from "../../src/contract/procedures.ts";
import { startedRun } from "../../src/runs/run.ts";
import { Pace } from "../../src/runs/watch/pace.ts";
import { askTogether } from "../../src/runs/watch/poll-group.ts";
import { Schedule } from "../../src/runs/watch/schedule.ts";
import { WatchedRun } from "../../src/runs/watch/watched-run.ts";
import { leftOn } from "../support/left-on.ts";

const runOf = (id: string) =>
  startedRun({
    id,
    userId: "u",
    userEmail: null,
    instanceId: "i",
    initiatedBy: "admin",
    initiatedByAdminId: null,
    initiatedByAdminEmail: null,
    prompt: "",
    startedAt: new Date(0),
  });

/** A platform on which every second question is not answered. */
function halfDeaf(): Api {
  let asked = 0;
  const query = async ({ path }: { path: string }) => {
    if (path === admin.get.path) return { workerStatus: { status: "running" }, workerStatusError: null };
    asked += 1;
    if (asked % 2 === 0)
      throw new ApiError("unreachable", "no answer", { procedure: path, sent: true, transient: true });
    return { hasRun: true, status: "running", output: "", exitCode: null, completedAt: null, initiatedBy: "admin" };
  };
  return { query } as unknown as Api;
}

it("leave nothing behind on the watch's signal, however many there were", async () => {
  const stop = new AbortController();
  const { signal } = stop;
  const [schedule, pace, api] = [new Schedule<WatchedRun>(), new Pace(undefined), halfDeaf()];
  const runs = ["a", "b", "c"].map((id) => new WatchedRun(runOf(id), 0, pace, () => undefined));
  let back = 0;
  const ways = { api, schedule, pace, signal, back: () => (back += 1), wake: () => undefined };
  for (let turn = 0; turn < 50; turn++) await askTogether({ lane: "shared", group: runs }, ways);
  expect(back).toBe(150);
  expect(leftOn(signal)).toBe(0);
});
