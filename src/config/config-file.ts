import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import * as z from "zod";
import { CliError, messageOf } from "../errors.ts";

const profile = z.strictObject({ host: z.string() });
const config = z.strictObject({
  /** The profile that is used when none is named. */
  profile: z.string().optional(),
  profiles: z.record(z.string().regex(/^[\w.-]+$/, "a profile's name has letters, digits, - _ ."), profile).default({}),
});

export type Profile = z.output<typeof profile>;
export type Config = z.output<typeof config>;

/** The settings file's path. */
export function configPath(directory: string): string {
  return join(directory, "config.json");
}

/**
 * Reads the settings; a missing file is an empty one.
 *
 * @throws CliError `local-state` with the file's path when it is not readable, not JSON or not settings. It is never
 *   overwritten.
 */
export async function readConfig(directory: string): Promise<Config> {
  const path = configPath(directory);
  const broken = (why: string, cause?: unknown) =>
    new CliError("local-state", `the settings file ${path} cannot be used: ${why}`, {
      hint: "mend it or move it away; it is left as it is",
      cause,
    });
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return config.parse({});
    throw broken(messageOf(error), error);
  }
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw broken(messageOf(error), error);
  }
  const parsed = config.safeParse(json);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw broken(`${issue?.path.join(".") || "settings"}: ${issue?.message ?? "invalid"}`);
}

/**
 * Creates or changes a profile, leaving everything else in the file as it is.
 *
 * @throws CliError `local-state`
 */
export async function saveProfile(directory: string, name: string, settings: Profile): Promise<void> {
  const { profiles } = await readConfig(directory);
  try {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    // Loaded only to write: it brings a schema compiler along.
    const { default: Conf } = await import("conf");
    const file = new Conf<{ profiles: Record<string, Profile> }>({
      cwd: directory,
      configName: "config",
      configFileMode: 0o600,
      accessPropertiesByDotNotation: false,
    });
    file.set("profiles", { ...profiles, [name]: settings });
  } catch (error) {
    throw new CliError("local-state", `cannot write ${configPath(directory)}: ${messageOf(error)}`, { cause: error });
  }
}
