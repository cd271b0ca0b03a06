import * as z from "zod";
import { CliError } from "../errors.ts";
import { command, hint } from "../typed-command.ts";

interface Setting<T extends string | boolean = string | boolean> {
  /** A setting of the tool as a whole, or of each profile. */
  readonly scope: "global" | "profile";
  readonly schema: z.ZodType<T>;
  /** The values it can have, as a user writes them; absent: any text that its schema takes. */
  readonly values?: readonly string[];
  /** Environment variables that go before the profile, the first before the others, with how each is read. */
  readonly env?: Readonly<Record<string, (text: string) => string>>;
  readonly flag?: string;
  /** Absent: it follows from other settings, see {@link Settings.get}. */
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
    ...choice("table", "json", "jsonl", "csv", "id"),
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
  requireTicket: {
    scope: "profile",
    ...yesOrNo(),
    preset: false,
    summary: "nothing is changed without --ticket",
  },
  ticketPattern: {
    scope: "profile",
    schema: z.string().refine(isPattern, "it is not a regular expression"),
    summary: "a regular expression that a whole ticket must match",
  },
  requireReason: {
    scope: "profile",
    ...yesOrNo(),
    preset: false,
    summary: "nothing is changed without --reason",
  },
} as const satisfies Readonly<Record<string, Setting>>;

export type Key = keyof typeof SETTINGS;
export type Value<K extends Key> = z.output<(typeof SETTINGS)[K]["schema"]>;
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

/** A value as it was given on the command line, with the flag that gave it. */
export interface Given {
  readonly flag: string;
  readonly value: string | boolean;
}

export interface Sources {
  readonly flags: Readonly<Partial<Record<Key, Given>>>;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly config: Config;
  /** The settings file's path: the source of what it says. */
  readonly path: string;
  readonly defaultHost: string;
  /** Whether an address, as a user wrote it, is that of the published platform. */
  readonly isPublished: (host: string) => boolean;
}

/** What a setting without a default is when nobody says anything. */
type Absent<K extends Key> = (typeof SETTINGS)[K] extends { preset: unknown } | { presetWords: string }
  ? never
  : undefined;

/** A setting's effective value. */
export interface Effective<K extends Key = Key> {
  readonly key: K;
  readonly value: Value<K> | Absent<K>;
  readonly from: "flag" | "environment" | "file" | "default";
  /** Where exactly it was said: `--host`, a variable's name, `profile "staging" (…/config.json)`, `default`. */
  readonly source: string;
}

/** Which platform is meant, and where that was said. */
export interface Platform {
  readonly profile: string;
  readonly host: string;
  /** Named in errors about the host. */
  readonly hostSource: string;
  /** The user named it for this one command, or for this shell; not a file, and not the default. */
  readonly hostNamed: boolean;
  readonly production: boolean;
  readonly confirm: Value<"confirm">;
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

/** The settings in force: flag, then environment, then the file, then the default. */
export class Settings {
  readonly #sources: Sources;

  constructor(sources: Sources) {
    this.#sources = sources;
  }

  /** What the file says, and nothing else. */
  get config(): Config {
    return this.#sources.config;
  }

