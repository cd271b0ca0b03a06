import { readFile, readlink } from "node:fs/promises";
import { hostname } from "node:os";
import { kill } from "node:process";
import * as z from "zod";

/**
 * Which process, of all that ever were. Linux tells enough to see through a process number that is used again, a restart of
 * the machine, and containers; elsewhere the number has to do.
 */
export const processIdentity = z.object({
  host: z.string(),
  /** The system's boot, new at every start of the machine. */
  boot: z.string().nullable(),
  /** The space that process numbers are counted in: a container's own. */
  space: z.string().nullable(),
  pid: z.int().positive(),
  /** When the process began, in the system's ticks since boot. */
  began: z.string().nullable(),
});

export type ProcessIdentity = z.output<typeof processIdentity>;

/** Where process numbers mean something. */
export type Machine = Pick<ProcessIdentity, "host" | "boot" | "space">;

export async function thisMachine(): Promise<Machine> {
  const [boot, space] = await Promise.all([
    readFile("/proc/sys/kernel/random/boot_id", "utf8").then(
      (text) => text.trim(),
      () => null,
    ),
    readlink("/proc/self/ns/pid").catch(() => null),
  ]);
  return { host: hostname(), boot, space };
}

/** A process of this machine. */
export async function identify(pid: number): Promise<ProcessIdentity> {
  const [machine, stat] = await Promise.all([thisMachine(), statOf(pid)]);
  return { ...machine, pid, began: stat?.began ?? null };
}

/**
 * Whether a process is certainly gone. In doubt it is not: a process on another machine or in another container cannot be
 * looked at, and its number says nothing here.
 */
export async function isGone(theirs: ProcessIdentity, own: Machine): Promise<boolean> {
  if (theirs.boot !== own.boot) return theirs.boot !== null && own.boot !== null && theirs.host === own.host;
  if (own.boot === null && theirs.host !== own.host) return false;
  if (theirs.space !== own.space) return false;
  if (!exists(theirs.pid)) return true;
  if (theirs.began === null) return false;
  const now = await statOf(theirs.pid);
  // It has ended between two questions, or is a dead one that nobody has buried.
  if (now === undefined) return !exists(theirs.pid);
  return now.began !== theirs.began || now.dead;
}

function exists(pid: number): boolean {
  try {
    kill(pid, 0);
    return true;
  } catch (error) {
    // Anything but "no such process" means that there is one.
    return !(error instanceof Error && "code" in error && error.code === "ESRCH");
  }
}

async function statOf(pid: number): Promise<{ began: string; dead: boolean } | undefined> {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => undefined);
  if (stat === undefined) return undefined;
  // The second field is the program's name in brackets, and may hold anything.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const [state, began] = [fields[0], fields[19]];
  return began === undefined ? undefined : { began, dead: state === "Z" || state === "X" };
}
