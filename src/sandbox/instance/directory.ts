import { randomUUID } from "node:crypto";
import { access, mkdir, rename, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { backupName, BACKUPS_FOLDER } from "../agent/backups.ts";
import { CONFIG_FILE, readConfig } from "../agent/config.ts";
import { startGateway } from "../agent/gateway.ts";
import { toJson } from "../agent/json.ts";
import { MANIFEST_FILE, PLUGINS_FOLDER, readPlugins } from "../agent/plugins.ts";

/** What is wrong with a new instance. `no-backup`: broken, and no backup is valid either. */
export type Breakage = "none" | "invalid-json" | "missing-plugin" | "bad-port" | "empty-config" | "no-backup";

/** The gateway of a broken instance has died this often by the time somebody looks. */
const RESTARTS = 7;

const DEFAULT_ENTRIES = {
  "kilo-chat": { enabled: true, stream: true },
  "kiloclaw-customizer": { enabled: true, config: { updates: "auto" } },
  "morning-briefing": { enabled: false },
} as const;

const BACKUP_TIMES = ["2026-11-17T03:00:00Z", "2026-11-19T03:00:00Z", "2026-11-21T03:00:00Z"].map(
  (time) => new Date(time),
);

/** Lays out an instance's files, broken as asked, and starts its gateway. Does nothing when the directory exists. */
export async function createInstanceDirectory(directory: string, breakage: Breakage): Promise<void> {
  if (await exists(directory)) return;
  await mkdir(path.dirname(directory), { recursive: true });
  // Laid out beside its place, so that an interrupted start never leaves half an instance.
  const draft = `${directory}.draft-${randomUUID()}`;
  try {
    await layOut(draft, breakage);
    await rename(draft, directory);
  } catch (error) {
    await rm(draft, { recursive: true, force: true });
    if (!(await exists(directory))) throw error;
  }
}

/** Whether the instance's gateway can start with the files that are there now, and if not, everything that is wrong. */
export async function instanceHealth(directory: string): Promise<{ healthy: boolean; problems: string[] }> {
  const { problems } = await readConfig(directory, await readPlugins(directory));
  return { healthy: problems.length === 0, problems: problems.map(({ text }) => text) };
}

async function layOut(directory: string, breakage: Breakage): Promise<void> {
  await Promise.all([
    ...Object.entries(DEFAULT_ENTRIES).map(([id, entry]) => writePlugin(directory, id, entry)),
    mkdir(path.join(directory, BACKUPS_FOLDER), { recursive: true }),
  ]);
  const backups = backupTexts(breakage);
  await Promise.all(
    BACKUP_TIMES.map((taken, index) =>
      writeFile(path.join(directory, BACKUPS_FOLDER, backupName(taken)), backups[index] ?? "", { mode: 0o600 }),
    ),
  );
  await writeFile(path.join(directory, CONFIG_FILE), currentText(breakage), { mode: 0o600 });
  await startGateway(directory, breakage === "none" ? 1 : RESTARTS);
}

async function writePlugin(directory: string, id: string, defaultEntry: object): Promise<void> {
  const folder = path.join(directory, PLUGINS_FOLDER, id);
  await mkdir(folder, { recursive: true });
  await writeFile(path.join(folder, MANIFEST_FILE), toJson({ id, version: "1.4.0", managed: true, defaultEntry }));
}

function currentText(breakage: Breakage): string {
  switch (breakage) {
    case "none":
      return toJson(config());
    case "invalid-json":
    case "no-backup":
      return cutShort(config());
    case "missing-plugin":
      return toJson(config({ without: ["kiloclaw-customizer", "morning-briefing"] }));
    case "bad-port":
      return toJson(config({ port: "187890" }));
    case "empty-config":
      return "";
  }
}

/** Oldest first. Of a broken instance the newest was taken too late, and the one before it is older than a plugin. */
function backupTexts(breakage: Breakage): string[] {
  const good = toJson(config({ channels: { telegram: { enabled: true } } }));
  const beforeBriefing = toJson(config({ without: ["morning-briefing"] }));
  switch (breakage) {
    case "none":
      return [good, beforeBriefing, toJson(config())];
    case "no-backup":
      return ["", toJson(config({ port: 0 })), cutShort(config())];
    default:
      return [good, beforeBriefing, cutShort(config())];
  }
}

interface Variation {
  readonly port?: number | string;
  readonly channels?: object;
  readonly without?: readonly string[];
}

function config({ port = 18_789, channels, without = [] }: Variation = {}): object {
  return {
    gateway: { port, bind: "loopback", mode: "local" },
    agents: { defaults: { model: { primary: "kilocode/kilo-auto/balanced" }, workspace: "~/clawd" } },
    channels: channels ?? { telegram: { enabled: true, dmPolicy: "pairing" }, discord: { enabled: false } },
    plugins: { entries: Object.fromEntries(Object.entries(DEFAULT_ENTRIES).filter(([id]) => !without.includes(id))) },
  };
}

/** What a full disk or a kill in the middle of a write leaves. */
function cutShort(value: object): string {
  const text = toJson(value);
  return text.slice(0, Math.floor(text.length * 0.6));
}

async function exists(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  );
}
