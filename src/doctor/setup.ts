import type { Api } from "../api/api.ts";
import type { Origin } from "../api/origin.ts";
import type { Transport } from "../api/transport.ts";
import type { Credential } from "../config/credentials.ts";
import type { Keyring } from "../config/keyring.ts";
import type { Paths } from "../config/paths.ts";
import type { Config } from "../config/settings-table.ts";
import type { Platform } from "../config/settings.ts";
import type { Timing } from "../timing.ts";
import type { Said } from "../typed-command.ts";

/** What the tool has to work with here. Whatever cannot be had throws a `CliError`. */
export interface Setup {
  readonly host: {
    readonly env: Readonly<Record<string, string | undefined>>;
    readonly platform: string;
    readonly nodePath: string;
    readonly nodeVersion: string;
    readonly root: string;
    readonly version: string;
    readonly timing: Pick<Timing, "doctor">;
  };
  readonly paths: Paths;
  /** Aborted when the user wants the tool to end. */
  readonly stop: AbortSignal;
  config(): Promise<Config>;
  platform(): Promise<Platform & { readonly origin: Origin; readonly takesVariable: boolean }>;
  connection(): Promise<{ readonly credential: Credential | undefined }>;
  keyring(): Promise<Keyring>;
  /** The way that every call takes, without a token. */
  transport(): Promise<Transport>;
  /** The platform as a token sees it; reads end when `signal` is aborted. */
  apiAs(token: string, origin: Origin, signal: AbortSignal): Promise<Api>;
  /** What to do when the platform refuses the token. */
  advice(): Promise<readonly Said[]>;
}
