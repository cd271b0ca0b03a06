/** What one shift leaves to the next: what is open on the platform, and on this machine. */
import type * as z from "zod";
import type { Api } from "../api/api.ts";
import { isSamePlatform, type PlatformIdentity } from "../api/origin.ts";
import { loggedOperations } from "../audit/operation.ts";
import { totalsWords } from "../bulk/item-state.ts";
import { jobJournals, jobRecord } from "../bulk/job/job.ts";
import { summaryOf } from "../bulk/job/summary.ts";
import { CliError } from "../errors.ts";
import type { Ledger } from "../journal/ledger.ts";
import { listRuns } from "../runs/list.ts";
import { initiator, type Run } from "../runs/run.ts";
import { settleRuns } from "../runs/settle/settle.ts";
import type { openPointShape } from "../shapes/record.ts";
import { command, type Hint } from "../typed-command.ts";

/** Something that the next shift has to know of. The names are the JSON output's: a public interface. */
export type OpenPoint = Readonly<Omit<z.output<typeof openPointShape>, "next">> & { readonly next: Hint };

/** The kinds of open points in the order in which they are to be read, each in words for one and for several. */
const KINDS = {
  "open-start": ["start with unknown outcome", "starts with unknown outcome"],
  unknown: ["run with unknown outcome", "runs with unknown outcome"],
  running: ["run in progress", "runs in progress"],
  failed: ["run that failed and was not retried", "runs that failed and were not retried"],
  job: ["job of this machine that is not finished", "jobs of this machine that are not finished"],
} as const satisfies Record<OpenPoint["kind"], readonly [one: string, several: string]>;

const ORDER = Object.keys(KINDS) as readonly OpenPoint["kind"][];

/** A number of points of a kind, in words. */
export function countOf(kind: OpenPoint["kind"], count: number): string {
  return `${count} ${KINDS[kind][count === 1 ? 0 : 1]}`;
}

/** The points of each kind that there are any of, in order; of each kind the oldest first. */
export function byKind(points: readonly OpenPoint[]): (readonly [OpenPoint["kind"], readonly OpenPoint[]])[] {
  return ORDER.flatMap((kind) => {
    const of = points.filter((point) => point.kind === kind).toSorted((a, b) => a.at.getTime() - b.at.getTime());
    return of.length === 0 ? [] : [[kind, of] as const];
  });
}

/** When a point began, and who began it, in words. */
export function began({ kind, by, ticket }: OpenPoint, when: string): string {
  const verb = kind === "open-start" ? "sent" : kind === "job" ? "begun" : "started";
  return [`${verb} ${when}${by === null ? "" : ` by ${by}`}`, ...(ticket === null ? [] : [ticket])].join(", ");
}

/** Whose or what a point is, in words. */
export function subjectOf({ kind, userEmail, userId, jobId }: OpenPoint): string {
  return kind === "job" ? `job ${jobId}` : (userEmail ?? userId ?? "-");
}

const NOTHING = {
  userId: null,
  userEmail: null,
  instanceId: null,
  runId: null,
  jobId: null,
  op: null,
  by: null,
  ticket: null,
} as const;

/** A text in one line. */
const inLine = (text: string) => text.replaceAll(/\s+/g, " ").trim();

/**
 * The runs that admins have started and that somebody has to look after: those in progress, however old, and those that have failed, or
 * whose outcome is lost, where no newer run was started on the instance. Asks for the status of those that are shown as running, as any
 * list does.
 *
 * @param since only what has failed since, by the platform's clock; asked for once the platform has answered.
 * @throws ApiError
 */
export async function openRuns(api: Api, since: () => Date): Promise<OpenPoint[]> {
  const runs = new Map<string, Run>();
  for await (const run of listRuns(api, { status: "running", initiatedBy: "admin" }, Infinity)) runs.set(run.id, run);
  for await (const run of listRuns(api, { since }, Infinity)) runs.set(run.id, run);
  const newest = new Map<string | null, Date>();
  for (const { instanceId, startedAt } of runs.values()) {
    const known = newest.get(instanceId);
    if (!known || known < startedAt) newest.set(instanceId, startedAt);
  }
  const ours = [...runs.values()].filter(({ initiatedBy }) => initiatedBy === "admin");
  const isNewest = ({ instanceId, startedAt }: Run) => instanceId === null || newest.get(instanceId) === startedAt;
  const settled = await settleRuns(
    api,
    ours.filter((run) => run.status === "running" || isNewest(run)),
  );
  const stopped = new Set(settled.machineDown.map(({ id }) => id));
  return settled.runs.flatMap((run) => {
    if (run.status === "running") return [stopped.has(run.id) ? onStopped(run) : inProgress(run)];
    return run.status === "failed" ? [failed(run)] : [];
  });
}

