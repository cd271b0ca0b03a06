import { lstatSync, readFileSync } from "node:fs";
import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import * as z from "zod";
import { lazily } from "../contract/lazily.ts";
import { CliError, messageOf } from "../errors.ts";
import { isMissing } from "../files/missing.ts";
import { assertTrusted } from "../files/trust.ts";
import { command, hint } from "../typed-command.ts";
import type { Keyring } from "./keyring.ts";
import { withLock, type ConfigFolder } from "./lock.ts";

const file = lazily(() =>
  z.strictObject({
    tokens: z.record(z.string(), z.string()).default({}),
    /** The origins whose tokens are in the system's keyring: it is slow, and asked only for these. */
    keyring: z.array(z.string()).default([]),
  }),
);

type Stored = z.output<ReturnType<typeof file>>;

/** Makes the system's keyring, which is loaded only where it is needed. */
type OpenKeyring = () => Promise<Keyring>;

export interface Credential {
  readonly token: string;
  /** Where it comes from, in words for the user. */
  readonly source: string;
  /** It was not stored by a login: logging in again does not replace it. */
  readonly fromEnvironment: boolean;
}

/** Where the token of an origin is stored. */
export type Storage = "keyring" | "file";

const IN_KEYRING = "the system's keyring";

/** The file that holds tokens, one for each exact origin, readable by its owner only. */
export function credentialsPath(directory: string): string {
  return join(directory, "credentials.json");
}

/** Whether a text can be sent as a token. */
export function isToken(text: string): boolean {
  return /^[\x21-\x7e]+$/.test(text);
}

/** A platform that a token is looked for. */
export interface TokenPlatform {
  readonly origin: string;
  /** `KILOCLAW_ADMIN_TOKEN` is meant for it, see {@link findCredential}. */
  readonly takesVariable: boolean;
}

/**
 * The token for a platform: `KILOCLAW_ADMIN_TOKEN` where that is meant for it, then where it was stored at login, the keyring
 * or the file.
 *
 * The variable does not say whose token it holds. It is meant for the published platform, and for one that was named beside it;
 * what a settings file names may be a test system, or somebody else's.
 *
 * @param openKeyring absent: what is in the keyring counts as not there, because asking it takes long, or asks the user.
 * @throws CliError `auth` when the variable is not a token; `local-state` when file or keyring cannot be trusted or read.
 */
export async function findCredential(
  directory: string,
  { origin, takesVariable }: TokenPlatform,
  env: Readonly<Record<string, string | undefined>>,
  openKeyring: OpenKeyring | undefined,
): Promise<Credential | undefined> {
  const fromEnv = env.KILOCLAW_ADMIN_TOKEN?.trim();
  if (fromEnv && takesVariable) {
    if (isToken(fromEnv)) {
      return { token: fromEnv, source: "environment (KILOCLAW_ADMIN_TOKEN)", fromEnvironment: true };
    }
    throw new CliError("auth", "KILOCLAW_ADMIN_TOKEN is not a token: it has spaces or characters outside ASCII", {
      hint: REPLACE_VARIABLE,
    });
  }
  const { tokens, keyring } = await read(directory);
  if (keyring.includes(origin)) {
    if (!openKeyring) return undefined;
    const secret = await withKeyring(openKeyring, origin, (ring) => ring.get(origin));
    return secret === null ? undefined : { token: secret, source: IN_KEYRING, fromEnvironment: false };
  }
  const token = tokens[origin];
  return token === undefined ? undefined : { token, source: fileWords(directory), fromEnvironment: false };
}

/** What to do about a token in the environment that is of no use. */
export const REPLACE_VARIABLE = "unset KILOCLAW_ADMIN_TOKEN, or put an admin's token into it";

/**
 * Where the token of an origin is stored, as the file says; `undefined` when none is. Does not ask the keyring.
 *
 * @throws CliError `local-state`
 */
export async function storageOf(directory: string, origin: string): Promise<Storage | undefined> {
  const { tokens, keyring } = await read(directory);
  if (keyring.includes(origin)) return "keyring";
  return tokens[origin] === undefined ? undefined : "file";
}

/**
 * Checks that the file of stored tokens, if there is one, can be trusted and read.
 *
 * @throws CliError `local-state`
 */
export async function checkCredentials(directory: string): Promise<void> {
  assertTrusted(directory, "parent");
  await read(directory);
}

/**
 * Stores a token for one exact origin in the file. Atomic: a crash leaves the old file or the new one.
 *
 * @returns where it is, in words for the user.
 * @throws CliError `local-state`
 */
