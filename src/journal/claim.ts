/**
 * Claims: one process at a time.
 *
 * A claim is a file to which everybody who wants it appends a line. Appends have an order, so everybody sees the same queue;
 * the first in it who lives and has not withdrawn is the holder, and everybody else loses. A process that was killed simply
 * does not count any more: nothing has to be taken away from it, which is where lock files race (two see a stale lock, both
 * remove "it", and the second removes the first one's new one). Nor is anything measured in time, so a holder that stood still
 * for long, on a laptop that slept, still holds.
 *
 * Only the holder removes the file, as its last act. Who appended to a file that is not there any more (its name is gone, or
 * belongs to another) starts again.
 *
 * A claim that cannot be judged counts as held: another machine's or container's, where the folder is shared. Only a person's
 * decision sets its holder aside.
 */
import { createHash, randomUUID } from "node:crypto";
import { join } from "node:path";
import * as z from "zod";
import { platformOf } from "../api/origin.ts";
import { CliError, messageOf } from "../errors.ts";
import { systemFiles, type FileLayer, type OpenFile } from "../files/file-layer.ts";
import { isMissing } from "../files/missing.ts";
import { assertOwnFile } from "../files/own.ts";
import { command, hint, type Hint } from "../typed-command.ts";
import { openFolder, secureFolder } from "./folder.ts";
import {
  identify,
  isSame,
  processIdentity,
  sightOf,
  thisMachine,
  type Machine,
  type ProcessIdentity,
} from "./process-identity.ts";

const queued = z.object({
  nonce: z.uuid(),
  process: processIdentity,
  op: z.uuid(),
  since: z.iso.datetime(),
  /** What is claimed, where it is an instance: the file's name does not tell. Absent in what version 0.1.0 wrote. */
  instance: z.object({ origin: z.string(), instanceId: z.string() }).optional(),
});
const withdrawal = z.object({ withdrawn: z.uuid() });

/** Who holds a claim. */
export interface Holder {
  readonly pid: number;
  readonly host: string;
  /** The operation, or the journal, that it is held for. */
  readonly op: string;
  readonly since: Date;
  /** Whether it is seen to be alive, here. If not, only a person can tell whether it has ended. */
  readonly seen: boolean;
  /** The platform and the instance that it is at work on, if that is what is claimed. */
  readonly instance: { readonly origin: string; readonly instanceId: string } | null;
  readonly process: ProcessIdentity;
}

/** A holder in words. */
export function holderWords({ pid, host, since }: Holder): string {
  return `process ${pid} on ${host}, since ${since.toISOString()}`;
}

export interface Claim {
  /** Gives it up. Never fails: what cannot be removed ends with the process. */
  release(): Promise<void>;
}

export interface Claimant {
  readonly pid: number;
  readonly op: string;
  /** Who `pid` is, if that is known already: it is asked of the system otherwise. */
  readonly self?: ProcessIdentity;
  /** A holder that a person has decided to pass over. It counts all the same when it is seen alive. */
  readonly setAside?: Holder | undefined;
}

/** Somebody else has it. */
export class HeldError extends CliError {
  readonly holder: Holder;

  /** @param wayOut what to type once it is certain that a holder who is not seen here has ended. */
  constructor(what: string, holder: Holder, wayOut: Hint) {
    const where = holder.seen ? "" : `on ${holder.host}, which cannot be seen from here, `;
    super(
      "conflict",
      `${what}: process ${holder.pid}, ${where}since ${holder.since.toISOString()} (operation ${holder.op})`,
      {
        hint: [
          "wait for it to end, then try again",
          ...(holder.seen ? [] : [hint`once it has certainly ended: ${wayOut}`]),
        ],
        retryable: true,
      },
    );
    this.holder = holder;
  }
}

/**
 * Claims an instance for a start, so that two processes of this machine do not start on it at once.
 *
 * @throws HeldError (`conflict`) with the holder.
 * @throws CliError `local-state` when the claim cannot be written.
 */
export async function claimInstance(
  stateDirectory: string,
  { origin, instanceId }: { readonly origin: string; readonly instanceId: string },
  claimant: Claimant,
  files: FileLayer = systemFiles,
): Promise<Claim> {
  const folder = claimsFolder(stateDirectory);
  const name = createHash("sha256")
    .update(`${platformOf(origin)}\n${instanceId}`)
    .digest("hex");
  const path = join(folder, name);
  return orLocalState(path, async () => {
    await secureFolder(stateDirectory, folder, files);
    const what = `another command is at work on instance ${instanceId}`;
    return takeClaim({ path, what, wayOut: closeCommand, instance: { origin, instanceId } }, claimant, files);
  });
}

