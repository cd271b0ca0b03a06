import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { CliError, messageOf } from "../../errors.ts";
import { isMissing } from "../../files/missing.ts";
import { writerOf } from "../../journal/claim.ts";
import { allJournals, type JournalFile } from "../../journal/folder.ts";
import { readJournal } from "../../journal/read.ts";
import { isSeen } from "../../journal/record.ts";
import { command, hint } from "../../typed-command.ts";
import { isSendable, planned, type Item } from "../item.ts";
import type { JobFacts } from "../report/report.ts";
import { readPlan, readResults, type PlanHeader, type StoredPlan, type StoredResult } from "./files.ts";
import { JobRecords, markOf, type Ending, type JobMark, type JobRecord } from "./records.ts";
import { fromRecorded, type JobSettings } from "./settings.ts";

/** A job as it is on record. */
export interface Job {
  readonly file: JournalFile;
  readonly facts: JobFacts;
  readonly settings: JobSettings;
  readonly plan: PlanHeader;
  readonly mark: JobMark;
  /** One for each target, in the plan's order. */
  readonly items: Item[];
  /** See {@link JobRecords.sent}. */
  readonly sent: boolean;
}

/** The shortest beginning of a job's ID that is taken as one. */
const MIN_PREFIX_LENGTH = 8;

/** Whether the text can name a job of this machine. */
export function isJobName(text: string): boolean {
  return text.toLowerCase() === "@latest" || (text.length >= MIN_PREFIX_LENGTH && /^[0-9a-f-]{8,36}$/i.test(text));
}

/** The journals of this machine's jobs, oldest first. */
export async function jobJournals(stateDirectory: string): Promise<JournalFile[]> {
  const folder = join(stateDirectory, "jobs");
  const ids = await readdir(folder).catch((error: unknown) => {
    if (isMissing(error)) return [];
    throw new CliError("local-state", `the folder of this machine's jobs cannot be read: ${messageOf(error)}`, {
      hint: hint`see who may read it: ls -ld ${folder}`,
      cause: error,
    });
  });
  const known = new Set(ids);
  return (await allJournals(stateDirectory)).filter(({ id }) => known.has(id));
}

/**
 * Finds the job that `text` names: its ID, a unique beginning of it, or `@latest`.
 *
 * @throws CliError `not-found`, `ambiguous`, `usage`
 */
export async function findJob(stateDirectory: string, text: string): Promise<JournalFile> {
  const wanted = text.toLowerCase();
  if (!isJobName(text)) {
    throw new CliError("usage", `"${text}" is not a job ID`, {
      hint: hint`give the ID, its first ${MIN_PREFIX_LENGTH} or more characters, or @latest; see: ${command("jobs list")}`,
    });
  }
  const jobs = await jobJournals(stateDirectory);
  const found = wanted === "@latest" ? jobs.slice(-1) : jobs.filter(({ id }) => id.startsWith(wanted));
  const [job] = found;
  if (!job) {
    throw new CliError("not-found", wanted === "@latest" ? "this machine has no jobs" : `no job has the ID ${text}`, {
      hint: hint`see the jobs of this machine: ${command("jobs list")}`,
    });
  }
  if (found.length === 1) return job;
  throw new CliError("ambiguous", `"${text}" matches ${found.length} jobs`, {
    hint: found.map(({ id }) => id),
  });
}

/**
 * The record with which a job begins.
 *
 * @throws CliError `local-state` when there is none.
 */
export async function jobRecord(file: JournalFile): Promise<JobRecord> {
  for await (const record of readJournal(file)) {
    if (record.kind === "job") return record;
    break;
  }
  throw neverBegan(file);
}

/**
 * Reads a job: what was planned, what was sent, and what became of it.
 *
 * @throws CliError `local-state` when its journal or its plan is damaged, or is not a job's; `not-found`, `ambiguous`, `usage`
 *   as {@link findJob}.
 */
export async function loadJob(stateDirectory: string, text: string): Promise<Job> {
  return readJob(await findJob(stateDirectory, text));
}

/**
 * Reads the job of a journal.
 *
 * @throws CliError `local-state` as {@link loadJob}; `conflict` when a process has only begun it.
 */
export async function readJob(file: JournalFile): Promise<Job> {
  const records = new JobRecords();
  // Asked first: what a process finishes before it lets go is then read, too.
  const working = (await writerOf(file.path)) !== null;
  for await (const record of readJournal(file)) records.note(record);
  if (working && !records.job) throw new CliError("conflict", `job ${file.id} is just being created`);
  return assemble(file.stateDirectory, file, records, working);
}

