/** A customer's own instance, or the one in an organization: where its pages are, and the procedures that act on it. */
import type { Context } from "hono";
import * as z from "zod";
import type { Instance } from "../../database/schema.ts";
import { findMemberInstance, findPersonalInstance, machineOf } from "../../platform/instances.ts";
import type { Services } from "../../rpc/init.ts";
import type { AccountEnv } from "./env.ts";
import { type Row, type RunAnswer, type ShownRun, shownRun } from "./runs.ts";

export interface Side {
  /** In front of the paths of its pages. */
  readonly path: string;
  readonly title: string;
  readonly instance: Instance | undefined;
  readonly runs: Runs;
}

/** The procedures: `kiloclaw.*` or `organizations.kiloclaw.*`. */
interface Runs {
  readonly start: (prompt: string) => Promise<{ id: string }>;
  readonly status: (runId: string) => Promise<RunAnswer>;
  readonly cancel: (runId: string) => Promise<{ ok: boolean }>;
  readonly list: () => Promise<{ runs: ReadonlyArray<Row & { readonly instance_id: string | null }> }>;
}

export interface SideEnv {
  Variables: AccountEnv["Variables"] & { side: Side };
}

/** What the page at `path` is about. */
export async function sideOf(
  { api, frame }: Pick<AccountEnv["Variables"], "api" | "frame">,
  { database }: Services,
  organizationId: string | undefined,
): Promise<Side> {
  const { id: userId } = frame.user;
  if (organizationId === undefined) {
    const { kiloclaw } = api;
    return {
      path: "/claw",
      title: "My instance",
      instance: await findPersonalInstance(database, userId),
      runs: {
        start: (prompt) => kiloclaw.startKiloCliRun({ prompt }),
        status: (runId) => kiloclaw.getKiloCliRunStatus({ runId }),
        cancel: (runId) => kiloclaw.cancelKiloCliRun({ runId }),
        list: () => kiloclaw.listKiloCliRuns({}),
      },
    };
  }
  const { kiloclaw } = api.organizations;
  return {
    path: `/organizations/${organizationId}/claw`,
    title: "My instance in the organization",
    instance: await findMemberInstance(database, { userId, organizationId }),
    runs: {
      start: (prompt) => kiloclaw.startKiloCliRun({ organizationId, prompt }),
      status: (runId) => kiloclaw.getKiloCliRunStatus({ organizationId, runId }),
      cancel: (runId) => kiloclaw.cancelKiloCliRun({ organizationId, runId }),
      list: () => kiloclaw.listKiloCliRuns({ organizationId }),
    },
  };
}

/** The address of a run's page. */
export function addressOf({ var: { frame, side } }: Context<SideEnv>, { id }: { id: string }): string {
  return `${frame.root}${side.path}/kilo-cli-run/${id}`;
}

/** The newest runs of this side's instance, newest first; one in progress is asked about, as it may have ended. */
export async function runsOf({ runs, instance }: Side): Promise<ShownRun[]> {
  if (!instance) return [];
  const rows = (await runs.list()).runs.filter((row) => row.instance_id === instance.id);
  return Promise.all(rows.map((row) => shownRun(row, () => runs.status(row.id))));
}

export async function runInProgress(side: Side): Promise<ShownRun | undefined> {
  return (await runsOf(side)).find(({ status }) => status === "running");
}

/** A run by its ID. Where its status cannot be read, it is what is on record, if it is among the newest. */
export async function findRun({ runs }: Side, id: string): Promise<ShownRun | undefined> {
  if (!z.uuid().safeParse(id).success) return undefined;
  try {
    const { hasRun, status, prompt, initiatedBy, ...rest } = await runs.status(id);
    if (!hasRun || status === null || prompt === null) return undefined;
    return { ...rest, id, status, prompt, initiatedBy: initiatedBy ?? "user" };
  } catch (error) {
    const row = (await runs.list()).runs.find((listed) => listed.id === id);
    if (!row) throw error;
    return shownRun(row, () => Promise.reject(error));
  }
}

/** Who started a run: a customer is not told which admin. */
export function starterOf({ initiatedBy }: Pick<ShownRun, "initiatedBy">): string {
  return initiatedBy === "admin" ? "an admin" : "you";
}

/** The status of an instance's machine, in the worker's word. */
export async function machineStatus({ worker }: Services, instance: Instance): Promise<string> {
  const call = { procedure: "kiloclaw.getStatus", userId: instance.user_id, instanceId: instance.id };
  const { workerStatus } = await machineOf(worker, instance, call);
  if (workerStatus === null) return "unknown";
  return z.object({ status: z.string() }).safeParse(workerStatus).data?.status ?? "gone";
}

/** Whether the machine will run by itself. */
export function isComing(machine: string): boolean {
  return ["starting", "restarting", "recovering"].includes(machine);
}

/** Why there can be no recovery now. */
export function waiting(machine: string): string {
  if (machine === "unknown") return "Whether the machine runs is not known just now. A recovery needs it to run.";
  return isComing(machine)
    ? "The machine is restarting. Wait until it runs."
    : "The machine does not run. A recovery needs it to run.";
}
