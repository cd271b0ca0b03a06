/** Finds the instance of each of many entries, with few questions. */
import type { Api } from "../../api/api.ts";
import { CONCURRENCY, pooled } from "../../async/pool.ts";
import { instancesOf, isUuid } from "../../customers/find.ts";
import { countInstances, scanInstances, searchInstances, type Instance } from "../../customers/instances.ts";
import { searchUsers } from "../../customers/users.ts";
import type { Entry } from "../item.ts";

/** Where a start would go. */
export interface Destination {
  readonly userId: string;
  readonly userEmail: string | null;
  readonly instanceId: string;
}

/** Why there is no one destination, and whose it would be, as far as that is known. */
interface Nowhere {
  readonly planned: "no-instance" | "ambiguous" | "unknown";
  readonly userId: string | null;
  readonly userEmail: string | null;
  readonly detail: string | null;
}

export type Resolved = Destination | Nowhere;

const PAGE_SIZE = 100;
/** The IDs of all that was read are kept meanwhile: beyond so many, searching for each is better. */
const MAX_SCANNED = 500_000;
/** A search that finds more users than this does not name one. */
const MAX_USERS = 1_000;
const MAX_CANDIDATES = 10;

/** What one or several entries ask for, and what was found of it. */
interface Wanted {
  /** As the platform writes it: IDs that are UUIDs in lower case, and e-mail addresses, whose case does not count. */
  readonly name: string;
  readonly instance: string | null;
  /** Whether `name` is an ID that the search for instances does not know. */
  readonly legacy: boolean;
  /** Instances that have to do with it. */
  found: readonly Instance[];
  resolved: Resolved | undefined;
}

/**
 * Finds the destination of each entry, in their order. Goes through all instances where that is fewer questions than searching for
 * each; only who has none is looked for among the users.
 *
 * @throws ApiError
 */
export async function resolveEntries(
  api: Api,
  entries: readonly Entry[],
  onProgress: (done: number, total: number) => void,
): Promise<Resolved[]> {
  const wanted = new Map<string, Wanted>();
  const all = entries.map((entry) => {
    const fresh = wantedOf(entry);
    const key = `${fresh.name}\n${fresh.instance ?? ""}`;
    const known = wanted.get(key) ?? fresh;
    wanted.set(key, known);
    return known;
  });
  const each = [...wanted.values()];
  if (each.length === 0) return [];
  const total = await countInstances(api);
  const scanned = total <= MAX_SCANNED && total / PAGE_SIZE <= each.length && (await scanFor(api, each, onProgress));
  if (!scanned) await searchFor(api, each, onProgress);
  for (const want of each) settle(want);
  const left = each.filter(({ resolved }) => resolved === undefined);
  let done = each.length - left.length;
  onProgress(done, each.length);
  const lookUp = async (want: Wanted) => {
    want.resolved = await lookUpUser(api, want, { scanned });
  };
  for await (const _ of pooled(left, CONCURRENCY, lookUp)) onProgress(++done, each.length);
  return all.map(({ name, resolved }) => resolved ?? nowhere("unknown", `${name} was not looked for`));
}

/** One for all: there can be very many. */
const NONE: readonly Instance[] = [];

function wantedOf({ named, instance }: Entry): Wanted {
  const legacy = !isUuid(named) && !named.includes("@");
  return { name: legacy ? named : named.toLowerCase(), instance, legacy, found: NONE, resolved: undefined };
}

/** Goes through all instances. @returns false where some may have been missed: then nothing was found. */
async function scanFor(api: Api, each: readonly Wanted[], onProgress: (done: number, total: number) => void) {
  const byName = new Map<string, Wanted[]>();
  for (const want of each) {
    for (const name of new Set([want.name, want.instance])) {
      if (name === null) continue;
      const others = byName.get(name);
      if (others) others.push(want);
      else byName.set(name, [want]);
    }
  }
  const take = (instance: Instance) => {
    for (const name of new Set([instance.userEmail?.toLowerCase(), instance.userId, instance.id])) {
      for (const want of (name !== undefined && byName.get(name)) || []) {
        if (want.found.at(-1) !== instance) want.found = [...want.found, instance];
      }
    }
  };
  const complete = await scanInstances(api, {}, take, onProgress);
  if (!complete) for (const want of each) want.found = NONE;
  return complete;
}

