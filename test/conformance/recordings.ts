/** The recorded exchanges with the real platform, read from `test/fixtures/recorded`. */
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import * as z from "zod";

const FOLDER = fileURLToPath(new URL("../fixtures/recorded/", import.meta.url));

const headers = z.record(z.string(), z.string());

const exchange = z.object({
  scenario: z.string(),
  request: z.object({
    method: z.string(),
    path: z.string(),
    query: z.object({ batch: z.string().optional(), input: z.unknown().optional() }),
    url: z.string(),
    auth: z.string(),
    headers,
    body: z.unknown(),
  }),
  response: z.object({ status: z.number(), headers, body: z.unknown() }),
});

/** One request and the platform's answer. Status 0: the connection was reset. */
export type Exchange = z.infer<typeof exchange>;

/** Answers of simultaneous requests, of which only the answers were recorded. */
const race = z.object({
  scenario: z.string(),
  responses: z.array(z.object({ status: z.number(), body: z.unknown() })),
});
type Race = z.infer<typeof race>;

export interface Recordings {
  readonly exchanges: readonly Exchange[];
  readonly races: readonly Race[];
  /** Recordings that are not exchanges: facts noted beside them. */
  readonly notes: ReadonlyMap<string, unknown>;
}

/** All recordings; strings that were shortened have their length again. */
export function readRecordings(): Recordings {
  const exchanges: Exchange[] = [];
  const races: Race[] = [];
  const notes = new Map<string, unknown>();
  for (const file of readdirSync(FOLDER).toSorted()) {
    const recording = restoreEdited(inflate(JSON.parse(readFileSync(FOLDER + file, "utf8"))));
    const asExchange = exchange.safeParse(recording);
    const asRace = race.safeParse(recording);
    if (asExchange.success) exchanges.push(withWholeUrl(asExchange.data));
    else if (asRace.success) races.push(asRace.data);
    else notes.set(file.replace(/\.json$/, ""), recording);
  }
  return { exchanges, races, notes };
}

/** Long URLs were shortened with an ellipsis; path and query are there in full. */
function withWholeUrl(recorded: Exchange): Exchange {
  const { path, query, url } = recorded.request;
  if (!url.includes("…")) return recorded;
  const parameters = [
    ...(query.batch === undefined ? [] : [`batch=${query.batch}`]),
    ...(query.input === undefined ? [] : [`input=${encodeURIComponent(JSON.stringify(query.input))}`]),
  ];
  return { ...recorded, request: { ...recorded.request, url: `${path}?${parameters.join("&")}` } };
}

const elided = z.object({ __len: z.number(), head: z.string(), tail: z.string() });

/** Replaces `{__len, head, tail}` by a string of that length, filled up with the head's last character. */
function inflate(value: unknown): unknown {
  const shortened = elided.safeParse(value);
  if (shortened.success) {
    const { __len, head, tail } = shortened.data;
    const missing = Math.max(0, __len - head.length - tail.length);
    const last = [...head].at(-1) ?? "";
    return head + last.repeat(Math.ceil(missing / Math.max(1, last.length))).slice(0, missing) + tail;
  }
  if (Array.isArray(value)) return value.map(inflate);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, inflate(member)]));
}

/** The recorder put one finished row back to `running` by hand; no row of the platform's own is running and has ended. */
function restoreEdited(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(restoreEdited);
  if (typeof value !== "object" || value === null) return value;
  const members = Object.fromEntries(Object.entries(value).map(([key, member]) => [key, restoreEdited(member)]));
  const edited = members["status"] === "running" && typeof members["completed_at"] === "string";
  return edited ? { ...members, exit_code: null, completed_at: null } : members;
}
