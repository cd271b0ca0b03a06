import { copyFile } from "node:fs/promises";
import path from "node:path";
import { fileTime, readBackups, type Backup } from "./backups.ts";
import { CONFIG_FILE, pluginEntries, readConfig, type Problem } from "./config.ts";
import { replaceFile } from "./files.ts";
import { readHealth, startGateway } from "./gateway.ts";
import { isObject, toJson, type JsonObject } from "./json.ts";
import { readPlugins, type Plugin } from "./plugins.ts";

/** What a repair needs of the process that makes it. */
export interface Workshop {
  readonly directory: string;
  /** Says one line, without its line break. */
  readonly say: (line: string) => void;
  /** Called between steps; rejects when the repair is to stop. Nothing is half done then. */
  readonly pause: () => Promise<void>;
  readonly now: () => Date;
}

/**
 * Finds out why the instance's gateway does not run and mends its configuration: plugin entries that were lost are added in
 * place; anything else is replaced by the newest valid backup, and the broken file is kept beside it.
 *
 * @returns whether the gateway runs in the end.
 */
export async function repair(workshop: Workshop): Promise<boolean> {
  const { directory, say, pause } = workshop;
  const plugins = await readPlugins(directory);
  await inspectGateway(workshop);
  const reading = await readConfig(directory, plugins);
  await pause();
  say(`inspect: ${CONFIG_FILE}`);
  for (const { text } of reading.problems) {
    await pause();
    say(`  found: ${text}`);
  }
  await pause();
  say(`inspect: ${plugins.length} managed plugins (${plugins.map(({ id }) => id).join(", ")})`);
  await pause();
  if (reading.problems.length === 0) {
    say("  the configuration is valid");
    return verify(workshop);
  }

  const source = reading.config && onlyEntriesMissing(reading.problems) ? reading.config : undefined;
  const config = source ?? (await restore(workshop, plugins));
  if (!config) return false;
  await restoreEntries(workshop, config, plugins);
  return verify(workshop);
}

async function inspectGateway({ directory, say, pause }: Workshop): Promise<void> {
  const health = await readHealth(directory);
  say("inspect: gateway");
  await pause();
  if (!health) say("  found: it has not been started yet");
  else if (health.state === "running") say(`  it was running at ${health.checkedAt}`);
  else say(`  found: crash loop, ${health.restarts} restarts; last reason: ${health.reason ?? "unknown"}`);
}

/** Puts the newest valid backup in place of the broken file. */
async function restore(workshop: Workshop, plugins: readonly Plugin[]): Promise<JsonObject | undefined> {
  const { directory, say, pause, now } = workshop;
  const backups = await readBackups(directory, plugins);
  say(`explain: the gateway cannot start with this file; looking for a valid one in ${backups.length} backups`);
  const chosen = await chooseBackup(workshop, backups);
  if (!chosen) {
    await pause();
    say("give up: no backup is valid, and nothing was changed; this configuration has to be written by hand");
    return undefined;
  }
  await pause();
  const current = path.join(directory, CONFIG_FILE);
  const kept = `${CONFIG_FILE}.broken-${fileTime(now())}`;
  const wasThere = await copyFile(current, path.join(directory, kept)).then(
    () => true,
    () => false,
  );
  if (wasThere) say(`repair: the broken file is kept as ${kept}`);
  await pause();
  await replaceFile(current, toJson(chosen.usable));
  say(`repair: ${CONFIG_FILE} restored from ${chosen.name}`);
  return chosen.usable;
}

async function chooseBackup(
  { say, pause }: Workshop,
  backups: readonly Backup[],
): Promise<(Backup & { usable: JsonObject }) | undefined> {
  for (const backup of backups) {
    await pause();
    const { usable } = backup;
    if (usable) {
      say(`  ${backup.name}: valid`);
      return { ...backup, usable };
    }
    say(`  ${backup.name}: not usable, ${backup.problems[0]?.text ?? "unreadable"}`);
  }
  return undefined;
}

/** Adds the entries of managed plugins that the configuration lacks, with their manifest's own defaults. */
async function restoreEntries(workshop: Workshop, config: JsonObject, plugins: readonly Plugin[]): Promise<void> {
  const { directory, say, pause } = workshop;
  const entries = pluginEntries(config);
  const missing = plugins.filter(({ id }) => !isObject(entries[id]));
  if (missing.length === 0) return;
  for (const { id, version } of missing) {
    await pause();
    say(`repair: plugin entry ${id} (${version}) added from its manifest`);
  }
  const added = Object.fromEntries(missing.map(({ id, defaultEntry }) => [id, defaultEntry]));
  const section = isObject(config.plugins) ? config.plugins : {};
  const repaired = { ...config, plugins: { ...section, entries: { ...entries, ...added } } };
  await replaceFile(path.join(directory, CONFIG_FILE), toJson(repaired));
}

async function verify({ directory, say, pause }: Workshop): Promise<boolean> {
  await pause();
  say("verify: starting the gateway");
  const health = await startGateway(directory);
  await pause();
  if (health.state === "running") {
    say("done: the gateway is running, the instance is healthy");
    return true;
  }
  say(`give up: the gateway still does not start: ${health.reason ?? "unknown"}`);
  return false;
}

function onlyEntriesMissing(problems: readonly Problem[]): boolean {
  return problems.every(({ kind }) => kind === "missing-entry");
}