  /** The profiles that exist, the default one first. */
  get profiles(): string[] {
    return [...new Set([DEFAULT_PROFILE, ...Object.keys(this.#sources.config.profiles)])];
  }

  /**
   * The effective value of a setting. A profile that does not exist says nothing.
   *
   * @throws CliError `usage` when an environment variable or a flag has a value that the setting cannot have.
   */
  get<K extends Key>(key: K): Effective<K> {
    const { flags, env, path } = this.#sources;
    const setting = settingOf(key);
    const given = flags[key];
    if (given) return { key, value: readValue(key, given.value, given.flag), from: "flag", source: given.flag };
    for (const [name, read] of Object.entries(setting.env ?? {})) {
      const text = env[name];
      if (text) return { key, value: readValue(key, read(text), name), from: "environment", source: name };
    }
    const stored = this.#stored(key);
    if (stored !== undefined) {
      const profile = setting.scope === "profile" ? `profile "${this.get("profile").value}" (${path})` : path;
      return { key, value: stored, from: "file", source: profile };
    }
    const preset = (setting.preset ?? this.#derived(key)) as Value<K> | Absent<K>;
    return { key, value: preset, from: "default", source: "default" };
  }

  /**
   * Which platform is meant.
   *
   * @throws CliError `usage` when a profile is named that does not exist.
   */
  platform(): Platform {
    const profile = this.existingProfile();
    const host = this.get("host");
    return {
      profile,
      host: host.value,
      hostSource: host.source,
      hostNamed: host.from === "flag" || host.from === "environment",
      production: this.get("production").value,
      confirm: this.get("confirm").value,
    };
  }

  /** The unknown keys that would be in force here. */
  get unknownKeys(): UnknownKey[] {
    const { value: name } = this.get("profile");
    return unknownKeysOf(this.#sources.config).filter(({ profile }) => profile === null || profile === name);
  }

  /**
   * Has to be asked before anything is changed.
   *
   * @throws CliError `local-state` when an unknown key may be one that forbids it.
   */
  assertUnderstood(): void {
    const unclear = this.unknownKeys.find(({ stops }) => stops);
    if (!unclear) return;
    const { near } = unclear;
    throw new CliError("local-state", `${unknownWords(unclear)} of ${this.#sources.path}; nothing was sent`, {
      hint: [
        near === undefined ? "a newer kiloclaw-admin may know it" : `did you mean ${near}?`,
        "correct or remove it there; until then nothing is changed, because it may say that something has to be confirmed",
      ],
    });
  }

  /** What another profile says by itself, whatever flags and variables say now. */
  of(profile: string): Settings {
    return new Settings({ ...this.#sources, flags: { profile: { flag: "--profile", value: profile } }, env: {} });
  }

  /** @throws CliError `usage` when the profile that is named does not exist. */
  existingProfile(): string {
    const { value: name, from, source } = this.get("profile");
    if (this.profiles.includes(name)) return name;
    throw new CliError("usage", `there is no profile "${name}"${from === "flag" ? "" : ` (named by ${source})`}`, {
      hint: [
        `profiles: ${this.profiles.join(", ")}`,
        ...(name === "sandbox" ? [hint`the sandbox makes its own when it starts: ${command("sandbox start")}`] : []),
        ...(from === "file" ? [hint`use another one: ${command("config set", "profile", DEFAULT_PROFILE)}`] : []),
      ],
    });
  }

  #stored<K extends Key>(key: K): Value<K> | undefined {
    const { config } = this.#sources;
    if (isGlobal(key)) return config[key] as Value<K> | undefined;
    const name = this.get("profile").value;
    const profile: Profile | undefined = Object.hasOwn(config.profiles, name) ? config.profiles[name] : undefined;
    const value = profile?.[key as KeyOf<"profile">] as Value<K> | undefined;
    // "Not production" is said of the profile's own host, not of one that stands in for it.
    if (key === "production" && value === false && ["flag", "environment"].includes(this.get("host").from)) {
      return undefined;
    }
    return value;
  }

  #derived(key: Key): string | boolean | undefined {
    const { defaultHost, isPublished } = this.#sources;
    if (key === "host") return defaultHost;
    return key === "production" ? isPublished(this.get("host").value) : undefined;
  }
}

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
  const { schema, values } = settingOf(key);
  const asWritten = String(given);
  const known = values === undefined || values.includes(asWritten);
  const read = schema.safeParse(schema instanceof z.ZodBoolean ? asWritten === "true" : asWritten);
  if (known && read.success) return read.data as Value<K>;
  const why = values ? `it can be ${values.join(", ")}` : (read.error?.issues[0]?.message ?? "it cannot be that");
  throw new CliError("usage", `${source} is "${asWritten}"; ${why}`);
}

function choice<const T extends string>(...values: readonly [T, ...T[]]) {
  return { schema: z.enum(values), values };
}

function yesOrNo() {
  return { schema: z.boolean(), values: ["true", "false"] };
}

function text() {
  return { schema: z.string().min(1, "it cannot be empty") };
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