/** What resumes a job whose process may or may not have ended. */
export function takeOverCommand(job: string): Hint {
  return command("jobs resume", job, { "--take-over": true, "--reason": "TEXT" });
}

function claimsFolder(stateDirectory: string): string {
  return join(stateDirectory, "claims");
}

/** What ends an operation whose process may or may not have ended. */
export function closeCommand({ op }: Pick<Holder, "op">): Hint {
  return command("runs reconcile", op, { "--close": true, "--reason": "TEXT" });
}

const CLAIM = ".claim";

/** The claim on a journal's file: held for as long as it is written. */
function claimOn(journalPath: string): string {
  return journalPath + CLAIM;
}

/**
 * Claims a journal's file for writing.
 *
 * @param wayOut what to type once it is certain that a holder who is not seen here has ended.
 * @throws HeldError (`conflict`), CliError `local-state`
 */
export async function claimJournal(
  journalPath: string,
  claimant: Claimant,
  wayOut: Hint,
  files: FileLayer = systemFiles,
): Promise<Claim> {
  const path = claimOn(journalPath);
  const what = `the journal ${journalPath} is being written`;
  return orLocalState(path, () => takeClaim({ path, what, wayOut: () => wayOut }, claimant, files));
}

/** The process that is writing a journal now, if any. Changes nothing. */
export async function writerOf(journalPath: string, files: FileLayer = systemFiles): Promise<Holder | null> {
  return holderOf(claimOn(journalPath), files);
}

/** Who is at work on instances now, oldest first. Changes nothing. */
export async function instanceHolders(stateDirectory: string, files: FileLayer = systemFiles): Promise<Holder[]> {
  return holdersOf(await claimPaths(stateDirectory, files), files);
}

/** Who is writing journals now, each with its journal's ID as `op`. Changes nothing. */
export async function journalHolders(stateDirectory: string, files: FileLayer = systemFiles): Promise<Holder[]> {
  const folder = openFolder(stateDirectory);
  const names = await orLocalState(folder, () => files.list(folder));
  return holdersOf(
    names.filter((name) => name.endsWith(CLAIM)).map((name) => join(folder, name)),
    files,
  );
}

async function holdersOf(paths: readonly string[], files: FileLayer): Promise<Holder[]> {
  const holders: Holder[] = [];
  for (const path of paths) {
    const holder = await holderOf(path, files);
    if (holder) holders.push(holder);
  }
  return holders.toSorted((a, b) => a.since.getTime() - b.since.getTime());
}

/**
 * Gives up the claims on instances of a process that a person has set aside.
 *
 * @throws HeldError (`conflict`) when it is seen alive: those are its own to give up. CliError `local-state`
 */
export async function withdrawInstances(
  stateDirectory: string,
  holder: Holder,
  files: FileLayer = systemFiles,
): Promise<void> {
  const own = await thisMachine();
  for (const path of await claimPaths(stateDirectory, files)) {
    await opened(path, files, async (file) => {
      assertOwnFile(path, await file.facts());
      for (const entry of await queueOf(file)) {
        if (!isSame(entry.process, holder.process)) continue;
        const sight = await sightOf(entry.process, own, () => files.isLocal(path));
        if (sight === "alive") {
          const { instanceId } = entry.instance ?? {};
          throw new HeldError(
            `another command is at work on instance ${instanceId}`,
            asHolder(entry, true),
            closeCommand(entry),
          );
        }
        await append(file, { withdrawn: entry.nonce });
      }
    });
  }
}

async function claimPaths(stateDirectory: string, files: FileLayer): Promise<string[]> {
  const folder = claimsFolder(stateDirectory);
  return orLocalState(folder, async () =>
    (await files.list(folder)).filter((name) => /^[0-9a-f]{64}$/.test(name)).map((name) => join(folder, name)),
  );
}

async function holderOf(path: string, files: FileLayer): Promise<Holder | null> {
  const own = await thisMachine();
  return (await opened(path, files, (file) => firstInTheWay(file, { path, machine: own, files }), "read")) ?? null;
}

/** Works with a claim's file; `undefined` when there is none. */
async function opened<T>(
  path: string,
  files: FileLayer,
  work: (file: OpenFile) => Promise<T>,
  mode: "read" | "continue" = "continue",
): Promise<T | undefined> {
  return orLocalState(path, async () => {
    let file: OpenFile;
    try {
      file = await files.open(path, mode);
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw error;
    }
    try {
      return await work(file);
    } finally {
      await file.close();
    }
  });
}

