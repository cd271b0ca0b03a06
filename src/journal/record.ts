import { createHash } from "node:crypto";
import * as z from "zod";

/**
 * The number of this format. A reader refuses files of any other one: whatever changes, a line begins with it and ends with
 * its hash.
 */
export const FORMAT = 1;
/** What the first record of a file has in the place of a previous record's hash. */
export const GENESIS = "0".repeat(64);

const sha256 = z.string().regex(/^[0-9a-f]{64}$/);
const count = z.int().nonnegative();
/** A word of the tool's own, such as `possible-orphan`: never text from elsewhere. */
const word = z.string().regex(/^[a-z][a-z0-9-]{0,63}$/);
const line = z.string().max(2_000);
/** A code of an answer or of the system: `CONFLICT`, `kiloclaw_cli_run_already_active`, `ECONNRESET`. */
const code = z.string().regex(/^[\w.-]{1,100}$/);

/** What a playbook can be called: its file's name without `.md`. */
export const PLAYBOOK_NAME = /^[a-z0-9][a-z0-9-]{0,63}$/;

/** The playbook that a prompt comes from: its name, and the SHA-256 of its file. */
const playbookMark = z.object({ name: z.string().regex(PLAYBOOK_NAME), sha256 });
export type PlaybookMark = Readonly<z.output<typeof playbookMark>>;

const common = {
  format: z.literal(FORMAT),
  /** The version of kiloclaw-admin that wrote it. */
  tool: line,
  /** Counts from 0 within the file. */
  seq: count,
  /** The `seq` of the first record that was written and synced together with this one. */
  batch: count,
  /** The previous record's `hash`. */
  prev: sha256,
  /** Wall time, ISO-8601 in UTC. */
  at: z.iso.datetime({ precision: 3 }),
  /** Milliseconds of a clock that nobody sets, from an arbitrary start: comparable within one invocation only. */
  monotonicMs: z.number().nonnegative(),
  /** The operation that it is about: what an intent and its outcome share. For the file as a whole: the journal's ID. */
  op: z.uuid(),
  /** What is being done: `start`, `cancel`, `settle`, `reconcile`. */
  action: word,
  profile: line,
  origin: line,
  /** The ID of the sandbox that it was done to, if it was one of this user's. */
  sandbox: line.optional(),
  /** The platform's user ID of the admin, if the token tells it. */
  adminId: line.nullable(),
  /** The admin's e-mail address, where the platform has told it. */
  adminEmail: line.nullable().optional(),
  ticket: line.nullable(),
  reason: line.nullable(),
  /** SHA-256 over all bytes of the line before it, closed with `}`. Always the last field. */
  hash: sha256,
};

/** What it is done to. */
const about = {
  userId: line,
  instanceId: z.guid().nullable(),
  runId: z.guid().nullable(),
};

const ending = {
  runId: z.guid().nullable(),
  /** What became of it, in a word: `started`, `refused`, `conflict`, `unknown`, `cancelled`, `already-ended`. */
  result: word,
  /** Whether nothing is left to find out. Until a record says so, the intent is open. */
  settled: z.boolean(),
  /** The answer's code, if it was a refusal or a failure. */
  code: code.nullable(),
};

/** What is known of a run that was found without an intent of this machine: its journal had gone back in time. */
const adopted = z.object({
  userId: line,
  instanceId: z.guid(),
  /** The admin who started it, by the platform's row. */
  adminId: line.nullable(),
  promptSha256: sha256,
  promptLength: count,
});

const record = z.discriminatedUnion("kind", [
  /** A plan of many operations, written before the first of them. */
  z.object({
    kind: z.literal("job"),
    ...common,
    total: count,
    /** What time it was on the platform's clock, as far as that was known. */
    platformAt: z.iso.datetime({ precision: 3 }).optional(),
    settings: z.record(z.string(), z.union([z.string().max(2_000), z.number(), z.boolean(), z.null()])),
  }),
  /** Something is about to be sent. Without a settled outcome it means: maybe sent. */
  z.object({
    kind: z.literal("intent"),
    ...common,
    ...about,
    promptSha256: sha256.nullable(),
    /** In UTF-16 units, as the platform counts. */
    promptLength: count.nullable(),
    /** The instance's newest runs before it: none of them is the one to come. */
    knownRunIds: z.array(z.guid()).max(1_000),
    /** Of the action `api`: what was called, and the hash of the JSON that it was called with. */
    call: z.object({ procedure: code, inputSha256: sha256 }).optional(),
    /** The run that this start is a retry of. */
    retryOf: z.guid().optional(),
    /** Of one start: where its prompt comes from. That of a job stands in the job's settings. */
    playbook: playbookMark.optional(),
  }),
  /** What the invocation that sent it found out. */
  z.object({ kind: z.literal("outcome"), ...common, ...ending }),
  /** What a later invocation found out. */
  z.object({ kind: z.literal("reconcile"), ...common, ...ending, adopted: adopted.optional() }),
  /** A person took a decision that the rules leave to people. */
  z.object({
    kind: z.literal("override"),
    ...common,
    ...about,
    decision: word,
    /** The process that was set aside, if that is what was decided. */
    holder: z.object({ pid: z.int().positive(), host: line, since: z.iso.datetime() }).optional(),
  }),
  /** The invocation has ended in order. */
  z.object({ kind: z.literal("end"), ...common, intents: count, open: count }),
]);

