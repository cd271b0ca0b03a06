/** Where journals are, by name. A journal stands in `open/` until it has ended and nothing in it is open. */
import { platform, userInfo } from "node:os";
import { dirname, join } from "node:path";
import { CliError, messageOf } from "../errors.ts";
import type { FileFacts, FileLayer } from "./file-layer.ts";

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
export async function openJournals(stateDirectory: string, files: FileLayer): Promise<JournalFile[]> {
  return journalsIn(stateDirectory, openFolder(stateDirectory), files);
}

/** All journals, oldest first. */
export async function allJournals(stateDirectory: string, files: FileLayer): Promise<JournalFile[]> {
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
      cause: error,
    });
  });
}

function inOrder(found: JournalFile[]): JournalFile[] {
  return found.toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

/**
 * Makes a folder of the journal's, if need be, so that it survives a power cut.
 *
 * @throws CliError `local-state` when it is not a folder of this user's own that others cannot enter.
 */
export async function secureFolder(path: string, files: FileLayer): Promise<void> {
  const made = await files.makeDirectory(path);
  if (made !== undefined) {
    // Each folder that was made is a name in the one above it.
    for (let folder = path; folder.length >= made.length; folder = dirname(folder)) {
      await files.syncDirectory(dirname(folder));
    }
  }
  const facts = await files.facts(path);
  if (facts.kind !== "directory") throw untrusted(path, "it is not a folder (symbolic links are not followed)");
  assertOwn(path, facts);
  if (others(facts, 0o077)) throw untrusted(path, `others may enter it; run: chmod 700 ${path}`);
}

/**
 * @throws CliError `local-state` unless it is a plain file of this user's own that others cannot change.
 */
export function assertTrusted(path: string, facts: FileFacts): void {
  if (facts.kind !== "file") throw untrusted(path, "it is not a plain file");
  assertOwn(path, facts);
  if (others(facts, 0o022)) throw untrusted(path, `others may change it; run: chmod 600 ${path}`);
}

function assertOwn(path: string, { owner }: FileFacts): void {
  const own = ownUser();
  if (own !== undefined && owner !== own) throw untrusted(path, "it belongs to another user");
}

/** Whether others have one of these permissions. Windows has other ones, which are not looked at. */
function others({ mode }: FileFacts, permissions: number): boolean {
  return platform() !== "win32" && (mode & permissions) !== 0;
}

let own: { readonly user: number | undefined } | undefined;

/**
 * This user's number; `undefined` on a system without, or in a container that does not know its own user. Asked once: the system
 * reads its list of users for it each time, and a process stays its user's.
 */
function ownUser(): number | undefined {
  own ??= { user: askForUser() };
  return own.user;
}

function askForUser(): number | undefined {
  try {
    const { uid } = userInfo();
    return uid === -1 ? undefined : uid;
  } catch {
    return undefined;
  }
}

function untrusted(path: string, why: string): CliError {
  return new CliError("local-state", `${path} cannot be trusted: ${why}`);
}
