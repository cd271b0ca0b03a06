/**
 * A job's own folder, beside the journal: what was planned, and what became of each target. The journal says what was sent, and
 * holds neither prompts nor what runs wrote; here both may stand, for their owner's eyes only.
 */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { open, readFile, rename, type FileHandle } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import * as z from "zod";
import { CliError, messageOf } from "../../errors.ts";
import { systemFiles } from "../../files/file-layer.ts";
import { isMissing } from "../../files/missing.ts";
import { writeWholeFile } from "../../files/whole-file.ts";
import { secureFolder, type JournalFile } from "../../journal/folder.ts";
import { tryJson } from "../../json.ts";
import { STATES_IN_ORDER } from "../item-state.ts";
import { PLANNED_STATES, type Item, type Target } from "../item.ts";

const FORMAT = 1;
/** As much as is written at once. */
const CHUNK = 1 << 20;

const header = z.object({
  format: z.literal(FORMAT),
  /** The prompt, with its `{{fields}}` as they were written. */
  prompt: z.string(),
  /** Where the targets came from; a file's content is told by its hash. */
  source: z.object({
    kind: z.enum(["users", "file", "stdin", "instances", "runs", "job"]),
    path: z.string().nullable(),
    sha256: z.string().nullable(),
  }),
  total: z.number(),
  /** Which slice it is of what was asked. Without: all of it. */
  shard: z
    .object({
      number: z.int().positive(),
      of: z.int().positive(),
      /** How many entries all slices have together. */
      entries: z.int(),
      /** See `askedHash`: the same for every slice. */
      asked: z.string(),
    })
    .optional(),
});

export type PlanHeader = Omit<z.output<typeof header>, "format" | "total">;
export type StoredShard = NonNullable<PlanHeader["shard"]>;

export interface StoredPlan extends PlanHeader {
  readonly targets: readonly Target[];
}

const result = z.object({
  index: z.number(),
  state: z.enum(STATES_IN_ORDER),
  runId: z.string().nullable(),
  attached: z.boolean(),
  startedAt: z.coerce.date().nullable(),
  completedAt: z.coerce.date().nullable(),
  exitCode: z.number().nullable(),
  problem: z.string().nullable(),
});

/** What became of the target with this number in the plan, from 1. */
export type StoredResult = z.output<typeof result>;

/** A target as a file says that comes from elsewhere. */
const foreignTarget = z.strictObject({
  index: z.int().positive(),
  named: z.string(),
  instance: z.string().nullable(),
  line: z.int().nullable(),
  fields: z.record(z.string(), z.string()),
  userId: z.string().nullable(),
  userEmail: z.string().nullable(),
  instanceId: z.guid().nullable(),
  planned: z.enum(PLANNED_STATES),
  detail: z.string().nullable(),
});

/** The folder of a job. */
export function folderOf(stateDirectory: string, jobId: string): string {
  return join(stateDirectory, "jobs", jobId);
}

/**
 * Writes down what is to be done, there even after a power cut.
 *
 * @returns the file's SHA-256, for the journal.
 * @throws CliError `local-state`
 */
export async function writePlan(stateDirectory: string, jobId: string, plan: StoredPlan): Promise<string> {
  const folder = folderOf(stateDirectory, jobId);
  const path = join(folder, "plan.jsonl");
  return orLocalState(path, async () => {
    await secureFolder(stateDirectory, folder);
    const file = await open(path, "wx", 0o600);
    try {
      const { prompt, source, shard, targets } = plan;
      const hash = createHash("sha256");
      let chunk = `${JSON.stringify({ format: FORMAT, prompt, source, total: targets.length, shard })}\n`;
      const flush = async () => {
        hash.update(chunk);
        await file.writeFile(chunk);
        chunk = "";
      };
      for (const target of targets) {
        chunk += `${JSON.stringify(target)}\n`;
        if (chunk.length > CHUNK) await flush();
      }
      await flush();
      await file.sync();
      await systemFiles.syncDirectory(folder);
      return hash.digest("hex");
    } finally {
      await file.close();
    }
  });
}

