/** Which platform is meant, by flags, environment, settings file and defaults. */
import { DEFAULT_HOST, parseOrigin, type Origin } from "./api/origin.ts";
import { Settings, type Platform, type Sources } from "./config/settings.ts";

/** The platform that is meant. */
export interface MeantPlatform extends Platform {
  readonly origin: Origin;
  /** Whether KILOCLAW_ADMIN_TOKEN may be sent there. */
  readonly takesVariable: boolean;
  /** The ID of the sandbox of this user that it is, whatever its port; absent where that was not asked. */
  readonly sandbox?: string | undefined;
}

/** The settings in force, by what was given, what a settings file says, and the defaults of this tool. */
export function settingsInForce(sources: Omit<Sources, "defaultHost" | "isPublished">): Settings {
  return new Settings({ ...sources, defaultHost: DEFAULT_HOST, isPublished });
}

/**
 * Which platform is meant. Looks at no token.
 *
 * @throws CliError `usage` when a profile is named that does not exist, or an address that no token is sent to.
 */
export function meantPlatform(settings: Settings): MeantPlatform {
  const platform = settings.platform();
  const origin = parseOrigin(platform.host, platform.hostSource);
  return { ...platform, origin, takesVariable: platform.hostNamed || origin === DEFAULT_HOST };
}

function isPublished(host: string): boolean {
  try {
    return parseOrigin(host, "host") === DEFAULT_HOST;
  } catch {
    return false;
  }
}
