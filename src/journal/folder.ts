/** Where journals are, by name. A journal stands in `open/` until it has ended and nothing in it is open. */
import { dirname, join } from "node:path";
import { CliError, messageOf } from "../errors.ts";
import { systemFiles, type FileLayer } from "../files/file-layer.ts";
import { assertOwnFolder } from "../files/own.ts";
import { hint } from "../typed-command.ts";

const NAME = /^(\d{4})(\d{2})\d{2}T\d{6}\d{3}Z-[a-z0-9-]+-([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\.jsonl$/;

/** The folder that costs every command that changes something: kept small. */
export function openFolder(stateDirectory: string): string {
  return join(stateDirectory, "journal", "open");
}

/** Where a journal of this name stands while something in it may be open. */
export function openPath(stateDirectory: string, name: string): string {
  return join(openFolder(stateDirectory), name);
}

function closedFolder(stateDirectory: string): string {
  return join(stateDirectory, "journal", "closed");
}

/** A new journal's file name: sorts by time, and holds the journal's ID. */
export function journalName(at: Date, action: string, id: string): string {
  return `${at.toISOString().replaceAll(/[-:.]/g, "")}-${action}-${id}.jsonl`;
}

/** The ID in a journal's file name. */
function journalId(name: string): string | undefined {
  return NAME.exec(name)?.[3];
}

/** When a journal of this name was begun, in milliseconds since 1970. */
export function journalTime(name: string): number {
  const [, year, month, day, hour, minute, second, ms] =
    /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)(\d{3})Z-/.exec(name) ?? [];
  return Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}.${ms}Z`);
}

/** Where a journal goes once it is closed: a folder for each month, so that none grows for ever. */
export function closedPath(stateDirectory: string, name: string): string {
  const [, year, month] = NAME.exec(name) ?? [];
  return join(closedFolder(stateDirectory), `${year}-${month}`, name);
}

/** A journal's file, as it was found. It can be closed, and so moved, at any time after. */
export interface JournalFile {
  readonly id: string;
  readonly name: string;
  readonly path: string;
  readonly stateDirectory: string;
}

/** The journals that may hold something open, oldest first. */
export async function openJournals(stateDirectory: string, files: FileLayer = systemFiles): Promise<JournalFile[]> {
  return journalsIn(stateDirectory, openFolder(stateDirectory), files);
}

/** All journals, oldest first. */
export async function allJournals(stateDirectory: string, files: FileLayer = systemFiles): Promise<JournalFile[]> {
  // In this order one that is closed meanwhile is seen twice rather than not at all.
  const found = await openJournals(stateDirectory, files);
  const closed = closedFolder(stateDirectory);
  for (const month of await listing(closed, files)) {
    if (/^\d{4}-\d{2}$/.test(month)) found.push(...(await journalsIn(stateDirectory, join(closed, month), files)));
  }
  return inOrder([...new Map(found.map((file) => [file.name, file])).values()]);
}

async function journalsIn(stateDirectory: string, folder: string, files: FileLayer): Promise<JournalFile[]> {
  const found = (await listing(folder, files)).flatMap((name): JournalFile[] => {
    const id = journalId(name);
    return id === undefined ? [] : [{ id, name, path: join(folder, name), stateDirectory }];
  });
  return inOrder(found);
}

async function listing(folder: string, files: FileLayer): Promise<string[]> {
  return files.list(folder).catch((error: unknown) => {
    throw new CliError("local-state", `the journal's folder ${folder} cannot be read: ${messageOf(error)}`, {
      hint: hint`see who may read it: ls -ld ${folder}`,
      cause: error,
    });
  });
}

function inOrder(found: JournalFile[]): JournalFile[] {
  return found.toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

/**
 * Makes a folder of the state's, if need be, so that it survives a power cut.
 *
 * @throws CliError `local-state` when it, or one between it and the state's own folder, is not a folder of this user's own that
 *   others cannot enter; or when others can put another state folder in the place of this one.
 */
export async function secureFolder(
  stateDirectory: string,
  path: string,
  files: FileLayer = systemFiles,
): Promise<void> {
  files.assertTrustedFolder(stateDirectory);
  const made = await files.makeDirectory(path);
  if (made !== undefined) {
    // Each folder that was made is a name in the one above it.
    for (let folder = path; folder.length >= made.length; folder = dirname(folder)) {
      await files.syncDirectory(dirname(folder));
    }
  }
  for (let folder = path; folder.length > stateDirectory.length; folder = dirname(folder)) {
    assertOwnFolder(folder, await files.facts(folder));
  }
}