/**
 * Reads what was to be done.
 *
 * @param sha256 what the journal says that the file is.
 * @throws CliError `local-state` when it is not there, or not as it was written.
 */
export async function readPlan(stateDirectory: string, jobId: string, sha256: string): Promise<StoredPlan> {
  const path = join(folderOf(stateDirectory, jobId), "plan.jsonl");
  return orLocalState(path, async () => {
    const bytes = await readFile(path);
    if (createHash("sha256").update(bytes).digest("hex") !== sha256) {
      throw new CliError("local-state", `the job's plan ${path} does not match its checksum; nothing was sent`, {
        hint: "restore it from a backup, or start a new job",
      });
    }
    // The journal vouches for every byte of it.
    return planIn(bytes, (target) => target as Target);
  });
}

function planIn(bytes: Buffer, targetIn: (json: unknown) => Target): StoredPlan {
  const [first = "", ...lines] = bytes.toString("utf8").trimEnd().split("\n");
  const { prompt, source, shard } = header.parse(JSON.parse(first));
  return { prompt, source, shard, targets: lines.map((line) => targetIn(JSON.parse(line))) };
}

/**
 * Reads a plan that comes from elsewhere. It is nobody's word for what may be in it.
 *
 * @throws Error where it is none.
 */
export function foreignPlan(bytes: Buffer): StoredPlan {
  const plan = planIn(bytes, (json) => foreignTarget.parse(json));
  if (plan.targets.every(({ index }, at) => index === at + 1)) return plan;
  throw new Error("its targets are not numbered one by one");
}

/** The bytes of a job's plan and results, as they are on the disk. @throws CliError `local-state` */
export async function readJobFiles(
  stateDirectory: string,
  jobId: string,
): Promise<{ readonly plan: Buffer; readonly results: Buffer }> {
  const read = async (name: string, missing?: Buffer) => {
    const path = join(folderOf(stateDirectory, jobId), name);
    return orLocalState(path, async () => {
      try {
        return await readFile(path);
      } catch (error) {
        if (missing && isMissing(error)) return missing;
        throw error;
      }
    });
  };
  return { plan: await read("plan.jsonl"), results: await read("results.jsonl", Buffer.alloc(0)) };
}

/** Writes the plan and the results of a job that comes from elsewhere. @throws CliError `local-state` */
export async function writeJobFiles(
  stateDirectory: string,
  jobId: string,
  { plan, results }: { readonly plan: Buffer; readonly results: Buffer },
): Promise<void> {
  const folder = folderOf(stateDirectory, jobId);
  await orLocalState(folder, () => secureFolder(stateDirectory, folder));
  await writeWholeFile(join(folder, "plan.jsonl"), plan);
  await writeWholeFile(join(folder, "results.jsonl"), results);
  await orLocalState(folder, () => systemFiles.syncDirectory(folder));
}

/** What became of a job's targets, line by line, as it becomes known. What is lost of it in a crash, the platform still knows. */
export class Results {
  readonly #file: FileHandle;
  #waiting = "";
  #writing: Promise<void> | undefined;
  #failure: unknown;

  private constructor(file: FileHandle) {
    this.#file = file;
  }

  /** @throws CliError `local-state` */
  static async open(stateDirectory: string, jobId: string): Promise<Results> {
    const path = join(folderOf(stateDirectory, jobId), "results.jsonl");
    return orLocalState(path, async () => {
      const file = await open(path, "a", 0o600);
      // After a line that was torn, a line of its own.
      if ((await file.stat()).size > 0) await file.writeFile("\n");
      return new Results(file);
    });
  }

  add({ target: { index }, state, runId, attached, startedAt, completedAt, exitCode, problem }: Item): void {
    const line = { index, state, runId, attached, startedAt, completedAt, exitCode, problem } satisfies StoredResult;
    this.#waiting += `${JSON.stringify(line)}\n`;
    this.#writing ??= this.#write();
  }

