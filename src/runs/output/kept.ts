import { randomUUID } from "node:crypto";
import type { Stats } from "node:fs";
import { lstat, readdir, readFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { CliError, messageOf } from "../../errors.ts";
import { systemFiles, type FileLayer } from "../../files/file-layer.ts";
import { isMissing } from "../../files/missing.ts";
import { assertOwnFolder, isOwnFolder } from "../../files/own.ts";
import { secureFolder } from "../../journal/folder.ts";

/** Where the outputs of cancelled runs are kept: the platform throws them away. */
export interface OutputPlaces {
  readonly state: string;
  /** The system's folder for temporary files, for when the state folder takes nothing. */
  readonly temporary: string;
}

/** An output that was kept. */
export interface Kept {
  readonly path: string;
  /** Why it is not in the state folder, if it is not. */
  readonly problem: string | null;
}

/** What the names of folders begin with that were made in the one for temporary files. */
const PREFIX = "kiloclaw-admin-output-";

function outputPath(stateDirectory: string, runId: string): string {
  return join(stateDirectory, "outputs", `${runId}.log`);
}

/**
 * Keeps a run's output whole or not at all, readable by its owner only, and there even after a power cut: the platform's copy is
 * about to go.
 *
 * @param runId a validated run ID: it becomes a file name.
 * @throws CliError `local-state` when neither place takes it; then nothing of it is left there.
 */
export async function keepOutput(
  { state, temporary }: OutputPlaces,
  runId: string,
  output: string,
  files: FileLayer = systemFiles,
): Promise<Kept> {
  const bytes = Buffer.from(output);
  const path = outputPath(state, runId);
  let problem: string;
  try {
    await secureFolder(state, dirname(path), files);
    await writeWhole(path, bytes, files);
    return { path, problem: null };
  } catch (error) {
    problem = messageOf(error);
  }
  // Of a name that nobody can foresee, in a folder that everybody may write to.
  const folder = join(temporary, `${PREFIX}${randomUUID()}`);
  const aside = join(folder, `${runId}.log`);
  try {
    await files.makeDirectory(folder);
    assertOwnFolder(folder, await files.facts(folder));
    await writeWhole(aside, bytes, files);
    await files.syncDirectory(temporary);
    return { path: aside, problem };
  } catch (error) {
    throw new CliError(
      "local-state",
      `the output of run ${runId} cannot be kept, neither in ${path} (${problem}) nor in ${temporary} (${messageOf(error)})`,
      { cause: error },
    );
  }
}

/** Under its own name there is all of it, or what was there before. */
async function writeWhole(path: string, bytes: Buffer, files: FileLayer): Promise<void> {
  const draft = `${path}.${randomUUID()}.part`;
  const file = await files.open(draft, "create");
  try {
    try {
      const written = await file.write(bytes);
      if (written !== bytes.length) throw new Error(`only ${written} of ${bytes.length} bytes could be written`);
      await file.sync();
    } finally {
      await file.close();
    }
    await files.rename(draft, path);
  } catch (error) {
    await files.remove(draft).catch(() => undefined);
    throw error;
  }
  await files.syncDirectory(dirname(path));
}

/**
 * The output of a run that was kept on this machine, the latest if there are several; `undefined` when there is none.
 *
 * @throws CliError `local-state` when there is one that cannot be read, or one that an earlier version could not write.
 */
export async function keptOutput(
  { state, temporary }: OutputPlaces,
  runId: string,
): Promise<{ readonly path: string; readonly text: string } | undefined> {
  const own = outputPath(state, runId);
  const paths = [own, ...(await ownFolders(temporary)).map((folder) => join(folder, basename(own)))];
  let latest: { readonly path: string; readonly stats: Stats } | undefined;
  let failure: CliError | undefined;
  for (const path of paths) {
    try {
      const stats = await lookAt(path);
      if (stats && !(latest && latest.stats.mtimeMs > stats.mtimeMs)) latest = { path, stats };
    } catch (error) {
      failure = cannotRead(path, error);
    }
  }
  if (!latest && failure) throw failure;
  if (!latest) return undefined;
  const { path, stats } = latest;
  try {
    // An output without a character is not kept.
    if (stats.size === 0) throw new Error("it is empty: it could not be written when the run was cancelled");
    return { path, text: await readFile(path, "utf8") };
  } catch (error) {
    throw cannotRead(path, error);
  }
}

function cannotRead(path: string, error: unknown): CliError {
  return new CliError("local-state", `the output was kept here and cannot be read: ${path}: ${messageOf(error)}`, {
    hint: "the platform has none of this run; make it readable, then ask again",
    cause: error,
  });
}

/** The folders of this user's own in the one for temporary files, which others can write to. */
async function ownFolders(temporary: string): Promise<string[]> {
  const names = await readdir(temporary).catch((): string[] => []);
  const paths = names.filter((name) => name.startsWith(PREFIX)).map((name) => join(temporary, name));
  const looked = await Promise.all(
    paths.map(async (path) => ({ path, facts: await systemFiles.facts(path).catch(() => undefined) })),
  );
  return looked.flatMap(({ path, facts }) => (facts && isOwnFolder(path, facts) ? [path] : []));
}

async function lookAt(path: string) {
  try {
    return await lstat(path);
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}
