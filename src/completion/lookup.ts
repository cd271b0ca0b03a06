/** Looks runs, users and instances up: on the platform one is logged in to where that can be asked at once, else in what is known here. */
import type { Api } from "../api/api.ts";
import { limit, type Limit } from "../async/limit.ts";
import { wait } from "../async/wait.ts";
import type { Paths } from "../config/paths.ts";
import type { Key } from "../config/settings-table.ts";
import type { Given } from "../config/settings.ts";
import { admin } from "../contract/procedures.ts";
import { users } from "../contract/rest.ts";
import type { Environment } from "../environment.ts";
import type { MeantPlatform } from "../meant-platform.ts";
import type { Timing } from "../timing.ts";
import type { Candidate } from "./candidates.ts";
import { seenIn, SeenRows, seenLately, type Seen } from "./seen.ts";

/** A platform that can be asked. */
interface Opened {
  readonly api: Api;
  /** The time for all of it. */
  readonly time: Limit;
  readonly seen: SeenRows;
}

/** What a platform can be asked for. */
type LiveKind = "run" | "user" | "instance";

/** As many as anybody reads; the newest are what is meant. */
const MAX_ROWS = 100;
/** What can be searched for: everything else names nothing that would be offered. */
const SEARCHABLE = /^[\w.+@-]{0,100}$/;

export interface Question {
  readonly kind: LiveKind;
  readonly typed: string;
  /** The customer that the line names, if it does: by e-mail, user ID or instance ID. */
  readonly user: string | undefined;
}

export interface LookupOptions {
  readonly paths: Pick<Paths, "config" | "state">;
  readonly env: Environment;
  readonly flags: Readonly<Partial<Record<Key, Given>>>;
  readonly timing: Timing;
  readonly userAgent: string;
  /** How long everything may still take from now on, in milliseconds. */
  readonly leftMs: () => number;
}

/** Reads lists only, of one platform: it changes nothing, asks nobody, and says nothing of what went wrong. */
export class Lookup {
  readonly #options: LookupOptions;
  #platform: Promise<MeantPlatform> | undefined;
  #opened: Promise<Opened | undefined> | undefined;

  constructor(options: LookupOptions) {
    this.#options = options;
  }

  /** Candidates for what is asked. Never fails. */
  async find(question: Question): Promise<Candidate[]> {
    const live = this.#ask(question).catch(() => undefined);
    // What is known here is read where the platform takes its time, so that nothing holds up its answer.
    const late = wait(Math.max(0, this.#options.leftMs() / 2), undefined, { ref: false });
    const known = (await Promise.race([live, late])) ? [] : await this.#known().catch(() => []);
    return candidatesIn((await live) ?? known, question);
  }

  /** Keeps what the platform has said, for a minute. */
  async close(): Promise<void> {
    const opened = await this.#opened?.catch(() => undefined);
    opened?.time.release();
    await Promise.all([opened?.api.close(), opened?.seen.close()]);
  }

  /** What the platform says; `undefined` where it cannot be asked. */
  async #ask({ kind, typed, user }: Question): Promise<readonly Seen[] | undefined> {
    if (!SEARCHABLE.test(typed) || !SEARCHABLE.test(user ?? "")) return [];
    this.#opened ??= this.#open();
    const opened = await this.#opened;
    if (!opened) return undefined;
    const { api, seen, time } = opened;
    const options = { retry: false, signal: time.signal };
    const list = async () => {
      if (kind === "user") {
        const search = { search: typed, page: "1", limit: String(MAX_ROWS) };
        return seenIn(users.path, await api.get(users, search, options));
      }
      // A part of an ID cannot be searched for.
      const search = user?.includes("@") ? user : /^(?:[\da-f-]*|@.*)$/.test(typed) ? undefined : typed;
      const input = { limit: MAX_ROWS, ...(search === undefined ? {} : { search }) };
      const procedure = kind === "run" ? admin.listAllCliRuns : admin.list;
      return seenIn(procedure.path, await api.query(procedure, input, options));
    };
    const rows = await list();
    seen.add(rows);
    return rows;
  }

  /** Opens the platform, as far as there is a token at hand: neither the keyring is asked, nor the user. */
  async #open(): Promise<Opened | undefined> {
    const { paths, env, timing, userAgent } = this.#options;
    const { origin, takesVariable } = await this.#meant();
    const { findCredential } = await import("../config/credentials.ts");
    const credential = await findCredential(paths.config, { origin, takesVariable }, env, undefined);
    if (!credential) return undefined;
    const [{ Api }, { boundedLookup }] = await Promise.all([import("../api/api.ts"), import("../api/wire/lookup.ts")]);
    const leftMs = this.#options.leftMs();
    if (leftMs <= 0) return undefined;
    const time = limit(undefined, leftMs);
    const api = new Api({
      origin,
      token: credential.token,
      userAgent,
      env,
      timing,
      signal: time.signal,
      lookup: boundedLookup(leftMs),
    });
    return { api, time, seen: new SeenRows(paths.state, origin) };
  }

  /** What was seen lately, and what this machine has on record itself. */
  async #known(): Promise<Seen[]> {
    const { state } = this.#options.paths;
    const { origin } = await this.#meant();
    const { seenInJournal } = await import("./recorded.ts");
    const [lately, recorded] = await Promise.all([
      seenLately(state, origin),
      seenInJournal(state, origin).catch(() => []),
    ]);
    return [...lately, ...recorded];
  }

  #meant(): Promise<MeantPlatform> {
    this.#platform ??= this.#askSettings();
    return this.#platform;
  }

  async #askSettings(): Promise<MeantPlatform> {
    const { paths, env, flags } = this.#options;
    const [{ configPath, readConfig }, { meantPlatform, settingsInForce }] = await Promise.all([
      import("../config/config-file.ts"),
      import("../meant-platform.ts"),
    ]);
    const config = await readConfig(paths.config);
    return meantPlatform(settingsInForce({ flags, env, config, path: configPath(paths.config) }));
  }
}

/** The candidates among what is known, the newest first; of runs those in progress before the others. */
function candidatesIn(rows: readonly Seen[], { kind, typed, user }: Question): Candidate[] {
  const named = user?.toLowerCase();
  const meant = rows.filter(
    ({ email, userId, instanceId }) =>
      kind === "user" || named === undefined || [email?.toLowerCase(), userId, instanceId].includes(named),
  );
  if (kind === "user") return meant.flatMap(({ email }) => offer(email));
  if (kind === "instance")
    return meant.flatMap(({ runId, instanceId, email, userId, status }) =>
      offer(instanceId, email ?? userId, runId === null ? status : null),
    );
  const runs = meant.filter(({ runId }) => runId !== null);
  const inProgress = runs.filter(({ status }) => status === "running");
  const others = runs.filter(({ status }) => status !== "running");
  const latest = named === undefined ? [] : offer("@latest", "this user's latest run");
  return [
    ...[...inProgress, ...others].flatMap(({ runId, email, userId, status }) => offer(runId, email ?? userId, status)),
    ...latest,
    // A customer stands for a run, too; who has typed nothing yet is shown the runs alone.
    ...(typed === "" ? [] : runs.flatMap(({ email }) => offer(email, "this user's run"))),
  ];
}

/** One candidate with what is known about it; none where nothing is. */
function offer(value: string | null, ...about: readonly (string | null)[]): Candidate[] {
  return value === null ? [] : [{ value, description: about.filter((part) => part !== null).join(" ") }];
}
