import { CliError } from "../errors.ts";
import { command, hint } from "../typed-command.ts";
import {
  DEFAULT_PROFILE,
  isGlobal,
  readValue,
  settingOf,
  unknownKeysOf,
  unknownWords,
  type Config,
  type Key,
  type KeyOf,
  type Profile,
  type SETTINGS,
  type UnknownKey,
  type Value,
} from "./settings-table.ts";

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
