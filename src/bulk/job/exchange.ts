/**
 * A job in one file, as one person hands it to the next: its journal, its plan and its results, byte for byte, with a checksum of
 * each and of the whole. It holds no token, and no path or command is ever taken from it. The checksums find damage and careless
 * edits, not a forger: what was started is decided by the platform's rows.
 */
import { createHash } from "node:crypto";
import * as z from "zod";
import { CliError } from "../../errors.ts";
import { tryJson } from "../../json.ts";

const VERSION = 1;
const KIND = "kiloclaw-admin-job";
/** `end ` and a SHA-256 over every byte before it. */
const TRAILER = /^end ([0-9a-f]{64})\n$/;
const TRAILER_LENGTH = "end \n".length + 64;

/** The files of a job that go along, in this order. */
const PARTS = ["journal", "plan", "results"] as const;
type Part = (typeof PARTS)[number];

const fact = z.object({ bytes: z.int().nonnegative(), sha256: z.string().regex(/^[0-9a-f]{64}$/) });
const kind = z.object({ kind: z.literal(KIND), version: z.int().positive() });
const header = kind.extend({
  version: z.literal(VERSION),
  id: z.uuid(),
  parts: z.object({ journal: fact, plan: fact, results: fact }),
});

/** A job's files as they are in its folder and among the journals. */
export interface ExportedJob extends Readonly<Record<Part, Buffer>> {
  readonly id: string;
}

/** The bytes of the file. The same job at the same state gives the same file. */
export function writeExchange(job: ExportedJob): Buffer {
  const factOf = (bytes: Buffer) => ({ bytes: bytes.length, sha256: sha256(bytes) });
  const parts = { journal: factOf(job.journal), plan: factOf(job.plan), results: factOf(job.results) };
  const first = `${JSON.stringify({ kind: KIND, version: VERSION, id: job.id, parts })}\n`;
  const body = Buffer.concat([Buffer.from(first), ...PARTS.map((part) => job[part])]);
  return Buffer.concat([body, Buffer.from(`end ${sha256(body)}\n`)]);
}

/**
 * Takes such a file apart. That the journal and the plan are sound in themselves is for their own readers to say.
 *
 * @throws CliError `usage` when it is none, of a newer version, cut off or changed.
 */
export function readExchange(file: Buffer): ExportedJob {
  const lineEnd = file.indexOf("\n");
  const first: unknown = lineEnd < 0 ? undefined : tryJson(file.subarray(0, lineEnd).toString("utf8"));
  const { version } = kind.safeParse(first).data ?? {};
  if (version === undefined) throw refused("it is not an export of a job");
  if (version > VERSION) throw refused(`it is of version ${version}, and this is known up to ${VERSION}: update first`);
  const bodyEnd = file.length - TRAILER_LENGTH;
  const [, whole] = TRAILER.exec(file.subarray(Math.max(bodyEnd, 0)).toString("latin1")) ?? [];
  if (whole === undefined) throw refused("its end is missing or changed");
  if (sha256(file.subarray(0, bodyEnd)) !== whole) throw refused("it has been changed since it was written");
  const facts = header.safeParse(first).data;
  if (!facts) throw refused("its first line does not say what is in it");
  let at = lineEnd + 1;
  const take = (part: Part): Buffer => {
    const { bytes, sha256: expected } = facts.parts[part];
    const taken = file.subarray(at, Math.min(at + bytes, bodyEnd));
    at += bytes;
    if (taken.length !== bytes || sha256(taken) !== expected) throw refused(`its ${part} does not match its checksum`);
    return taken;
  };
  const job = { id: facts.id, journal: take("journal"), plan: take("plan"), results: take("results") };
  if (at !== bodyEnd) throw refused("there is more in it than it says");
  return job;
}

function refused(why: string): CliError {
  return new CliError("usage", `the file is refused: ${why}`, {
    hint: "have the job exported again where it was begun",
  });
}

function sha256(bytes: Buffer): string {
  return createHash("sha256").update(bytes).digest("hex");
}
