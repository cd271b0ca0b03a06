import { ApiError } from "../api/api-error.ts";
import { limit } from "../async/limit.ts";
import { unlessAborted } from "../async/on-abort.ts";
import { CliError } from "../errors.ts";
import { command, hint } from "../typed-command.ts";
import { fail, FIND_OUT, skipped, type Check, type Finding, type Stage } from "./check.ts";
import { Examined } from "./examined.ts";
import { LOGIN } from "./login.ts";
import { NETWORK } from "./network.ts";
import { PLATFORM } from "./platform.ts";
import { presentable } from "./presentable.ts";
import { SETTINGS } from "./settings.ts";
import type { Setup } from "./setup.ts";
import { STORAGE } from "./storage.ts";
import { TOOL } from "./tool.ts";

/** Every check, in the order in which they are made: what this machine knows by itself comes first. */
export const CHECKS: readonly Check[] = [...TOOL, ...SETTINGS, ...LOGIN, ...STORAGE, ...NETWORK, ...PLATFORM];

const SEE_MORE = hint`see each request: ${command("doctor", { "--debug": true })}`;

export interface CheckResult extends Finding {
  readonly stage: Stage;
  readonly name: string;
}

/**
 * Makes every check, one after the other, and gives each result as soon as it is there. A check whose ground another one has
 * found missing is skipped. What it says has no secret in it.
 *
 * @param onStart told before each check that is tried.
 * @throws CliError `interrupted`, at once, when the user wants the tool to end.
 */
export async function* examine(setup: Setup, onStart: (check: Check) => void): AsyncGenerator<CheckResult> {
  const examined = new Examined(setup);
  const whole = limit(setup.stop, setup.host.timing.doctor.totalMs);
  /** The checks that failed or could not be tried, each with the failure that it goes back to. */
  const missing = new Map<string, string>();
  try {
    for (const check of CHECKS) {
      const { stage, name, needs = [] } = check;
      const cause = needs.map((needed) => missing.get(needed)).find((failed) => failed !== undefined);
      let finding: Finding;
      if (cause === undefined) {
        onStart(check);
        finding = await limited(check, examined, whole.signal);
        if (finding.result === "fail") missing.set(name, name);
      } else {
        finding = skipped(`not tried, because this failed: ${cause.replaceAll("-", " ")}`);
        missing.set(name, cause);
      }
      yield { stage, name, ...presentable(finding, { env: setup.host.env, token: examined.token }) };
    }
  } finally {
    whole.release();
  }
}

/** What a check finds, in the time it has. */
async function limited(check: Check, examined: Examined, whole: AbortSignal): Promise<Finding> {
  const { stop, host } = examined.setup;
  const limitMs = host.timing.doctor[check.limit ?? "usualMs"];
  const time = limit(whole, limitMs);
  try {
    time.signal.throwIfAborted();
    const looking = (async () => check.look(examined, time.signal))().catch(asFinding);
    // What has not ended when its time is over is left behind, and what it then says is of no interest.
    return await unlessAborted(time.signal, looking);
  } catch (error) {
    if (!time.signal.aborted) throw error;
    if (stop.aborted) throw new CliError("interrupted", "interrupted");
    const inItsTime = time.expired ? `no answer within ${limitMs / 1000} s` : "no answer in the time that was left";
    return fail(inItsTime, "check the network, the VPN and the firewall");
  } finally {
    time.release();
  }
}

function asFinding(error: unknown): Finding {
  if (error instanceof ApiError && error.foreign) return fail(error.message, FIND_OUT);
  if (error instanceof CliError) return fail(error.message, ...(error.hints.length > 0 ? error.hints : [SEE_MORE]));
  throw error;
}
