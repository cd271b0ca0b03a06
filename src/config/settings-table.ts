import { isAbsolute } from "node:path";
import * as z from "zod";
import { lazily } from "../contract/lazily.ts";
import { CliError } from "../errors.ts";

interface Setting<T extends string | boolean = string | boolean> {
  /** A setting of the tool as a whole, or of each profile. */
  readonly scope: "global" | "profile";
  /** Built when it is first asked for. */
  readonly schema: () => z.ZodType<T>;
  /** The values it can have, as a user writes them; absent: any text that its schema takes. */
  readonly values?: readonly string[];
  /** Environment variables that go before the profile, the first before the others, with how each is read. */
  readonly env?: Readonly<Record<string, (text: string) => string>>;
  readonly flag?: string;
  /** Absent: it follows from other settings, see `Settings`. */
  readonly preset?: T;
  /** The default in words, where the value alone does not say it. */
  readonly presetWords?: string;
  readonly summary: string;
}

/** The profile that always exists. */
export const DEFAULT_PROFILE = "default";

/** Every setting: what the file may hold, the `config` commands, their help and the README follow from this table. */
export const SETTINGS = {
  profile: {
    scope: "global",
    ...text(),
    env: { KILOCLAW_ADMIN_PROFILE: asItIs },
    flag: "--profile",
    preset: DEFAULT_PROFILE,
    summary: "the profile that is used when none is named",
  },
  host: {
    scope: "profile",
    ...text(),
    env: { KILOCLAW_ADMIN_HOST: asItIs },
    flag: "--host",
    presetWords: "https://app.kilo.ai",
    summary: "the platform's address",
  },
  production: {
    scope: "profile",
    ...yesOrNo(),
    presetWords: "true for https://app.kilo.ai",
    summary: "mark everything done there as production; a confirmation asks for the host's name",
  },
  confirm: {
    scope: "profile",
    ...choice("auto", "always"),
    preset: "auto",
    summary: "always: runs start asks too, and on a terminal --yes does not stand for the answer",
  },
  output: {
    scope: "profile",
    ...choice("table", "json", "jsonl", "yaml", "csv", "id"),
    env: { KILOCLAW_ADMIN_OUTPUT: asItIs },
    flag: "--output",
    preset: "table",
    summary: "the output format",
  },
  color: {
    scope: "profile",
    ...choice("auto", "always", "never"),
    env: {
      NO_COLOR: () => "never",
      FORCE_COLOR: (text) => (text === "0" || text === "false" ? "never" : "always"),
    },
    flag: "--color",
    preset: "auto",
    summary: "colour",
  },
  utc: {
    scope: "profile",
    ...yesOrNo(),
    flag: "--utc",
    preset: false,
    summary: "exact times instead of relative ones",
  },
  csvBom: {
    scope: "profile",
    ...yesOrNo(),
    flag: "--bom",
    preset: false,
    summary: "csv output begins with a byte order mark, so that Excel reads it as UTF-8",
  },
  requireTicket: {
    scope: "profile",
    ...yesOrNo(),
    preset: false,
    summary: "nothing is changed without --ticket",
  },
  ticketPattern: {
    scope: "profile",
    schema: lazily(() => z.string().refine(isPattern, "it is not a regular expression")),
    summary: "a regular expression that a whole ticket must match",
  },
  requireReason: {
    scope: "profile",
    ...yesOrNo(),
    preset: false,
    summary: "nothing is changed without --reason",
  },
  requirePlaybook: {
    scope: "profile",
    ...yesOrNo(),
    preset: false,
    summary: "nothing is started without --playbook; retries and resumed jobs keep the prompt on record",
  },
  playbooks: {
    scope: "profile",
    schema: lazily(() => z.string().refine(isAbsolute, "it is not the absolute path of a folder")),
    summary: "the folder with the team's playbooks, such as a git checkout; see help playbooks",
  },
  statusPage: {
    scope: "profile",
    schema: lazily(() =>
      z.url({ protocol: /^https?$/, error: "it is not an address such as https://status.example.com" }),
    ),
    summary: "the address where the platform's operators say what is failing; named when it fails",
  },
} as const satisfies Readonly<Record<string, Setting>>;

export type Key = keyof typeof SETTINGS;
export type Value<K extends Key> = z.output<ReturnType<(typeof SETTINGS)[K]["schema"]>>;
export type KeyOf<S extends Setting["scope"]> = {
  [K in Key]: (typeof SETTINGS)[K]["scope"] extends S ? K : never;
}[Key];