export async function saveToken(
  folder: ConfigFolder,
  origin: string,
  token: string,
  openKeyring?: OpenKeyring,
): Promise<string> {
  let leftover = false;
  await edit(folder, async ({ tokens, keyring }) => {
    leftover = keyring.includes(origin);
    return { tokens: { ...tokens, [origin]: token }, keyring: without(keyring, origin) };
  });
  // The older token is of no use any more; a keyring that is out of reach may keep it.
  if (leftover) await (await openKeyring?.())?.delete(origin).catch(() => undefined);
  return fileWords(folder.directory);
}

/**
 * Stores a token for one exact origin in the system's keyring. A crash leaves the old token or the new one.
 *
 * @returns where it is, in words for the user.
 * @throws CliError `local-state`
 */
export async function saveTokenInKeyring(
  folder: ConfigFolder,
  origin: string,
  token: string,
  openKeyring: OpenKeyring,
): Promise<string> {
  await edit(folder, async ({ tokens, keyring }) => {
    await withKeyring(openKeyring, origin, (ring) => ring.set(origin, token));
    const { [origin]: _replaced, ...others } = tokens;
    return { tokens: others, keyring: [...without(keyring, origin), origin] };
  });
  return IN_KEYRING;
}

/**
 * Removes the stored token of one exact origin.
 *
 * @returns where it was, in words for the user; `undefined` when there was none.
 * @throws CliError `local-state`
 */
export async function removeToken(
  folder: ConfigFolder,
  origin: string,
  openKeyring: OpenKeyring,
): Promise<string | undefined> {
  const storage = await storageOf(folder.directory, origin);
  if (storage === undefined) return undefined;
  await edit(folder, async ({ tokens, keyring }) => {
    if (keyring.includes(origin)) await withKeyring(openKeyring, origin, (ring) => ring.delete(origin));
    const { [origin]: _removed, ...others } = tokens;
    return { tokens: others, keyring: without(keyring, origin) };
  });
  return storage === "keyring" ? IN_KEYRING : fileWords(folder.directory);
}

function without(origins: readonly string[], origin: string): string[] {
  return origins.filter((stored) => stored !== origin);
}

/** Changes the file while no other process does, so that of two logins at once none is lost. */
async function edit({ directory, lock }: ConfigFolder, change: (stored: Stored) => Promise<Stored>): Promise<void> {
  await withLock(credentialsPath(directory), lock, async (check) => {
    await removeOrphans(directory);
    const changed = await change(await read(directory));
    check();
    await write(directory, changed);
  });
}

/** Removes what processes that were killed while they wrote have left: it has tokens in it. Only under the lock. */
async function removeOrphans(directory: string): Promise<void> {
  const orphans = (await readdir(directory)).filter((name) => /^credentials\.json\.\d+$/.test(name));
  await Promise.all(orphans.map((name) => rm(join(directory, name), { force: true })));
}

/** @throws CliError `local-state` when the keyring cannot be reached, with the way around it. */
async function withKeyring<T>(open: OpenKeyring, origin: string, use: (keyring: Keyring) => Promise<T>): Promise<T> {
  try {
    return await use(await open());
  } catch (error) {
    throw new CliError(
      "local-state",
      `the token for ${origin} belongs in ${IN_KEYRING}, which cannot be used: ${messageOf(error)}`,
      {
        hint: [
          "unlock the keyring and try again, or put the token into KILOCLAW_ADMIN_TOKEN",
          hint`or log in again, with the token in a file: ${command("auth login", { "--host": origin, "--insecure-storage": true })}`,
        ],
        cause: error,
      },
    );
  }
}

function fileWords(directory: string): string {
  return `file (${credentialsPath(directory)})`;
}

async function write(directory: string, stored: Stored): Promise<void> {
  const path = credentialsPath(directory);
  assertTrusted(directory, "parent");
  try {
    const { default: writeFileAtomic } = await import("write-file-atomic");
    const content = { tokens: stored.tokens, ...(stored.keyring.length > 0 ? { keyring: stored.keyring } : {}) };
    await writeFileAtomic(path, `${JSON.stringify(content, null, 2)}\n`, { mode: 0o600 });
  } catch (error) {
    throw new CliError("local-state", `cannot write ${path}: ${messageOf(error)}`, { cause: error });
  }
}

async function read(directory: string): Promise<Stored> {
  const path = credentialsPath(directory);
  const untrusted = (why: string, cause?: unknown) =>
    new CliError("local-state", `the credentials file ${path} cannot be used: ${why}`, {
      hint: hint`see what to do: ${command("doctor")}`,
      cause,
    });
  try {
    const stats = lstatSync(path);
    if (!stats.isFile()) throw untrusted("it is not a plain file (symbolic links are not followed)");
    assertTrusted(path, "token");
    return file().parse(JSON.parse(readFileSync(path, "utf8")));
  } catch (error) {
    if (error instanceof CliError) throw error;
    if (isMissing(error)) return { tokens: {}, keyring: [] };
    throw untrusted(error instanceof z.ZodError ? "its content is not tokens" : messageOf(error), error);
  }
}
