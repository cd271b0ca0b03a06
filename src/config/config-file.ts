import { readFileSync, statSync } from "node:fs";
import { access, rename } from "node:fs/promises";
import { join } from "node:path";
import type Conf from "conf";
import * as z from "zod";
import { CliError, messageOf } from "../errors.ts";
import { isMissing } from "../files/missing.ts";
import { assertTrusted, type Flaw } from "../files/trust.ts";
import { jsonError } from "../json.ts";
import { command, hint } from "../typed-command.ts";
import { withLock, type ConfigFolder } from "./lock.ts";
import {
  DEFAULT_PROFILE,
  KEYS,
  PROFILE_NAME,
  PROFILE_NAME_WORDS,
  SETTINGS,
  type Config,
  type KeyOf,
  type Profile,
} from "./settings-table.ts";

type Shape<S extends "global" | "profile"> = {
  [K in KeyOf<S>]: z.ZodOptional<ReturnType<(typeof SETTINGS)[K]["schema"]>>;
};

function shapeOf<S extends "global" | "profile">(scope: S, named: ReadonlySet<string>): Shape<S> {
  const keys = KEYS.filter((key) => SETTINGS[key].scope === scope && named.has(key));
  return Object.fromEntries(keys.map((key) => [key, (SETTINGS[key].schema() as z.ZodType).optional()])) as Shape<S>;
}

/**
 * What the file has to be. What a newer version has put there is kept.
 *
 * @param named the settings that it names: to build what no file has a word of takes longer than to read it.
 */
function fileSchema(named: ReadonlySet<string>) {
  const profile = z.looseObject(shapeOf("profile", named));
  return z.looseObject({
    ...shapeOf("global", named),
    profiles: z.record(z.string().regex(PROFILE_NAME, PROFILE_NAME_WORDS), profile).optional(),
  });
}

type File = z.output<ReturnType<typeof fileSchema>>;

/** What no file says. */
export const NO_CONFIG: Config = { profiles: {} };

/** The settings file's path. */
export function configPath(directory: string): string {
  return join(directory, "config.json");
}

/**
 * Reads the settings; a missing file is an empty one.
 *
 * @param onFlaw told what the user should know about who else may change the file.
 * @throws CliError `local-state` with the file's path, and what is wrong with it where, when others can change it (it decides
 *   where a token goes), or when it is not readable, not JSON or not settings. It is never overwritten.
 */
export async function readConfig(directory: string, onFlaw: (flaw: Flaw) => void = () => undefined): Promise<Config> {
  const path = configPath(directory);
  const broken = (why: string, cause?: unknown) =>
    new CliError("local-state", `the settings file ${path} cannot be used: ${why}`, {
      hint: [
        hint`fix it, or see what can be done: ${command("doctor")}`,
        "until then it is left as it is, and no command changes it",
      ],
      cause,
    });
  let text: string;
  try {
    // A pipe could keep the process, deaf to everything, from ever reading on.
    if (!statSync(path).isFile()) throw new Error("it is not a regular file");
    // Every command waits for it: to have it read beside takes longer than to read it.
    text = readFileSync(path, "utf8");
  } catch (error) {
    if (isMissing(error)) return NO_CONFIG;
    throw broken(messageOf(error), error);
  }
  for (const flaw of assertTrusted(path, "settings")) onFlaw(flaw);
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw broken(`it is not JSON: ${jsonError(text) ?? messageOf(error)}`, error);
  }
  const read = parsed(json);
  if ("why" in read) throw broken(read.why);
  const { profiles = {}, ...globals } = read.file;
  return { ...globals, profiles };
}

/**
 * Changes the settings in the file and leaves the rest as it is. Atomic, and one process after the other: a crash leaves the
 * old file or the new one, and nobody's change is lost to somebody else's.
 *
 * @param change gives the new settings from the current ones; what it throws ends this with the file untouched.
 * @throws CliError `local-state`
 */
export async function changeConfig(
  { directory, lock }: ConfigFolder,
  change: (config: Config) => Config,
): Promise<void> {
  const path = configPath(directory);
  const cannotWrite = (why: string, cause?: unknown) =>
    new CliError("local-state", `cannot write ${path}: ${why}`, { cause });
  await withLock(path, lock, async (check) => {
    assertTrusted(directory, "parent");
    const changed: unknown = JSON.parse(JSON.stringify(change(await readConfig(directory))));
    const read = parsed(changed);
    if ("why" in read) throw cannotWrite(`it would become unusable: ${read.why}`);
    check();
    try {
      const { default: Conf } = await loadConf();
      const { properties, additionalProperties } = z.toJSONSchema(fileSchema(new Set(KEYS)), { io: "input" });
      const file = new Conf<Record<string, unknown>>({
        cwd: directory,
        configName: "config",
        configFileMode: 0o600,
        accessPropertiesByDotNotation: false,
        schema: properties as Record<string, object>,
        serialize: (settings) => `${JSON.stringify(settings, null, 2)}\n`,
        rootSchema: { additionalProperties: additionalProperties !== false },
      });
      file.store = changed as Record<string, unknown>;
    } catch (error) {
      throw error instanceof CliError ? error : cannotWrite(messageOf(error), error);
    }
  });
}

