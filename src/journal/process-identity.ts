import { createHmac } from "node:crypto";
import { readFile, readlink } from "node:fs/promises";
import { hostname, platform } from "node:os";
import { kill } from "node:process";
import { promisify } from "node:util";
import * as z from "zod";

/** Which process, of all that ever were. Only Linux and macOS tell enough to know that one is gone. */
export const processIdentity = z.object({
  /** For people only: several machines can have one name, and one machine several, one after the other. */
  host: z.string(),
  /** The machine's ID, hashed. Absent in what version 0.1.0 wrote; `null` where the system has none. */
  machine: z.string().nullish(),
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
export type Machine = Pick<ProcessIdentity, "host" | "boot" | "space"> & { readonly machine: string | null };

let here: Promise<Machine> | undefined;

/** Asked once: a process stays where it is. */
export function thisMachine(): Promise<Machine> {
  here ??= askForMachine();
  return here;
}

async function askForMachine(): Promise<Machine> {
  const [{ machine, boot }, space] = await Promise.all([
    platform() === "darwin" ? askMac() : askLinux(),
    readlink("/proc/self/ns/pid").catch(() => null),
  ]);
  return { host: hostname(), machine, boot, space };
}

type MachineIds = Pick<Machine, "machine" | "boot">;

async function askLinux(): Promise<MachineIds> {
  return linuxIds(await textOf("/etc/machine-id"), await textOf("/proc/sys/kernel/random/boot_id"));
}

/** What a file of the system's holds; empty where it cannot be read. */
function textOf(path: string): Promise<string> {
  return readFile(path, "utf8").catch(() => "");
}

/**
 * The IDs of a Linux machine. The first file holds the word "uninitialized" until a new system has its ID.
 *
 * @param machineId what /etc/machine-id holds; empty where it cannot be read.
 * @param bootId what the kernel's boot_id holds; empty where it cannot be read.
 */
export function linuxIds(machineId: string, bootId: string): MachineIds {
  return idsOf(/^(?!0{32})[0-9a-f]{32}$/.exec(machineId.trim())?.[0], bootId);
}

async function askMac(): Promise<MachineIds> {
  const { execFile } = await import("node:child_process");
  const ask = (program: string, ...options: string[]) =>
    promisify(execFile)(program, options, { timeout: 5_000 }).then(
      ({ stdout }) => stdout,
      () => "",
    );
  const [device, boot] = await Promise.all([
    ask("/usr/sbin/ioreg", "-rd1", "-c", "IOPlatformExpertDevice"),
    ask("/usr/sbin/sysctl", "-n", "kern.bootsessionuuid"),
  ]);
  return macIds(device, boot);
}

/**
 * The IDs of a Mac.
 *
 * @param device what ioreg prints of the machine itself; empty where it cannot be asked.
 * @param boot what sysctl prints of the boot's session; empty where it cannot be asked.
 */
export function macIds(device: string, boot: string): MachineIds {
  return idsOf(/"IOPlatformUUID" = "([^"]+)"/.exec(device)?.[1], boot);
}

function idsOf(id: string | undefined, boot: string): MachineIds {
  return { machine: id === undefined ? null : hashed(id), boot: boot.trim() || null };
}

/** systemd's advice for its ID (machine-id(5)): it is not to be shown, only what an application derives from it. */
function hashed(id: string): string {
  return createHmac("sha256", id).update("kiloclaw-admin claims").digest("hex").slice(0, 32);
}

/** A process of this machine. */
export async function identify(pid: number): Promise<ProcessIdentity> {
  const [machine, stat] = await Promise.all([thisMachine(), statOf(pid)]);
  return { ...machine, pid, began: stat?.began ?? null };
}

/**
 * - `alive`: there is such a process here.
 * - `gone`: it has certainly ended.
 * - `unseen`: it cannot be judged from here: it may be on another machine or in another container.
 */
export type Sight = "alive" | "gone" | "unseen";

/**
 * Whether a process lives, as far as it can be seen. Gone is only what is of this very machine: by its ID, not by its name. An
 * ID that is missing matches nothing, and one that was cloned, with another boot, only what lies on this machine's own disk.
 *
 * @param isLocal whether what the process has left behind lies on a file system that no other machine has.
 */
export async function sightOf(theirs: ProcessIdentity, own: Machine, isLocal: () => Promise<boolean>): Promise<Sight> {
  const known = theirs.machine != null && own.machine !== null && theirs.boot !== null && own.boot !== null;
  if (known && theirs.machine !== own.machine) return "unseen";
  if (theirs.boot !== own.boot) return known && (await isLocal()) ? "gone" : "unseen";
  if (theirs.space !== own.space) return "unseen";
  if (await isThere(theirs)) return known || theirs.boot !== null || theirs.host === own.host ? "alive" : "unseen";
  return known ? "gone" : "unseen";
}

async function isThere({ pid, began }: ProcessIdentity): Promise<boolean> {
  if (!exists(pid)) return false;
  if (began === null) return true;
  const now = await statOf(pid);
  // It has ended between two questions, or is a dead one that nobody has buried.
  if (now === undefined) return exists(pid);
  return now.began === began && !now.dead;
}

/** Whether two descriptions are of one process. */
export function isSame(one: ProcessIdentity, other: ProcessIdentity): boolean {
  return (
    one.pid === other.pid &&
    one.began === other.began &&
    one.boot === other.boot &&
    one.space === other.space &&
    one.host === other.host &&
    (one.machine ?? null) === (other.machine ?? null)
  );
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

async function statOf(pid: number): Promise<Stat | undefined> {
  return parseStat(await textOf(`/proc/${pid}/stat`));
}

interface Stat {
  /** In the system's ticks since boot. */
  readonly began: string;
  readonly dead: boolean;
}

/** What a process's `stat` file tells; `undefined` where it says nothing, because there is no such process or no such file. */
export function parseStat(stat: string): Stat | undefined {
  // The second field is the program's name in brackets, and may hold anything.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const [state, began] = [fields[0], fields[19]];
  return began === undefined ? undefined : { began, dead: state === "Z" || state === "X" };
}