async function searchFor(api: Api, each: readonly Wanted[], onProgress: (done: number, total: number) => void) {
  let done = 0;
  const searchable = each.filter(({ legacy, instance }) => !legacy || instance !== null);
  for await (const { item, found } of searchInstances(api, searchable, ({ instance, name }) => instance ?? name)) {
    // The search finds parts of longer addresses too.
    item.found = found.filter((row) => isOf(row, item.name) || row.id === item.instance);
    settle(item);
    onProgress(++done, each.length);
  }
}

function isOf({ id, userId, userEmail }: Instance, name: string): boolean {
  return id === name || userId === name || userEmail?.toLowerCase() === name;
}

/** Decides what there is to decide, and lets go of what was found. */
function settle(want: Wanted): void {
  want.resolved ??= decide(want);
  want.found = NONE;
}

/** What the instances that were found say; `undefined`: nothing. */
function decide({ name, instance, found: inAnyOrder }: Wanted): Resolved | undefined {
  const found = inAnyOrder.toSorted((a, b) => b.createdAt.getTime() - a.createdAt.getTime());
  if (instance !== null) return decideNamed(name, instance, found);
  const users = found.filter((row) => row.userId === name || row.userEmail?.toLowerCase() === name);
  const ids = [...new Set(users.map(({ userId }) => userId))];
  if (ids.length > 1) return nowhere("ambiguous", `${ids.length} users: ${ids.slice(0, MAX_CANDIDATES).join(", ")}`);
  const candidates = users.length > 0 ? users : found.filter(({ id }) => id === name);
  const active = candidates.filter(({ destroyedAt }) => destroyedAt === null);
  const [first] = active;
  if (first && active.length === 1) return destinationOf(first);
  if (first) {
    return nowhere("ambiguous", `${active.length} active instances: ${candidateWords(active)}`, first);
  }
  const [last] = candidates;
  return last && nowhere("no-instance", destroyedWords(last), last);
}

function decideNamed(name: string, id: string, found: readonly Instance[]): Resolved | undefined {
  const row = found.find((candidate) => candidate.id === id);
  if (!row) {
    const [other] = found;
    return other && nowhere("no-instance", `no instance has the ID ${id}`, other);
  }
  if (!isOf(row, name)) {
    return nowhere("no-instance", `instance ${id} belongs to ${row.userEmail ?? row.userId}, not to ${name}`);
  }
  return row.destroyedAt === null ? destinationOf(row) : nowhere("no-instance", destroyedWords(row), row);
}

/** Whether there is such a user, whom no instance speaks of. */
async function lookUpUser(api: Api, want: Wanted, { scanned }: { scanned: boolean }): Promise<Resolved> {
  const { name, instance } = want;
  const users = await searchUsers(api, name, MAX_USERS);
  const exact = users.filter(({ id, email }) => id === name || email.toLowerCase() === name);
  const [user] = exact;
  if (!user) {
    const vague = users.length >= MAX_USERS;
    return nowhere("unknown", vague ? `more than ${MAX_USERS} users have this in their address or name` : null);
  }
  if (exact.length > 1) {
    return nowhere(
      "ambiguous",
      `${exact.length} users: ${exact
        .map(({ id }) => id)
        .slice(0, MAX_CANDIDATES)
        .join(", ")}`,
    );
  }
  // The search for instances finds a user of a legacy ID by the e-mail address only.
  if (want.legacy && !scanned && instance === null) {
    want.found = await instancesOf(api, { userId: user.id, email: user.email, instance: undefined });
    settle(want);
    if (want.resolved) return want.resolved;
  }
  return nowhere("no-instance", instance === null ? null : `no instance has the ID ${instance}`, {
    userId: user.id,
    userEmail: user.email,
  });
}

function destinationOf({ id, userId, userEmail }: Instance): Destination {
  return { userId, userEmail, instanceId: id };
}

function nowhere(
  planned: Nowhere["planned"],
  detail: string | null,
  whose: { readonly userId: string | null; readonly userEmail: string | null } = { userId: null, userEmail: null },
): Nowhere {
  return { planned, userId: whose.userId, userEmail: whose.userEmail, detail };
}

function candidateWords(candidates: readonly Instance[]): string {
  const words = candidates
    .slice(0, MAX_CANDIDATES)
    .map(({ id, organizationId }) => `${id} (${organizationId ? `organization ${organizationId}` : "personal"})`);
  return words.join(", ") + (candidates.length > words.length ? `, and ${candidates.length - words.length} more` : "");
}

/** What is to be said of an instance that is no more. */
export function destroyedWords({ id, destroyedAt }: Pick<Instance, "id" | "destroyedAt">): string {
  return `instance ${id} was destroyed at ${destroyedAt?.toISOString() ?? "some time"}`;
}
