import type { DoctorTiming } from "../timing.ts";
import type { Said } from "../typed-command.ts";
import type { Examined } from "./examined.ts";

export type Result = "ok" | "warn" | "fail" | "skipped";

/** What a check has to say. */
export interface Finding {
  /** `warn`: it works, but not well or not for long. `skipped`: it does not apply here, or could not be tried. */
  readonly result: Result;
  /** One line, without a secret. */
  readonly found: string;
  /** What to type or do about it, one line each. */
  readonly remedy: readonly Said[];
}

export type Stage = "tool" | "settings" | "login" | "storage" | "network" | "platform";

export interface Check {
  readonly stage: Stage;
  readonly name: string;
  /** The checks without which this one cannot be tried. */
  readonly needs?: readonly string[];
  /** How long it may take, where that is not the usual time. */
  readonly limit?: keyof DoctorTiming;
  /**
   * Has a look, at nothing that another check looks at.
   *
   * @param signal aborted when its time is over.
   * @throws CliError which is taken for a failure with its hints as the remedy.
   */
  look(examined: Examined, signal: AbortSignal): Finding | Promise<Finding>;
}

/** What to do where something else answers in the platform's place. */
export const FIND_OUT = "check the address, the proxy, and whether this network wants you to log in";

export const ok = (found: string): Finding => ({ result: "ok", found, remedy: [] });
export const skipped = (why: string): Finding => ({ result: "skipped", found: why, remedy: [] });
export const warn = (found: string, ...remedy: readonly Said[]): Finding => ({
  result: "warn",
  found,
  remedy,
});
export const fail = (found: string, ...remedy: readonly Said[]): Finding => ({
  result: "fail",
  found,
  remedy,
});
