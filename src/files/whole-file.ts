import { lstat, realpath, writeFile } from "node:fs/promises";
import { CliError, messageOf } from "../errors.ts";

/**
 * Writes a file that a user has named, for that user only, whole or not at all: what was there before stays until all of the new
 * one is on the disk. What is no plain file, such as a pipe, is written to as it is.
 *
 * @throws CliError `local-state`
 */
export async function writeWholeFile(path: string, content: string | Buffer): Promise<void> {
  const mode = 0o600;
  try {
    if (await isNoPlainFile(path)) return await writeFile(path, content, { mode });
    const { default: writeFileAtomic } = await import("write-file-atomic");
    await writeFileAtomic(path, content, { mode });
  } catch (error) {
    throw new CliError("local-state", `cannot write ${path}: ${messageOf(error)}`, { cause: error });
  }
}

async function isNoPlainFile(path: string): Promise<boolean> {
  try {
    return !(await lstat(await realpath(path))).isFile();
  } catch {
    return false;
  }
}
