/**
 * Jobs that are not among this machine's: in a folder that has another machine's state, or in the file of an export. For reports:
 * nothing is written there, and no process is at work on what is a copy.
 */
import { readFile, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { CliError, messageOf } from "../../errors.ts";
import { systemFiles } from "../../files/file-layer.ts";
import { isMissing } from "../../files/missing.ts";
import { assertOwnFile } from "../../files/own.ts";
import type { JournalFile } from "../../journal/folder.ts";
import { readJournal } from "../../journal/read.ts";
import { folderOf, orLocalState, readJobFiles, resultsIn } from "./files.ts";
import { readExport, vouchedPlan } from "./handover.ts";
import { jobJournals, jobOf, type Job } from "./job.ts";
import { JobRecords } from "./records.ts";

/**
 * The jobs at a path: the file of an export, a state folder or the folder above it, or the folder of one job in a state folder.
 *
 * @throws CliError `usage` when there is no job; `local-state` when others can change a file, or one is damaged.
 */
export async function jobsAt(path: string): Promise<Job[]> {
  const isFolder = await stat(path).then(
    (stats) => stats.isDirectory(),
    (error: unknown) => {
      throw new CliError("usage", `${path} cannot be read: ${messageOf(error)}`, { cause: error });
    },
  );
  if (!isFolder) return [await jobInExport(path)];
  const above = basename(dirname(path)) === "jobs" ? [dirname(dirname(path))] : [];
  for (const state of [path, join(path, "state"), ...above]) {
    const files = (await jobJournals(state)).filter(({ id }) => !above.includes(state) || folderOf(state, id) === path);
    const jobs = (await Promise.all(files.map(jobInState))).filter((job) => job !== undefined);
    if (jobs.length > 0) return jobs;
  }
  throw new CliError("usage", `there is no job in ${path}`, {
    hint: "name a folder with the folders jobs and journal in it, as the tool keeps them",
  });
}

/** `undefined`: its process came to its end before the job began. */
async function jobInState(file: JournalFile): Promise<Job | undefined> {
  const records = new JobRecords();
  for await (const record of readJournal(file)) records.note(record);
  const { job } = records;
  if (!job) return undefined;
  const { id, stateDirectory } = file;
  const folder = folderOf(stateDirectory, id);
  return orLocalState(folder, async () => {
    for (const name of ["plan.jsonl", "results.jsonl"]) await assertOwn(join(folder, name));
    const { plan, results } = await readJobFiles(stateDirectory, id);
    return jobOf(file, job, records, { plan: vouchedPlan(plan, job), results: resultsIn(results), working: false });
  });
}

async function assertOwn(path: string): Promise<void> {
  const facts = await systemFiles.facts(path).catch((error: unknown) => {
    if (!isMissing(error)) throw error;
  });
  if (facts) assertOwnFile(path, facts);
}

async function jobInExport(path: string): Promise<Job> {
  const bytes = await orLocalState(path, () => readFile(path));
  const { id, record, records, stored, results } = await readExport(bytes).catch((error: unknown) => {
    if (!(error instanceof CliError)) throw error;
    // Of many files, which one.
    throw new CliError(error.kind, `${path}: ${error.message}`, { hint: error.hints, cause: error });
  });
  const file = { id, name: basename(path), path, stateDirectory: dirname(path) };
  return jobOf(file, record, records, { plan: stored, results: resultsIn(results), working: false });
}
