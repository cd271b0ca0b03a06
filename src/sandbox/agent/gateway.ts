import { appendFile, mkdir, readFile } from "node:fs/promises";
import path from "node:path";
import { readConfig } from "./config.ts";
import { replaceFile } from "./files.ts";
import { isObject, toJson } from "./json.ts";
import { readPlugins } from "./plugins.ts";

/** The gateway's folder in the instance's directory, with its health and its log. */
const GATEWAY_FOLDER = "gateway";

const HEALTH_FILE = "health.json";
const LOG_FILE = "gateway.log";

/** The gateway's state after its last attempt to start. */
export interface GatewayHealth {
  readonly state: "running" | "crash-loop";
  /** Why it cannot start; null when it runs. */
  readonly reason: string | null;
  /** How often it died since it last ran. */
  readonly restarts: number;
  readonly checkedAt: string;
}

/** The health that the last check left; undefined when there was none. */
export async function readHealth(directory: string): Promise<GatewayHealth | undefined> {
  const health: unknown = await readFile(path.join(directory, GATEWAY_FOLDER, HEALTH_FILE), "utf8")
    .then((text): unknown => JSON.parse(text))
    .catch(() => undefined);
  if (!isObject(health) || (health.state !== "running" && health.state !== "crash-loop")) return undefined;
  return {
    state: health.state,
    reason: typeof health.reason === "string" ? health.reason : null,
    restarts: typeof health.restarts === "number" ? health.restarts : 0,
    checkedAt: typeof health.checkedAt === "string" ? health.checkedAt : "",
  };
}

/**
 * Starts the gateway's stand-in: loads and validates the configuration as the gateway would, then writes health and log.
 *
 * @param attempts how often to try, as a supervisor does; each failure counts as a restart.
 */
export async function startGateway(directory: string, attempts = 1): Promise<GatewayHealth> {
  const { config, problems } = await readConfig(directory, await readPlugins(directory));
  const before = await readHealth(directory);
  const reason = problems[0]?.text ?? null;
  const checkedAt = new Date().toISOString();
  const health: GatewayHealth =
    reason === null
      ? { state: "running", reason, restarts: 0, checkedAt }
      : { state: "crash-loop", reason, restarts: (before?.restarts ?? 0) + attempts, checkedAt };
  const port = isObject(config?.gateway) ? config.gateway.port : undefined;
  const line =
    reason === null
      ? `${checkedAt} info  gateway listening on port ${JSON.stringify(port)}\n`
      : `${checkedAt} error gateway exited: ${reason}\n`.repeat(attempts);
  const folder = path.join(directory, GATEWAY_FOLDER);
  await mkdir(folder, { recursive: true });
  await appendFile(path.join(folder, LOG_FILE), line);
  await replaceFile(path.join(folder, HEALTH_FILE), toJson(health));
  return health;
}
