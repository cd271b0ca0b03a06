/**
 * Claims: one process at a time, on this machine.
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
 * Not covered: two machines that share the folder over a network. There a claim that cannot be judged counts as held.
 */
import { createHash, randomUUID } from "node:crypto";
import { join } from "node:path";
import * as z from "zod";
import { CliError, messageOf } from "../errors.ts";
import { isMissing, systemFiles, type FileLayer, type OpenFile } from "./file-layer.ts";
import { assertTrusted, secureFolder } from "./folder.ts";
import {
  identify,
  isGone,
  processIdentity,
  thisMachine,
  type Machine,
  type ProcessIdentity,
} from "./process-identity.ts";

const queued = z.object({
  nonce: z.uuid(),
  process: processIdentity,
  op: z.uuid(),
  since: z.iso.datetime(),
});
const withdrawal = z.object({ withdrawn: z.uuid() });

/** Who holds a claim. */
export interface Holder {
  readonly pid: number;
  readonly host: string;
  /** The operation, or the journal, that it is held for. */
  readonly op: string;
  readonly since: Date;
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
}

/** Somebody else has it. */
export class HeldError extends CliError {
  readonly holder: Holder;

  constructor(what: string, path: string, holder: Holder) {
    super("conflict", `${what}: process ${holder.pid}, since ${holder.since.toISOString()} (operation ${holder.op})`, {
      hint: [
        "wait for it to end, then try again",
        `if it is certain that it does not run any more, on ${holder.host} or in a container: rm ${path}`,
      ],
      retryable: true,
    });
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
  const folder = join(stateDirectory, "claims");
  const name = createHash("sha256").update(`${origin}\n${instanceId}`).digest("hex");
  const path = join(folder, name);
  return orLocalState(path, async () => {
    await secureFolder(stateDirectory, folder, files);
    return takeClaim(path, claimant, `another command is at work on instance ${instanceId}`, files);
  });
}

/** The claim on a journal's file: held for as long as it is written. */
function claimOn(journalPath: string): string {
  return `${journalPath}.claim`;
}

/**
 * Claims a journal's file for writing.
 *
 * @throws HeldError (`conflict`), CliError `local-state`
 */
export async function claimJournal(journalPath: string, claimant: Claimant, files: FileLayer): Promise<Claim> {
  const path = claimOn(journalPath);
  return orLocalState(path, () => takeClaim(path, claimant, `the journal ${journalPath} is being written`, files));
}

/** The process that is writing a journal now, if any. Changes nothing. */
export async function writerOf(journalPath: string, files: FileLayer): Promise<Holder | null> {
  const path = claimOn(journalPath);
  return orLocalState(path, async () => {
    let file: OpenFile;
    try {
      file = await files.open(path, "read");
    } catch (error) {
      if (isMissing(error)) return null;
      throw error;
    }
    try {
      return (await firstAlive(path, file, await thisMachine())) ?? null;
    } finally {
      await file.close();
    }
  });
}

async function takeClaim(path: string, { pid, op, self }: Claimant, what: string, files: FileLayer): Promise<Claim> {
  const process = self ?? (await identify(pid));
  for (;;) {
    const file = await files.open(path, "join");
    try {
      const facts = await file.facts();
      assertTrusted(path, facts);
      const nonce = randomUUID();
      await append(file, { nonce, process, op, since: new Date().toISOString() });
      const inTheWay = await firstAlive(path, file, process, nonce);
      // Only once everybody ahead is out of the way it matters whether this is still the file: the open one keeps its identity.
      if ((await identityOf(path, files)) !== facts.identity) continue;
      if (inTheWay) {
        await append(file, { withdrawn: nonce });
        throw new HeldError(what, path, inTheWay);
      }
      return {
        release: async () => {
          // It can only be another one if somebody has removed the file by hand.
          if ((await identityOf(path, files).catch(() => undefined)) !== facts.identity) return;
          await files.remove(path).catch(() => undefined);
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

/** The first in the queue, ahead of `own` if given, that lives and wants it. */
async function firstAlive(path: string, file: OpenFile, machine: Machine, own?: string): Promise<Holder | undefined> {
  const entries = (await readWhole(file)).split("\n").flatMap(parse);
  const withdrawn = new Set(entries.map((entry) => ("withdrawn" in entry ? entry.withdrawn : undefined)));
  for (const entry of entries) {
    if ("withdrawn" in entry) continue;
    if (entry.nonce === own) return undefined;
    if (withdrawn.has(entry.nonce) || (await isGone(entry.process, machine))) continue;
    const { pid, host } = entry.process;
    return { pid, host, op: entry.op, since: new Date(entry.since) };
  }
  if (own !== undefined) throw new Error(`${path} has lost what was written to it`);
  return undefined;
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