/** One line of a journal. */
export type JournalRecord = z.output<typeof record>;
export type IntentRecord = Extract<JournalRecord, { kind: "intent" }>;

/** A field that a record gets from its journal. */
type Stamp = Exclude<keyof typeof common, "op" | "action">;
type EntryOf<R> = R extends { kind: "job" }
  ? Omit<R, Stamp | "op" | "action">
  : Omit<R, Stamp | "action"> & { action?: string };

/** What a caller has to say; the journal adds the rest. `action` is the invocation's unless given. */
export type Entry = EntryOf<Exclude<JournalRecord, { kind: "end" }>>;

/** The facts of a prompt that may be kept: never its text. */
export function promptFacts(prompt: string): { readonly promptSha256: string; readonly promptLength: number } {
  return { promptSha256: createHash("sha256").update(prompt, "utf8").digest("hex"), promptLength: prompt.length };
}

/** The playbook that a job's settings name. What another machine has written counts only where it has the form. */
export function jobPlaybook(settings: Extract<JournalRecord, { kind: "job" }>["settings"]): PlaybookMark | undefined {
  return playbookMark.safeParse({ name: settings["playbook"], sha256: settings["playbookSha256"] }).data;
}

/** Whether what became of a start is a run that was only seen: just like its own, and perhaps somebody else's. */
export function isSeen(result: string | null): boolean {
  return result === "alike" || result === "already-started";
}

/** An intent that has no prompt. */
export const NO_PROMPT = { promptSha256: null, promptLength: null, knownRunIds: [] } satisfies Partial<IntentRecord>;

const START = Buffer.from(`{"format":`);
const HASH_FIELD = Buffer.from(`,"hash":"`);
const SEAL_LENGTH = HASH_FIELD.length + 64 + 2;

/** Longer than any record may be. */
export const MAX_LINE_LENGTH = 1 << 17;

type Unsealed = JournalRecord extends infer R ? (R extends JournalRecord ? Omit<R, "hash"> : never) : never;

/**
 * Writes a record as a line, sealed with its own hash.
 *
 * @throws Error when it is not a record, or too long: nothing is written that could not be read again.
 */
export function seal(unsealed: Unsealed): { readonly line: Buffer; readonly record: JournalRecord } {
  const parsed = record.parse({ ...unsealed, hash: GENESIS });
  const { hash: _, format, ...fields } = parsed;
  const text = JSON.stringify({ format, ...fields });
  const hash = createHash("sha256").update(text).digest("hex");
  const line = Buffer.from(`${text.slice(0, -1)},"hash":"${hash}"}\n`);
  if (line.length > MAX_LINE_LENGTH) throw new Error(`a journal's record cannot have ${line.length} bytes`);
  return { line, record: { ...parsed, hash } };
}

/** What every format says of itself. */
const origins = z.object({ format: z.number(), tool: z.string().optional() });

/** A line whose own hash is right. */
export interface Sealed extends z.output<typeof origins> {
  readonly json: unknown;
}

/** Checks a line's own hash over its very bytes, without its line break. */
export function unseal(bytes: Buffer): Sealed | undefined {
  const at = bytes.length - SEAL_LENGTH;
  if (at < START.length || !bytes.subarray(0, START.length).equals(START)) return undefined;
  if (!bytes.subarray(at, at + HASH_FIELD.length).equals(HASH_FIELD)) return undefined;
  const sealed = bytes.toString("latin1", at + HASH_FIELD.length);
  if (`${createHash("sha256").update(bytes.subarray(0, at)).update("}").digest("hex")}"}` !== sealed) return undefined;
  const json: unknown = JSON.parse(bytes.toString("utf8"));
  return { ...origins.parse(json), json };
}

/** The record that a damaged line may end with: what it lost may have been the line break before it. */
export function unsealTail(bytes: Buffer): Sealed | undefined {
  const at = bytes.lastIndexOf(START);
  return at === -1 ? undefined : unseal(bytes.subarray(at));
}

/** Reads a sealed line as a record; `undefined` when this version does not know its kind or shape. */
export function toRecord({ json }: Sealed): JournalRecord | undefined {
  return record.safeParse(json).data;
}
