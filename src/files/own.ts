/** Whether a file or folder, as it was found, is its user's alone. */
import { CliError } from "../errors.ts";
import type { FileFacts } from "./file-layer.ts";
import { flawOf, untrusted, type Flaw, type Role } from "./trust.ts";

/**
 * @throws CliError `local-state` unless it is a folder of this user's own that others cannot enter.
 */
export function assertOwnFolder(path: string, facts: FileFacts): void {
  if (facts.kind !== "directory") throw unusable(path, "it is not a folder (symbolic links are not followed)");
  refuse(flawIn(path, facts, "recordFolder"));
}

/** Whether it is a folder of this user's own that others cannot enter. */
export function isOwnFolder(path: string, facts: FileFacts): boolean {
  return facts.kind === "directory" && flawIn(path, facts, "recordFolder") === undefined;
}

/**
 * @throws CliError `local-state` unless it is a plain file of this user's own that others cannot change.
 */
export function assertOwnFile(path: string, facts: FileFacts): void {
  if (facts.kind !== "file") throw unusable(path, "it is not a plain file");
  refuse(flawIn(path, facts, "record"));
}

function flawIn(path: string, { owner: uid, group: gid, mode }: FileFacts, role: Role): Flaw | undefined {
  return flawOf(path, { uid, gid, mode }, role);
}

function refuse(flaw: Flaw | undefined): void {
  if (flaw) throw untrusted(flaw);
}

function unusable(path: string, why: string): CliError {
  return new CliError("local-state", `${path} cannot be trusted: ${why}`);
}