  /** @throws CliError `local-state` when some of it could not be written. */
  async close(): Promise<void> {
    await this.#writing;
    await this.#file.close();
    if (this.#failure === undefined) return;
    throw new CliError("local-state", `the results of some targets could not be saved: ${messageOf(this.#failure)}`, {
      cause: this.#failure,
    });
  }

  async #write(): Promise<void> {
    // Whatever comes in the same turn goes together.
    await Promise.resolve();
    while (this.#waiting !== "" && this.#failure === undefined) {
      const lines = this.#waiting;
      this.#waiting = "";
      await this.#file.writeFile(lines).catch((error: unknown) => (this.#failure = error));
    }
    this.#writing = undefined;
  }
}

/**
 * What became of a job's targets, oldest first: the last one about a target counts. Lines that were torn are left out.
 *
 * @throws CliError `local-state`
 */
export async function* readResults(stateDirectory: string, jobId: string): AsyncGenerator<StoredResult> {
  const path = join(folderOf(stateDirectory, jobId), "results.jsonl");
  try {
    for await (const line of createInterface({ input: createReadStream(path), crlfDelay: Infinity })) {
      const parsed = line === "" ? undefined : result.safeParse(tryJson(line)).data;
      if (parsed) yield parsed;
    }
  } catch (error) {
    if (!isMissing(error)) throw cannotUse(path, error);
  }
}

/** The same in a file's bytes. */
export function* resultsIn(bytes: Buffer): Generator<StoredResult> {
  for (const line of bytes.toString("utf8").split("\n")) {
    const parsed = line === "" ? undefined : result.safeParse(tryJson(line)).data;
    if (parsed) yield parsed;
  }
}

const SUMMARY = z.object({ version: z.string(), summary: z.unknown() });

/**
 * Tells a job's state on this machine from every other that it has had: its files only ever grow. `undefined` where its journal
 * has been moved since it was listed.
 */
export async function versionOf({ stateDirectory, id, path }: JournalFile): Promise<string | undefined> {
  const size = await sizeOf(path);
  return size === undefined
    ? undefined
    : `${size} ${await sizeOf(join(folderOf(stateDirectory, id), "results.jsonl"))}`;
}

/** Keeps what a job comes to, for lists, as long as it is at this version. */
export async function writeSummary(
  stateDirectory: string,
  jobId: string,
  kept: z.input<typeof SUMMARY>,
): Promise<void> {
  const path = join(folderOf(stateDirectory, jobId), "summary.json");
  const draft = `${path}.new`;
  const file = await open(draft, "w", 0o600);
  try {
    await file.writeFile(JSON.stringify(kept));
  } finally {
    await file.close();
  }
  await rename(draft, path);
}

/** What a job came to at this version; `undefined` when that is not known. */
export async function readSummary(stateDirectory: string, jobId: string, version: string): Promise<unknown> {
  const text = await readFile(join(folderOf(stateDirectory, jobId), "summary.json"), "utf8").catch(() => "");
  const kept = SUMMARY.safeParse(tryJson(text)).data;
  return kept?.version === version ? kept.summary : undefined;
}

/** A file's size; `undefined` where there is none. */
async function sizeOf(file: string): Promise<number | undefined> {
  try {
    return (await systemFiles.facts(file)).size;
  } catch (error) {
    if (!isMissing(error)) throw cannotUse(file, error);
    return undefined;
  }
}

/** Does something with a job's file. @throws CliError `local-state` where the file cannot be used. */
export async function orLocalState<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw error instanceof CliError ? error : cannotUse(path, error);
  }
}

function cannotUse(path: string, error: unknown): CliError {
  return new CliError("local-state", `the job's file ${path} cannot be used: ${messageOf(error)}`, {
    hint: "free some space, or fix the folder's permissions",
    cause: error,
  });
}