/** Loaded only to write: it brings a schema compiler along. It asks for the home directory when it is loaded. */
function loadConf(): Promise<{ readonly default: typeof Conf }> {
  return import("conf").catch((error: unknown) => {
    throw new CliError("local-state", `settings cannot be written without a home directory: ${messageOf(error)}`, {
      hint: "name one: export HOME=DIRECTORY",
      cause: error,
    });
  });
}

/**
 * Creates a profile or changes some of its settings, leaving everything else as it is. `undefined` removes a setting; a
 * profile without any is removed too.
 */
export function withProfile(config: Config, name: string, settings: Profile): Config {
  const current = Object.hasOwn(config.profiles, name) ? config.profiles[name] : {};
  const merged = Object.entries({ ...current, ...settings }).filter(([, value]) => value !== undefined);
  const { [name]: _replaced, ...others } = config.profiles;
  return {
    ...config,
    profiles: merged.length === 0 ? others : { ...others, [name]: Object.fromEntries(merged) as Profile },
  };
}

/**
 * Creates a profile or changes some of its settings in the file.
 *
 * @throws CliError `local-state`
 */
export async function saveProfile(folder: ConfigFolder, name: string, settings: Profile): Promise<void> {
  await changeConfig(folder, (config) => withProfile(config, name, settings));
}

/**
 * Moves the settings file, whatever is in it, to a name with the date beside it, so that the tool can go on with the defaults
 * and nothing is lost.
 *
 * @returns the new path.
 * @throws CliError `local-state`
 */
export async function setConfigAside(directory: string, now: Date): Promise<string> {
  const path = configPath(directory);
  const dated = `${path}.broken-${now.toISOString().replaceAll(":", "-")}`;
  let aside = dated;
  try {
    for (let n = 2; await exists(aside); n++) aside = `${dated}-${n}`;
    await rename(path, aside);
  } catch (error) {
    throw new CliError("local-state", `cannot move ${path} aside: ${messageOf(error)}`, { cause: error });
  }
  return aside;
}

/** The file's content, or what is wrong with it, in words that name what would be right. */
function parsed(json: unknown): { readonly file: File } | { readonly why: string } {
  // The schema does not see this one.
  if (hasOwnProto(json)) return { why: '"__proto__" is no name, of a profile or of a setting' };
  const { data: file, error } = fileSchema(keysIn(json)).safeParse(json);
  if (!file) {
    const [issue] = error.issues;
    const where = issue && issue.path.length > 0 ? `${issue.path.join(".")}: ` : "";
    return { why: where + (issue ? issueWords(issue) : error.message) };
  }
  const { profiles = {} } = file;
  const homeless = Object.keys(profiles).find((name) => name !== DEFAULT_PROFILE && profiles[name]?.host === undefined);
  return homeless === undefined ? { file } : { why: `profiles.${homeless}: it has no host` };
}

/** The keys of the file itself, of what they hold, and of what that holds: the profiles' settings. */
function keysIn(json: unknown, depth = 2): ReadonlySet<string> {
  if (typeof json !== "object" || json === null) return new Set();
  const inner = depth > 0 ? Object.values(json).flatMap((value) => [...keysIn(value, depth - 1)]) : [];
  return new Set([...Object.keys(json), ...inner]);
}

function issueWords(issue: z.core.$ZodIssue): string {
  switch (issue.code) {
    case "invalid_value":
      return `it can be ${issue.values.join(", ")}`;
    case "invalid_type":
      return issue.expected === "boolean"
        ? "it can be true, false (without quotes)"
        : `it must be ${issue.expected === "string" ? "a text" : "an object"}`;
    case "invalid_key":
      return issue.issues[0]?.message ?? issue.message;
    default:
      return issue.message;
  }
}

function hasOwnProto(json: unknown): boolean {
  const has = (value: unknown, depth: number): boolean =>
    typeof value === "object" &&
    value !== null &&
    (Object.hasOwn(value, "__proto__") || (depth > 0 && Object.values(value).some((inner) => has(inner, depth - 1))));
  return has(json, 2);
}

async function exists(path: string): Promise<boolean> {
  try {
    await access(path);
    return true;
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
}