function pointOf(run: Run): Omit<OpenPoint, "kind" | "detail" | "next"> {
  const { id: runId, userId, userEmail, instanceId, startedAt: at } = run;
  return { ...NOTHING, at, userId, userEmail, instanceId, runId, by: initiator(run) };
}

function inProgress(run: Run): OpenPoint {
  const detail = inLine(run.prompt);
  return { ...pointOf(run), kind: "running", detail, next: command("runs watch", run.id) };
}

function onStopped(run: Run): OpenPoint {
  const detail = `its machine is stopped: ${inLine(run.prompt)}`;
  return { ...pointOf(run), kind: "running", detail, next: command("runs diagnose", run.id) };
}

function failed(run: Run): OpenPoint {
  const prompt = inLine(run.prompt);
  if (run.outcomeUnknown) {
    return { ...pointOf(run), kind: "unknown", detail: prompt, next: command("runs diagnose", run.id) };
  }
  const detail = run.exitCode === null ? prompt : `exit code ${run.exitCode}: ${prompt}`;
  return { ...pointOf(run), kind: "failed", detail, next: command("runs retry", run.id) };
}

/** The starts that this machine has sent to this platform without their end being known. @throws CliError `local-state` */
export async function openStarts(api: Api, ledger: Ledger): Promise<OpenPoint[]> {
  return (await ledger.open()).flatMap(({ intent, writer }): OpenPoint[] => {
    const { op, userId, instanceId, adminId, adminEmail, ticket } = intent;
    if (intent.action !== "start") return [];
    return [
      {
        ...NOTHING,
        kind: "open-start",
        at: api.clock.toPlatform(new Date(intent.at)),
        userId,
        instanceId,
        op,
        by: adminEmail ?? adminId,
        ticket,
        detail: writer ? `process ${writer.pid} is at it` : "its answer was lost; it may have started a run",
        next: command("runs reconcile", op),
      },
    ];
  });
}

/**
 * The jobs of this machine on this platform that are not finished, whenever they were begun.
 *
 * @param onUnreadable told of a job that cannot be read, which hides none of the others.
 */
export async function openJobs(
  stateDirectory: string,
  platform: PlatformIdentity,
  onUnreadable: (why: string) => void,
): Promise<OpenPoint[]> {
  const points: OpenPoint[] = [];
  for (const file of await jobJournals(stateDirectory)) {
    try {
      const { state, totals, ticket, adminEmail, createdAt: at } = await summaryOf(file);
      if (state === "done") continue;
      const record = await jobRecord(file);
      if (!isSamePlatform(record, platform)) continue;
      const next = command(state === "running" ? "jobs watch" : "jobs resume", file.id);
      const detail = `${state}: ${totalsWords(totals)}`;
      points.push({
        ...NOTHING,
        kind: "job",
        at,
        jobId: file.id,
        by: adminEmail ?? record.adminId,
        ticket,
        detail,
        next,
      });
    } catch (error) {
      if (!(error instanceof CliError)) throw error;
      onUnreadable(error.message);
    }
  }
  return points;
}

/** The tickets under which runs were started from this machine, by run. Reads every journal. */
export async function ticketsOfRuns(
  stateDirectory: string,
  platform: PlatformIdentity,
): Promise<ReadonlyMap<string, string>> {
  const tickets = new Map<string, string>();
  for await (const { runId, ticket } of loggedOperations(
    stateDirectory,
    { platform, action: "start" },
    { onDamaged: leaveToVerify },
  )) {
    if (runId !== null && ticket !== null) tickets.set(runId, ticket);
  }
  return tickets;
}

/** What a damaged journal had of it is not known here; `audit verify` says so. */
function leaveToVerify(): void {}
