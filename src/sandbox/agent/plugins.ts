import { readdir, readFile } from "node:fs/promises";
import path from "node:path";
import { isObject, type JsonObject } from "./json.ts";

/** Where an instance's plugins are installed, in its directory. */
export const PLUGINS_FOLDER = "plugins";
export const MANIFEST_FILE = "manifest.json";

/** A plugin that the platform manages: the configuration must have an entry for it. */
export interface Plugin {
  readonly id: string;
  readonly version: string;
  /** The entry to write when the configuration has lost its own. */
  readonly defaultEntry: JsonObject;
}

/** The managed plugins by id. One whose manifest cannot be read counts as not installed. */
export async function readPlugins(directory: string): Promise<Plugin[]> {
  const folder = path.join(directory, PLUGINS_FOLDER);
  const ids = await readdir(folder).catch(() => []);
  const plugins = await Promise.all(ids.toSorted().map((id) => readManifest(path.join(folder, id, MANIFEST_FILE))));
  return plugins.filter((plugin) => plugin !== undefined);
}

async function readManifest(file: string): Promise<Plugin | undefined> {
  const manifest: unknown = await readFile(file, "utf8")
    .then((text): unknown => JSON.parse(text))
    .catch(() => undefined);
  if (!isObject(manifest) || typeof manifest.id !== "string" || manifest.managed !== true) return undefined;
  return {
    id: manifest.id,
    version: typeof manifest.version === "string" ? manifest.version : "unknown",
    defaultEntry: isObject(manifest.defaultEntry) ? manifest.defaultEntry : { enabled: true },
  };
}
