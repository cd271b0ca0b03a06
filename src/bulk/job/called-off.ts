/** A job that was called off: its process starts nothing more, whichever terminal it belongs to. A file in its folder says so. */
import { open, rm } from "node:fs/promises";
import { join } from "node:path";
import { systemFiles } from "../../files/file-layer.ts";
import { isMissing } from "../../files/missing.ts";
import { folderOf, orLocalState } from "./files.ts";

/** Why nothing more is started, in words. */
export const CALLED_OFF = "it was cancelled with jobs cancel";

const pathOf = (stateDirectory: string, jobId: string) => join(folderOf(stateDirectory, jobId), "called-off");

/**
 * Calls a job off, there even after a power cut. Its process looks before every start.
 *
 * @throws CliError `local-state`
 */
export async function callOff(stateDirectory: string, jobId: string): Promise<void> {
  const path = pathOf(stateDirectory, jobId);
  await orLocalState(path, async () => {
    const file = await open(path, "a", 0o600);
    try {
      await file.sync();
    } finally {
      await file.close();
    }
    await systemFiles.syncDirectory(folderOf(stateDirectory, jobId));
  });
}

/**
 * Whether a job was called off, and not resumed since.
 *
 * @throws CliError `local-state` when that cannot be found out: then nothing is to be started.
 */
export async function isCalledOff(stateDirectory: string, jobId: string): Promise<boolean> {
  const path = pathOf(stateDirectory, jobId);
  return orLocalState(path, async () => {
    try {
      await systemFiles.facts(path);
      return true;
    } catch (error) {
      if (isMissing(error)) return false;
      throw error;
    }
  });
}

/** Lets a job that was called off go on. @throws CliError `local-state` */
export async function takeUpAgain(stateDirectory: string, jobId: string): Promise<void> {
  const path = pathOf(stateDirectory, jobId);
  await orLocalState(path, () => rm(path, { force: true }));
}
