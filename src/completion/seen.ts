/**
 * What the platform has just said about runs, instances and users, as far as it can be offered to whoever types: kept for a minute on
 * this machine, for its user's eyes only. Whose token is in the keyring has no other way to complete what is on the screen.
 */
import { join } from "node:path";
import * as z from "zod";
import { platformOf } from "../api/origin.ts";
import { admin } from "../contract/procedures.ts";
import { users as usersRoute } from "../contract/rest.ts";
import { systemFiles } from "../files/file-layer.ts";
import { assertOwnFile } from "../files/own.ts";
import { secureFolder } from "../journal/folder.ts";
import { tryJson } from "../json.ts";

const FORMAT = 1;
const KEPT_MS = 60_000;
/** More than anybody looks through in a list of candidates. */
const MAX_ROWS = 300;
const MAX_BYTES = 1 << 18;

/** Nothing else from a platform is ever offered: no shell reads anything but text in these. */
const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const ADDRESS = /^[A-Za-z0-9][A-Za-z0-9._+-]{0,99}@[A-Za-z0-9][A-Za-z0-9.-]{0,99}$/;

const orNull = (pattern: RegExp) => z.string().regex(pattern).nullable().catch(null);

/** One thing that is known: a run, an instance or a user. What is not safe to offer is `null`. */
const seen = z.object({
  runId: orNull(UUID),
  instanceId: orNull(UUID),
  email: orNull(ADDRESS),
  userId: orNull(UUID),
  /** Of the run, else of the instance. */
  status: orNull(/^[a-z_-]{1,30}$/),
});
export type Seen = z.output<typeof seen>;

const file = z.object({
  format: z.literal(FORMAT),
  rows: z.array(seen.extend({ origin: z.string(), at: z.number() })),
});
type KeptRow = z.output<typeof file>["rows"][number];

/** A row of anybody's, with what is not safe to offer left out. */
export function safelySeen(
  row: Readonly<Record<"runId" | "instanceId" | "email" | "userId" | "status", unknown>>,
): Seen {
  return seen.parse(row);
}

/** What one of the platform's lists says: nothing where the answer is that of another question. */
export function seenIn(path: string, answer: unknown): Seen[] {
  switch (path) {
    case admin.listAllCliRuns.path:
      return (answer as z.output<typeof admin.listAllCliRuns.output>).runs.map((run) =>
        safelySeen({
          runId: run.id,
          instanceId: run.instance_id,
          email: run.user_email,
          userId: run.user_id,
          status: run.status,
        }),
      );
    case admin.list.path:
      return (answer as z.output<typeof admin.list.output>).instances.map((instance) =>
        safelySeen({
          runId: null,
          instanceId: instance.id,
          email: instance.user_email,
          userId: instance.user_id,
          status: instance.lifecycle_state,
        }),
      );
    case usersRoute.path:
      return (answer as z.output<ReturnType<typeof usersRoute.answer>>).users.map((user) =>
        safelySeen({
          runId: null,
          instanceId: null,
          email: user.google_user_email,
          userId: user.id,
          status: null,
        }),
      );
    default:
      return [];
  }
}

/** Notes what a platform says, and keeps it when it is closed. */
export class SeenRows {
  readonly #stateDirectory: string;
  readonly #origin: string;
  #rows: readonly KeptRow[] = [];

  constructor(stateDirectory: string, origin: string) {
    this.#stateDirectory = stateDirectory;
    this.#origin = origin;
  }

  /** Notes what an answer says. */
  readonly note = (path: string, answer: unknown): void => this.add(seenIn(path, answer));

  add(rows: readonly Seen[]): void {
    if (rows.length === 0) return;
    const at = Date.now();
    this.#rows = newest([...rows.map((row) => ({ ...row, origin: this.#origin, at })), ...this.#rows]);
  }

  /** Never fails: what cannot be kept is only not offered. */
  async close(): Promise<void> {
    const rows = this.#rows;
    this.#rows = [];
    if (rows.length > 0) await keep(this.#stateDirectory, rows).catch(() => undefined);
  }
}

/** The first of each, and no more than are kept. */
function newest(rows: readonly KeptRow[]): KeptRow[] {
  const kept = new Map<string, KeptRow>();
  for (const row of rows) {
    const { origin, runId, instanceId, userId, email } = row;
    const key = `${origin} ${runId ?? instanceId ?? userId ?? email}`;
    if (kept.size < MAX_ROWS && !kept.has(key)) kept.set(key, row);
  }
  return [...kept.values()];
}

/** What was seen of a platform within the last minute, the newest first. Never fails. */
export async function seenLately(stateDirectory: string, origin: string): Promise<Seen[]> {
  const rows = await readRows(stateDirectory).catch(() => []);
  return rows.filter((row) => platformOf(row.origin) === platformOf(origin));
}

function pathOf(stateDirectory: string): string {
  return join(stateDirectory, "seen.json");
}

async function readRows(stateDirectory: string): Promise<KeptRow[]> {
  const path = pathOf(stateDirectory);
  const opened = await systemFiles.open(path, "read");
  try {
    const facts = await opened.facts();
    assertOwnFile(path, facts);
    const bytes = Buffer.alloc(Math.min(facts.size, MAX_BYTES));
    const length = await opened.read(bytes, 0);
    const now = Date.now();
    const rows = file.safeParse(tryJson(bytes.toString("utf8", 0, length))).data?.rows ?? [];
    return rows.filter(({ at }) => at <= now && at > now - KEPT_MS);
  } finally {
    await opened.close();
  }
}

async function keep(stateDirectory: string, rows: readonly KeptRow[]): Promise<void> {
  await secureFolder(stateDirectory, stateDirectory);
  const kept = newest([...rows, ...(await readRows(stateDirectory).catch(() => []))]);
  const { default: writeFileAtomic } = await import("write-file-atomic");
  // Kept for a minute only: it need not reach the disk at once.
  await writeFileAtomic(pathOf(stateDirectory), JSON.stringify({ format: FORMAT, rows: kept }), {
    mode: 0o600,
    fsync: false,
  });
}