export const KEYS = Object.keys(SETTINGS) as Key[];

/** A setting of the table with its optional parts. */
export function settingOf(key: Key): Setting {
  return SETTINGS[key];
}

/** What the file says about one profile. */
export type Profile = { readonly [K in KeyOf<"profile">]?: Value<K> | undefined };

/** What the file says. */
export type Config = { readonly [K in KeyOf<"global">]?: Value<K> | undefined } & {
  readonly profiles: Readonly<Record<string, Profile>>;
};

/** A profile's name: never one that looks like a flag, a path or a part of the language. */
export const PROFILE_NAME = /^[A-Za-z0-9][\w.-]{0,63}$/;
export const PROFILE_NAME_WORDS =
  "a profile's name begins with a letter or a digit and has letters, digits, - _ . only";

/** Whether a text names a setting. */
export function isKey(text: string): text is Key {
  return Object.hasOwn(SETTINGS, text);
}

export function isGlobal(key: Key): key is KeyOf<"global"> {
  return SETTINGS[key].scope === "global";
}

/**
 * A value for a setting from what a user wrote.
 *
 * @param source where it was written, for the error.
 * @throws CliError `usage` that names the valid values.
 */
export function readValue<K extends Key>(key: K, given: string | boolean, source: string): Value<K> {
  const { schema: makeSchema, values } = settingOf(key);
  const schema = makeSchema();
  const asWritten = String(given);
  const known = values === undefined || values.includes(asWritten);
  const read = schema.safeParse(schema instanceof z.ZodBoolean ? asWritten === "true" : asWritten);
  if (known && read.success) return read.data as Value<K>;
  const why = values ? `it can be ${values.join(", ")}` : (read.error?.issues[0]?.message ?? "it cannot be that");
  throw new CliError("usage", `${source} is "${asWritten}"; ${why}`);
}

/** A key in the settings file that this version does not know: a newer one's, or a mistyped one. */
export interface UnknownKey {
  readonly key: string;
  /** The profile that it stands in; `null`: in none. */
  readonly profile: string | null;
  /** The known key that may be meant. */
  readonly near: Key | undefined;
  /** Whether it may forbid something: nothing is changed as long as it is not understood. */
  readonly stops: boolean;
}

/** The keys of the settings file that this version does not know. They are kept as they are. */
export function unknownKeysOf(config: Config): UnknownKey[] {
  const { profiles, ...globals } = config;
  const unknown = (object: object, profile: string | null) =>
    Object.keys(object).flatMap((key): UnknownKey[] => {
      if (isKey(key) && isGlobal(key) === (profile === null)) return [];
      const near = KEYS.find((known) => distance(known.toLowerCase(), key.toLowerCase()) <= MISTYPED);
      return [{ key, profile, near, stops: near !== undefined || /^(?:require|confirm)/i.test(key) }];
    });
  return [...unknown(globals, null), ...Object.entries(profiles).flatMap(([name, profile]) => unknown(profile, name))];
}

/** So many letters at most are wrong in a mistyped key. */
const MISTYPED = 2;

/** How many letters have to be added, removed or replaced to make one word of another (Levenshtein). */
function distance(one: string, other: string): number {
  let row = Array.from({ length: other.length + 1 }, (_, at) => at);
  for (const [above, letter] of [...one].entries()) {
    const next = [above + 1];
    for (let at = 1; at <= other.length; at++) {
      const replaced = (row[at - 1] ?? 0) + (other[at - 1] === letter ? 0 : 1);
      next.push(Math.min(replaced, (row[at] ?? 0) + 1, (next[at - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[other.length] ?? 0;
}

/** An unknown key in words, with where it stands. */
export function unknownWords({ key, profile }: UnknownKey): string {
  return `unknown setting ${JSON.stringify(key)}${profile === null ? "" : ` in profile "${profile}"`}`;
}

function choice<const T extends string>(...values: readonly [T, ...T[]]) {
  return { schema: lazily(() => z.enum(values)), values };
}

function yesOrNo() {
  return { schema: lazily(() => z.boolean()), values: ["true", "false"] };
}

function text() {
  return { schema: lazily(() => z.string().min(1, "it cannot be empty")) };
}

function isPattern(text: string): boolean {
  try {
    return text !== "" && Boolean(new RegExp(text, "u"));
  } catch {
    return false;
  }
}

function asItIs(text: string): string {
  return text;
}
