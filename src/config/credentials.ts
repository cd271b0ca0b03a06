import { lstat, mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import * as z from "zod";
import { CliError, messageOf } from "../errors.ts";

const file = z.strictObject({ tokens: z.record(z.string(), z.string()) });

export interface Credential {
  readonly token: string;
  /** Where it comes from, in words for the user. */
  readonly source: string;
}

/** The file that holds tokens, one for each exact origin, readable by its owner only. */
function credentialsPath(directory: string): string {
  return join(directory, "credentials.json");
}

/**
 * The token for an origin: `KILOCLAW_ADMIN_TOKEN` first, then the credentials file.
 *
 * @throws CliError `auth` when the variable is not a token; `local-state` when the file cannot be trusted or read.
 */
export async function findCredential(
  directory: string,
  origin: string,
  env: Readonly<Record<string, string | undefined>>,
): Promise<Credential | undefined> {
  const fromEnv = env.KILOCLAW_ADMIN_TOKEN?.trim();
  if (fromEnv) {
    if (/^[\x21-\x7e]+$/.test(fromEnv)) return { token: fromEnv, source: "environment (KILOCLAW_ADMIN_TOKEN)" };
    throw new CliError("auth", "KILOCLAW_ADMIN_TOKEN is not a token: it has spaces or characters outside ASCII");
  }
  const token = (await readTokens(directory))[origin];
  return token === undefined ? undefined : { token, source: `file (${credentialsPath(directory)})` };
}

/**
 * Stores a token for one exact origin. Atomic: a crash leaves the old file or the new one.
 *
 * @throws CliError `local-state`
 */
export async function saveToken(directory: string, origin: string, token: string): Promise<void> {
  const tokens = await readTokens(directory);
  const path = credentialsPath(directory);
  try {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    const { default: writeFileAtomic } = await import("write-file-atomic");
    await writeFileAtomic(path, `${JSON.stringify({ tokens: { ...tokens, [origin]: token } }, null, 2)}\n`, {
      mode: 0o600,
    });
  } catch (error) {
    throw new CliError("local-state", `cannot write ${path}: ${messageOf(error)}`, { cause: error });
  }
}

async function readTokens(directory: string): Promise<Record<string, string>> {
  const path = credentialsPath(directory);
  const untrusted = (why: string, cause?: unknown) =>
    new CliError("local-state", `the credentials file ${path} cannot be used: ${why}`, { cause });
  try {
    const stats = await lstat(path);
    if (!stats.isFile()) throw untrusted("it is not a plain file (symbolic links are not followed)");
    if ((stats.mode & 0o077) !== 0) throw untrusted(`others may read it; run: chmod 600 ${path}`);
    return file.parse(JSON.parse(await readFile(path, "utf8"))).tokens;
  } catch (error) {
    if (error instanceof CliError) throw error;
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return {};
    throw untrusted(error instanceof z.ZodError ? "its content is not tokens" : messageOf(error), error);
  }
}
