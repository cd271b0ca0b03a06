import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { CliError, messageOf } from "../errors.ts";

/** Where the output of a cancelled run is kept: the platform throws it away. */
export function outputPath(stateDirectory: string, runId: string): string {
  return join(stateDirectory, "outputs", `${runId}.log`);
}

/**
 * Keeps a run's output, readable by its owner only, and there even after a power cut: the platform's copy is about to go.
 *
 * @param runId a validated run ID: it becomes a file name.
 * @returns the file's path.
 * @throws CliError `local-state`
 */
export async function keepOutput(stateDirectory: string, runId: string, output: string): Promise<string> {
  const path = outputPath(stateDirectory, runId);
  try {
    await mkdir(join(stateDirectory, "outputs"), { recursive: true, mode: 0o700 });
    await writeFile(path, output, { mode: 0o600, flush: true });
    return path;
  } catch (error) {
    throw new CliError("local-state", `cannot keep the output in ${path}: ${messageOf(error)}`, {
      cause: error,
    });
  }
}
