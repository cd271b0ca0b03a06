import { CliError } from "../errors.ts";
import type { Config } from "./config-file.ts";

/** Which platform is meant, and where that was said. */
export interface Target {
  readonly profile: string;
  readonly host: string;
  /** Named in errors about the host. */
  readonly hostSource: string;
}

/** The profile that is there without being in the settings file. */
export const DEFAULT_PROFILE = "default";

/**
 * Chooses profile and host: flag, then environment, then the settings file, then the default.
 *
 * @throws CliError `usage` when a profile is named that does not exist.
 */
export function resolveTarget(
  flags: { readonly profile?: string | undefined; readonly host?: string | undefined },
  env: Readonly<Record<string, string | undefined>>,
  config: Config,
  defaultHost: string,
): Target {
  const profile = flags.profile ?? (env.KILOCLAW_ADMIN_PROFILE || undefined) ?? config.profile ?? DEFAULT_PROFILE;
  const known = config.profiles[profile];
  if (!known && profile !== DEFAULT_PROFILE) {
    const names = [DEFAULT_PROFILE, ...Object.keys(config.profiles)];
    throw new CliError("usage", `there is no profile "${profile}"`, {
      hint: [
        `profiles: ${names.join(", ")}`,
        ...(profile === "sandbox" ? ["the sandbox makes its own when it starts: kiloclaw-admin sandbox start"] : []),
      ],
    });
  }
  if (flags.host !== undefined) return { profile, host: flags.host, hostSource: "--host" };
  if (env.KILOCLAW_ADMIN_HOST) return { profile, host: env.KILOCLAW_ADMIN_HOST, hostSource: "KILOCLAW_ADMIN_HOST" };
  if (known) return { profile, host: known.host, hostSource: `profile "${profile}"` };
  return { profile, host: defaultHost, hostSource: "default" };
}
