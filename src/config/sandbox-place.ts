/** Which sandbox of this user a port of this machine leads to, by our own files: what answers there is not asked. */
import { readFileSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { readIdentity, identityFile } from "../files/sandbox-identity.ts";
import { flawsOnTheWay } from "../files/trust.ts";
import { writeWholeFile } from "../files/whole-file.ts";

export interface SandboxPlace {
  readonly dataDir: string;
  /** What it is known by, whatever its port. */
  readonly id: string;
  /** When it began: what it has from before came with it. `undefined` where that is not known. */
  readonly madeAt: Date | undefined;
}

/** Has the data directory of the sandbox that was started there last. */
function portFile(sandboxDirectory: string, port: number): string {
  return join(`${sandboxDirectory}.ports`, String(port));
}

/**
 * The sandbox that was started on this port last, if it has not moved to another one since.
 *
 * @param sandboxDirectory the directory of sandboxes that say no other.
 * @returns `undefined` where there is none, or others can change what says so.
 */
export async function sandboxOnPort(sandboxDirectory: string, port: number): Promise<SandboxPlace | undefined> {
  const file = portFile(sandboxDirectory, port);
  let dataDir: string;
  try {
    dataDir = readFileSync(file, "utf8");
  } catch {
    return undefined;
  }
  const identity = readIdentity(dataDir);
  if (identity?.port !== port) return undefined;
  if ([file, identityFile(dataDir)].some((path) => flawsOnTheWay(path, "record").some(({ refused }) => refused)))
    return undefined;
  const { id, madeAt } = identity;
  return { dataDir, id, madeAt: madeAt === undefined ? undefined : new Date(madeAt) };
}

/** Writes down that the sandbox in this directory has the port. */
export async function rememberSandbox(sandboxDirectory: string, port: number, dataDir: string): Promise<void> {
  const file = portFile(sandboxDirectory, port);
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  await writeWholeFile(file, dataDir);
}
