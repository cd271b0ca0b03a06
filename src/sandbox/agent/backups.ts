import { readdir } from "node:fs/promises";
import path from "node:path";
import { readConfigFile, type Problem } from "./config.ts";
import type { JsonObject } from "./json.ts";
import type { Plugin } from "./plugins.ts";

/** Where the timestamped copies of the configuration are, in the instance's directory. */
export const BACKUPS_FOLDER = "backups";

const BACKUP_NAME = /^openclaw\.\d{4}-\d{2}-\d{2}T\d{2}-\d{2}-\d{2}Z\.json$/;

/** A backup and whether it can be used; missing plugin entries can be added after it was restored. */
export interface Backup {
  readonly name: string;
  readonly file: string;
  readonly usable: JsonObject | undefined;
  readonly problems: readonly Problem[];
}

/** The file name of a backup taken at a time; names sort by time. Without colons, which not every file system takes. */
export function backupName(taken: Date): string {
  return `openclaw.${fileTime(taken)}.json`;
}

/** A time as part of a file name: `2026-11-22T16-33-42Z`. */
export function fileTime(time: Date): string {
  return `${time.toISOString().slice(0, 19).replaceAll(":", "-")}Z`;
}

/** All backups, newest first, each read and validated. */
export async function readBackups(directory: string, plugins: readonly Plugin[]): Promise<Backup[]> {
  const folder = path.join(directory, BACKUPS_FOLDER);
  const found = await readdir(folder).catch(() => []);
  const names = found
    .filter((name) => BACKUP_NAME.test(name))
    .toSorted()
    .toReversed();
  return Promise.all(names.map((name) => readBackup(path.join(folder, name), plugins)));
}

async function readBackup(file: string, plugins: readonly Plugin[]): Promise<Backup> {
  const { config, problems } = await readConfigFile(file, plugins);
  const usable = problems.every(({ kind }) => kind === "missing-entry") ? config : undefined;
  return { name: path.basename(file), file, usable, problems };
}
