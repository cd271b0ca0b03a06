/**
 * A job goes from one machine to another as a file. What was started is then told by the platform's rows (see
 * `execute/adoption.ts`): the file may be old, may be imported twice, and the first machine may go on as well. That a job was handed
 * over stands in its journal before the file is made, so that this holds on either side.
 */
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { isSamePlatform, type PlatformIdentity } from "../../api/origin.ts";
import { CliError, messageOf } from "../../errors.ts";
import { systemFiles } from "../../files/file-layer.ts";
import { writeWholeFile } from "../../files/whole-file.ts";
import { claimJournal, takeOverCommand } from "../../journal/claim.ts";
import {
  allJournals,
  journalName,
  openFolder,
  openPath,
  secureFolder,
  type JournalFile,
} from "../../journal/folder.ts";
import type { Journal } from "../../journal/journal.ts";
import { recordsInBytes } from "../../journal/read.ts";
import { command, hint, type Hint } from "../../typed-command.ts";
import { readExchange, writeExchange, type ExportedJob } from "./exchange.ts";
import { foreignPlan, readJobFiles, writeJobFiles, type StoredPlan } from "./files.ts";
import { EXPORT, JobRecords, type IMPORT, type JobRecord } from "./records.ts";

/** Notes in a job's journal that it is handed over. @throws CliError `local-state` */
export async function noteHandover(journal: Journal, decision: typeof EXPORT | typeof IMPORT): Promise<void> {
  const nobody = { userId: "", instanceId: null, runId: null };
  await journal.append({ kind: "override", op: journal.id, ...nobody, decision });
}

/**
 * The file in which a job goes to another machine.
 *
 * @param journal the job's, which nobody else writes meanwhile.
 * @throws CliError `local-state`
 */
export async function exportJob(stateDirectory: string, journal: Journal): Promise<Buffer> {
  await noteHandover(journal, EXPORT);
  const { plan, results } = await readJobFiles(stateDirectory, journal.id);
  return writeExchange({
    id: journal.id,
    journal: await readFile(journal.path),
    plan,
    // A crash may have torn a character of its last line, which counts for nothing.
    results: Buffer.from(results.toString("utf8")),
  });
}

/** A job that came in a file. */
export interface ImportedJob {
  readonly file: JournalFile;
  readonly record: JobRecord;
  /** It was here already, with all that the file has. */
  readonly known: boolean;
}

/**
 * Takes over a job from such a file. Nothing is sent, and no command, path or profile is taken from it.
 *
 * @param platform the one that is meant here.
 * @param pid this process.
 * @throws CliError `usage` when the file is none, damaged, changed, or of another platform; `conflict` when there is a job of this
 *   ID with other content, or a process is at it; `local-state`
 */
export async function importJob(
  stateDirectory: string,
  bytes: Buffer,
  { platform, pid }: { readonly platform: PlatformIdentity; readonly pid: number },
): Promise<ImportedJob> {
  const exported = await readExport(bytes).catch((error: unknown) => {
    if (!(error instanceof CliError)) throw error;
    throw new CliError(error.kind, `${error.message}; nothing was imported`, { hint: error.hints, cause: error });
  });
  const { id, journal, record } = exported;
  if (!isSamePlatform(record, platform)) throw otherPlatform(record, platform);
  const name = journalName(new Date(record.at), record.action, id);
  const path = openPath(stateDirectory, name);
  await secureFolder(stateDirectory, openFolder(stateDirectory));
  const claim = await claimJournal(path, { pid, op: id }, takeOverCommand(id));
  try {
    const here = (await allJournals(stateDirectory)).find((one) => one.id === id);
    if (here) {
      await assertSame(here, journal);
      return { file: here, record, known: true };
    }
    await writeJobFiles(stateDirectory, id, exported);
    // Last: without it there is no such job.
    await writeWholeFile(path, journal);
    await systemFiles.syncDirectory(openFolder(stateDirectory));
    return { file: { id, name, path, stateDirectory }, record, known: false };
  } finally {
    await claim.release();
  }
}

/** A job as such a file has it. */
export interface Exported extends ExportedJob {
  readonly records: JobRecords;
  /** The record with which it begins. */
  readonly record: JobRecord;
  readonly stored: StoredPlan;
}

/**
 * Reads such a file, and looks whether what came is sound: the chain of its journal, and the plan that this vouches for.
 *
 * @throws CliError `usage` when it is none, damaged or changed.
 */
export async function readExport(bytes: Buffer): Promise<Exported> {
  const exported = readExchange(bytes);
  const { id, journal, plan } = exported;
  const records = new JobRecords();
  try {
    for await (const record of recordsInBytes("in the file", journal, { onTorn: refuseTorn })) records.note(record);
    const { job, handedOver } = records;
    if (job?.op !== id || !handedOver) throw new Error("its journal is not that of an exported job");
    return { ...exported, records, record: job, stored: vouchedPlan(plan, job) };
  } catch (error) {
    throw new CliError("usage", `the file is refused: ${messageOf(error)}`, {
      hint: "have the job exported again",
      cause: error,
    });
  }
}

/** A plan that comes from elsewhere, if the job's record vouches for it. @throws Error */
export function vouchedPlan(plan: Buffer, { settings, total }: JobRecord): StoredPlan {
  if (settings["plan"] !== createHash("sha256").update(plan).digest("hex")) {
    throw new Error("its plan is not the one that its journal tells of");
  }
  const stored = foreignPlan(plan);
  if (stored.targets.length !== total) throw new Error("its plan is not complete");
  return stored;
}

function refuseTorn(): never {
  throw new Error("the end of its journal is torn");
}

function otherPlatform({ op, origin, sandbox }: JobRecord, platform: PlatformIdentity): CliError {
  const own = sandbox && platform.sandbox ? "another sandbox" : origin;
  return new CliError("usage", `job ${op} belongs to ${own}, not to ${platform.origin}; nothing was imported`, {
    hint: "name the profile that leads there: --profile NAME",
  });
}

/** What is here may have gone on since; what came may not have. */
async function assertSame({ id, path }: JournalFile, journal: Buffer): Promise<void> {
  const here = await readFile(path);
  if (here.subarray(0, journal.length).equals(journal)) return;
  const resume: Hint = command("jobs resume", id);
  throw new CliError("conflict", `job ${id} is here already, with other content; nothing was imported`, {
    hint: hint`resume the one that is here, which finds what was started elsewhere: ${resume}`,
    sent: false,
  });
}
