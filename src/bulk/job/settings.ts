import { jobPlaybook, type JournalRecord, type PlaybookMark } from "../../journal/record.ts";

/** What to do about a target on which a run is already in progress. */
export const ON_CONFLICT = ["skip", "attach", "wait", "fail"] as const;
export type OnConflict = (typeof ON_CONFLICT)[number];

/** How many targets may go wrong: so many, or so many in a hundred. */
export type ErrorLimit = { readonly count: number } | { readonly percent: number };

/** The playbook that a job's prompt comes from, with what holds for the job whoever goes on with it. */
export interface JobPlaybook extends PlaybookMark {
  readonly requiresTicket: boolean;
  /** Starts under way at a time, whatever is asked for. */
  readonly concurrency: number | null;
  /** A canary has at least so many runs. */
  readonly canary: number | null;
}

/** How a job is to be done. */
export interface JobSettings {
  /** Starts under way at a time, at most. */
  readonly concurrency: number;
  /** Starts a second, at most. */
  readonly rate: number | null;
  /** Runs in progress at a time, at most. */
  readonly maxRunning: number | null;
  /** So many runs have to complete before the others are started. */
  readonly canary: number | null;
  /** Start nothing more once more than this has gone wrong. */
  readonly maxErrors: ErrorLimit | null;
  readonly onConflict: OnConflict;
  /** Follow every run to its end. */
  readonly wait: boolean;
  /** Follow a run no longer than this. */
  readonly runTimeoutMs: number | null;
  /** A run of a target's prompt that has started since then is taken for its start. ISO-8601, by the platform's clock. */
  readonly unlessStartedSince: string | null;
  readonly playbook: JobPlaybook | null;
}

type Recorded = Extract<JournalRecord, { kind: "job" }>["settings"];

/** The settings as a journal holds them. */
export function toRecorded({ maxErrors, playbook, ...settings }: JobSettings): Recorded {
  const ofPlaybook = playbook && {
    playbook: playbook.name,
    playbookSha256: playbook.sha256,
    playbookTicket: playbook.requiresTicket,
    playbookConcurrency: playbook.concurrency,
    playbookCanary: playbook.canary,
  };
  return { ...settings, maxErrors: maxErrors && formatLimit(maxErrors), ...ofPlaybook };
}

/** The settings that a journal holds; what an older version did not know is as if it had not been asked for. */
export function fromRecorded(recorded: Recorded): JobSettings {
  const number = (key: string) => (typeof recorded[key] === "number" ? recorded[key] : null);
  const { maxErrors: limit, unlessStartedSince: since } = recorded;
  const playbook = jobPlaybook(recorded);
  return {
    concurrency: number("concurrency") ?? 1,
    rate: number("rate"),
    maxRunning: number("maxRunning"),
    canary: number("canary"),
    maxErrors: typeof limit === "string" ? (parseLimit(limit) ?? null) : null,
    onConflict: ON_CONFLICT.find((one) => one === recorded["onConflict"]) ?? "skip",
    wait: recorded["wait"] === true,
    runTimeoutMs: number("runTimeoutMs"),
    unlessStartedSince: typeof since === "string" ? since : null,
    playbook: playbook
      ? {
          ...playbook,
          requiresTicket: recorded["playbookTicket"] === true,
          concurrency: number("playbookConcurrency"),
          canary: number("playbookCanary"),
        }
      : null,
  };
}

/** Reads `5` or `2%`; `undefined` when it is neither. */
export function parseLimit(text: string): ErrorLimit | undefined {
  const [, number, percent] = /^(\d+(?:\.\d+)?)(%?)$/.exec(text.trim()) ?? [];
  if (number === undefined) return undefined;
  const value = Number(number);
  if (percent === "%") return value <= 100 ? { percent: value } : undefined;
  return Number.isSafeInteger(value) ? { count: value } : undefined;
}

/** An error limit as it is typed. */
export function formatLimit(limit: ErrorLimit): string {
  return "percent" in limit ? `${limit.percent}%` : String(limit.count);
}