/**
 * Puts a job together from what its journal says, its plan and its results.
 *
 * @param working a process is at it.
 * @throws CliError `local-state`
 */
export async function assemble(
  stateDirectory: string,
  file: JournalFile,
  records: JobRecords,
  working: boolean,
): Promise<Job> {
  const sha256 = records.job?.settings["plan"];
  if (!records.job || typeof sha256 !== "string") throw neverBegan(file);
  const plan = await readPlan(stateDirectory, file.id, sha256);
  return jobOf(file, records.job, records, { plan, results: readResults(stateDirectory, file.id), working });
}

interface Contents {
  readonly plan: StoredPlan;
  /** Oldest first. */
  readonly results: AsyncIterable<StoredResult> | Iterable<StoredResult>;
  /** A process is at it. */
  readonly working: boolean;
}

/** Puts a job together from what was read of it. */
export async function jobOf(
  file: JournalFile,
  job: JobRecord,
  records: JobRecords,
  { plan: { targets, ...plan }, results, working }: Contents,
): Promise<Job> {
  const items = targets.map(planned);
  for await (const { index, ...result } of results) {
    const item = items[index - 1];
    if (item) items[index - 1] = { ...item, ...result };
  }
  for (const [index, item] of items.entries()) {
    const { instanceId } = item.target;
    if (instanceId !== null && isSendable(item.target)) items[index] = onRecord(item, records.ending(instanceId));
  }
  const { profile, origin, ticket, reason, adminId, adminEmail = null, at } = job;
  const { invocations } = records;
  const settings = fromRecorded(job.settings);
  const state = working ? "running" : stateOfItems(items);
  const facts = {
    id: file.id,
    profile,
    origin,
    sandbox: job.sandbox ?? null,
    ticket,
    reason,
    adminId,
    adminEmail,
    state,
    invocations,
    createdAt: new Date(at),
    endedAt: working ? null : records.endedAt,
    asOf: working ? new Date() : (records.lastAt ?? new Date(at)),
    total: items.length,
    playbook: settings.playbook?.name ?? null,
    playbookSha256: settings.playbook?.sha256 ?? null,
  };
  const mark = markOf(file.id, job, records);
  return { file, facts, settings, plan, mark, items, sent: records.sent };
}

function neverBegan({ id, stateDirectory }: JournalFile): CliError {
  return new CliError("local-state", `job ${id} was interrupted before it started: nothing was sent`, {
    hint: `start it again; to remove it: rm -r ${join(stateDirectory, "jobs", id)}`,
  });
}

/** The item with what the journal says of it, where that is more than what was kept. */
function onRecord(item: Item, ending: Ending | "sent" | undefined): Item {
  const isOpen = ending !== undefined && (ending === "sent" || !ending.settled);
  // Without a run of its own it is not decided as long as a start that was sent is not: a later one may have been refused.
  const undecided =
    ["waiting", "starting", "unknown"].includes(item.state) ||
    (item.runId === null && ending !== undefined && (isOpen || ending.runId !== null));
  if (!undecided) return item;
  if (ending === undefined) return item.state === "starting" ? { ...item, state: "waiting" } : item;
  if (ending === "sent")
    return { ...item, state: "unknown", problem: "a start was sent, and its outcome is not on record" };
  const { result, runId, at } = ending;
  if (runId !== null) {
    const attached = item.attached || isSeen(result);
    return { ...item, state: "running", runId, attached, startedAt: item.startedAt ?? at, problem: null };
  }
  switch (result) {
    // Nothing has happened.
    case "refused":
      return { ...item, state: "waiting" };
    case "machine-down":
      return { ...item, state: "machine-down" };
    case "conflict":
      return { ...item, state: "skipped", problem: item.problem ?? "another run was in progress" };
    default:
      return { ...item, state: "unknown", problem: item.problem ?? `on record as ${result}` };
  }
}

/**
 * - `stopped`: there are targets to which nothing was sent.
 * - `open`: everything was sent, and not every run is known to have ended, or it is not known whether there is one.
 * - `done`
 */
export function stateOfItems(items: readonly Item[]): "stopped" | "open" | "done" {
  if (items.some(({ state }) => state === "waiting")) return "stopped";
  return items.some(({ state }) => state === "running" || state === "unknown") ? "open" : "done";
}
