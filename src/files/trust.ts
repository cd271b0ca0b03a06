/**
 * Who, besides its user, can change what this tool relies on: settings decide where a token goes, the journal what is sent
 * again. Owners and permissions are those of POSIX; where a system has no user numbers nothing is checked.
 */
import { lstatSync, readlinkSync, type Stats } from "node:fs";
import { dirname, isAbsolute, join, parse, resolve, sep } from "node:path";
import { getegid, geteuid } from "node:process";
import { CliError } from "../errors.ts";
import { quoted } from "../typed-command.ts";

/**
 * What a file or folder is to the tool.
 *
 * `settings` may be changed by a group that is the user's own primary one, with a warning. So may a `parent`, a folder above
 * one of the others; and anybody may add to it where nobody can rename what is not theirs (the sticky bit).
 */
export type Role = keyof typeof STRICT | "settings" | "parent";

/** What nobody but the user may have to do with: which permissions others must not have, and what is said otherwise. */
const STRICT = {
  token: { forbidden: 0o077, what: "others may read it", fix: "chmod 600" },
  record: { forbidden: 0o022, what: "others may change it", fix: "chmod 600" },
  /** A folder of the state's. */
  recordFolder: { forbidden: 0o077, what: "others may enter it", fix: "chmod 700" },
  /** The folder of the state itself. */
  state: { forbidden: 0o022, what: "others may change it", fix: "chmod go-w" },
} as const;

/** Why a file or folder is not its user's alone. */
export interface Flaw {
  readonly path: string;
  readonly what: string;
  /** The command that changes that. */
  readonly remedy: string;
  /** It must not be used. Otherwise the user is told only. */
  readonly refused: boolean;
}

/** Who may do what. `mode` has the permission bits, and for a parent the sticky bit. */
export interface Permissions {
  readonly uid: number;
  readonly gid: number;
  readonly mode: number;
}

/** A path that leads through more links than this leads nowhere, as for the system itself. */
const MAX_LINKS = 40;
const STICKY = 0o1000;

/**
 * What is wrong with one file or folder by itself. Its owner is to be the user that the process acts as, or root.
 *
 * @param isMountPoint whether a folder is the root of a file system of its own: containers are given such folders, open to all.
 */
export function flawOf(
  path: string,
  { uid, gid, mode }: Permissions,
  role: Role,
  isMountPoint: () => boolean = () => false,
): Flaw | undefined {
  // The effective user: files are opened as that one, and it works without an entry in the system's list of users.
  const user = geteuid?.();
  if (user === undefined) return undefined;
  const flaw = (what: string, fix: string, refused = true): Flaw => {
    return { path, what, remedy: `${fix} ${typed(path)}`, refused };
  };
  if (uid !== user && uid !== 0) return flaw("it belongs to another user", `sudo chown -h ${user}`);
  if (role !== "settings" && role !== "parent") {
    const { forbidden, what, fix } = STRICT[role];
    return (mode & forbidden) === 0 ? undefined : flaw(what, fix);
  }
  if (role === "parent" && (mode & STICKY) !== 0) return undefined;
  if ((mode & 0o002) !== 0) {
    // What others put there belongs to them, and is refused for that.
    const told = role === "parent" && uid === 0 && isMountPoint();
    return flaw("everybody may change it", "chmod go-w", !told);
  }
  return (mode & 0o020) === 0 ? undefined : flaw("its group may change it", "chmod g-w", gid !== getegid?.());
}

/**
 * What is wrong with a file or folder and with everything on the way to it, from the root on, links included. What is not
 * there, or cannot be looked at, has no flaws: using it says more.
 *
 * @param role what the path itself is; all above it are parents.
 */
export function flawsOnTheWay(path: string, role: Role): readonly Flaw[] {
  if (geteuid?.() === undefined) return [];
  const flaws = new Map<string, Flaw>();
  const note = (flaw: Flaw | undefined) => flaw && flaws.set(flaw.path, flaw);
  let at = parse(resolve(path)).root;
  note(flawOf(at, lstatSync(at), "parent", () => true));
  const names = namesIn(resolve(path));
  let links = 0;
  for (let name = names.shift(); name !== undefined; name = names.shift()) {
    const folder = at;
    at = name === ".." ? dirname(folder) : join(folder, name);
    if (name === "..") continue;
    const stats = lookAt(at);
    if (!stats) break;
    if (!stats.isSymbolicLink()) {
      note(flawOf(at, stats, names.length === 0 ? role : "parent", () => lstatSync(folder).dev !== stats.dev));
      continue;
    }
    // A link's own permissions mean nothing; its owner decides where it leads.
    note(flawOf(at, { uid: stats.uid, gid: stats.gid, mode: 0 }, "parent"));
    if ((links += 1) > MAX_LINKS) break;
    const linked = readlinkSync(at);
    at = isAbsolute(linked) ? parse(linked).root : folder;
    names.unshift(...namesIn(linked));
  }
  return [...flaws.values()];
}

/**
 * Checks a file or folder and everything on the way to it.
 *
 * @returns what is not refused, but should be known.
 * @throws CliError `local-state` where others can change it or put another one in its place.
 */
export function assertTrusted(path: string, role: Role): readonly Flaw[] {
  const flaws = flawsOnTheWay(path, role);
  const refused = flaws.find((flaw) => flaw.refused);
  if (refused) throw untrusted(refused);
  return flaws;
}

/** The error about what must not be used, with the command that makes it usable. */
export function untrusted(flaw: Pick<Flaw, "path" | "what" | "remedy">): CliError {
  return new CliError("local-state", `${flaw.path} cannot be trusted: ${flaw.what}; run: ${flaw.remedy}`);
}

function namesIn(path: string): string[] {
  return path
    .slice(parse(path).root.length)
    .split(sep)
    .filter((name) => name !== "" && name !== ".");
}

function lookAt(path: string): Stats | undefined {
  try {
    return lstatSync(path);
  } catch {
    return undefined;
  }
}

/** A path as a word for the shell; its plain folders stay outside of the quotes, where `~` can stand for them. */
function typed(path: string): string {
  const [, folders = "", rest = ""] = /^((?:[\w@%+:,.-]*\/)*)(.*)$/s.exec(path) ?? [];
  return rest === "" ? folders : `${folders}${quoted(rest)}`;
}