interface Claimed {
  readonly path: string;
  /** What is said to whoever does not get it. */
  readonly what: string;
  readonly wayOut: (holder: Holder) => Hint;
  readonly instance?: z.output<typeof queued>["instance"];
}

async function takeClaim(
  { path, what, wayOut, instance }: Claimed,
  { pid, op, self, setAside }: Claimant,
  files: FileLayer,
): Promise<Claim> {
  const process = self ?? (await identify(pid));
  const own = await thisMachine();
  for (;;) {
    const file = await files.open(path, "join");
    try {
      const facts = await file.facts();
      assertOwnFile(path, facts);
      const nonce = randomUUID();
      await append(file, { nonce, process, op, since: new Date().toISOString(), instance });
      const inTheWay = await firstInTheWay(file, { path, machine: own, files }, { nonce, setAside });
      // Only once everybody ahead is out of the way it matters whether this is still the file: the open one keeps its identity.
      if ((await identityOf(path, files)) !== facts.identity) continue;
      if (inTheWay) {
        await append(file, { withdrawn: nonce });
        throw new HeldError(what, inTheWay, wayOut(inTheWay));
      }
      return {
        release: async () => {
          // Not any more, if a person has set this process aside or removed the file by hand: what is there is another's. Its
          // identity would not tell: a new file may have the number of one that is gone.
          const queue = await opened(path, files, queueOf, "read").catch(() => undefined);
          if (queue?.some((entry) => entry.nonce === nonce)) await files.remove(path).catch(() => undefined);
        },
      };
    } finally {
      await file.close();
    }
  }
}

/** One write, and a line of its own even after one that was torn. */
async function append(file: OpenFile, entry: z.input<typeof queued> | z.input<typeof withdrawal>): Promise<void> {
  const bytes = Buffer.from(`\n${JSON.stringify(entry)}\n`);
  const written = await file.write(bytes);
  if (written !== bytes.length) throw new Error(`only ${written} of ${bytes.length} bytes could be written`);
}

/** Who wants a claim, in the order in which they came, without those who have withdrawn. */
async function queueOf(file: OpenFile): Promise<z.output<typeof queued>[]> {
  const entries = (await readWhole(file)).split("\n").flatMap(parse);
  const withdrawn = new Set(entries.map((entry) => ("withdrawn" in entry ? entry.withdrawn : undefined)));
  return entries.flatMap((entry) => ("withdrawn" in entry || withdrawn.has(entry.nonce) ? [] : [entry]));
}

/** The first in the queue, ahead of one's own place if there is one, that is not gone. */
async function firstInTheWay(
  file: OpenFile,
  { path, machine, files }: { readonly path: string; readonly machine: Machine; readonly files: FileLayer },
  own?: { readonly nonce: string; readonly setAside: Holder | undefined },
): Promise<Holder | undefined> {
  for (const entry of await queueOf(file)) {
    if (entry.nonce === own?.nonce) return undefined;
    const sight = await sightOf(entry.process, machine, () => files.isLocal(path));
    if (sight === "gone") continue;
    if (sight === "unseen" && own?.setAside && isSame(entry.process, own.setAside.process)) continue;
    return asHolder(entry, sight === "alive");
  }
  if (own !== undefined) throw new Error(`${path} has lost what was written to it`);
  return undefined;
}

function asHolder({ process, op, since, instance }: z.output<typeof queued>, seen: boolean): Holder {
  const { pid, host } = process;
  return { pid, host, op, since: new Date(since), seen, instance: instance ?? null, process };
}

/** A torn line is of a process that did not get its claim. */
function parse(line: string): (z.output<typeof queued> | z.output<typeof withdrawal>)[] {
  if (line === "") return [];
  let json: unknown;
  try {
    json = JSON.parse(line);
  } catch {
    return [];
  }
  return [z.union([withdrawal, queued]).parse(json)];
}

async function readWhole(file: OpenFile): Promise<string> {
  const chunks: Buffer[] = [];
  for (let position = 0; ;) {
    const chunk = Buffer.allocUnsafe(4_096);
    const length = await file.read(chunk, position);
    if (length === 0) return Buffer.concat(chunks).toString("utf8");
    chunks.push(chunk.subarray(0, length));
    position += length;
  }
}

async function identityOf(path: string, files: FileLayer): Promise<string | undefined> {
  try {
    return (await files.facts(path)).identity;
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

async function orLocalState<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof CliError) throw error;
    throw new CliError("local-state", `the claim ${path} cannot be used: ${messageOf(error)}`, { cause: error });
  }
}
