import type { DeviceCode, DeviceLogin } from "../../../api/device-login.ts";
import { DEFAULT_HOST } from "../../../api/origin.ts";
import type { Context } from "../../../context.ts";
import { CliError } from "../../../errors.ts";
import { hostOf } from "../../../terminal/output.ts";
import { formatDuration } from "../../../terminal/time.ts";
import { command, hint, type Hint } from "../../../typed-command.ts";
import { offerBrowser } from "./offer-browser.ts";

interface ApprovalOptions {
  /** Offer to open the page where the code is approved. */
  readonly browser: boolean;
  /** Time between polls, in milliseconds. */
  readonly interval: number;
  /** What to type to try again. */
  readonly again: Hint;
}

/**
 * Has an admin approve this login in a browser, this machine's or any other.
 *
 * @returns the token.
 * @throws ApiError; CliError `auth` when it was denied, has expired or was used; `interrupted`.
 */
export async function tokenFromBrowser(context: Context, options: ApprovalOptions): Promise<string> {
  const { output, stop } = context;
  const device = await context.deviceLogin();
  const code = await device.requestCode(stop);
  output.notes(
    [
      { label: "code", value: code.code, color: "cyan" },
      { label: "approve it at", value: code.page },
    ],
    { needed: true },
  );
  output.note("check that the page shows this code, and approve it there as an admin");
  const { origin } = await context.platform();
  if (origin !== DEFAULT_HOST) {
    // Its server could pass on the code of a login of its own at the published platform, and lead the browser there.
    output.warn(`approve only on ${hostOf(origin)}; if your browser ends up on another host, deny`);
  }
  if (code.namedOrigin !== undefined) {
    output.note(
      hint`the platform itself names a page at ${code.namedOrigin}; if there is none here: ${command("auth login", { "--with-token": true })} < token.txt`,
    );
  }
  const waiting = new Waiting(device, code, options.interval, stop);
  try {
    if (options.browser) await offerBrowser(context, code.page, waiting.over);
    return await counted(context, code, waiting);
  } catch (error) {
    await waiting.giveUp();
    if (!(error instanceof CliError)) throw error;
    if (error.kind === "interrupted") {
      output.note("the code was dropped; nothing was stored");
      throw new CliError("interrupted", error.message, { silent: true, cause: error });
    }
    if (error.kind !== "auth") throw error;
    throw new CliError("auth", error.message, { hint: hint`try again: ${options.again}`, cause: error });
  }
}

/** Waits for the approval from the start: it may come from a phone while the user is still being asked something here. */
class Waiting {
  readonly token: Promise<string>;
  /** Aborted when the platform has decided. */
  readonly over: AbortSignal;
  trouble: string | undefined;
  readonly #givenUp = new AbortController();

  constructor(device: DeviceLogin, code: DeviceCode, intervalMs: number, stop: AbortSignal) {
    const over = new AbortController();
    this.over = over.signal;
    this.token = device
      .awaitApproval(code, {
        intervalMs,
        signal: AbortSignal.any([stop, this.#givenUp.signal]),
        onTrouble: (trouble) => (this.trouble = trouble?.message),
      })
      .then(({ token }) => token)
      .finally(() => over.abort());
    // What it fails with is for whoever awaits the token.
    this.token.catch(() => undefined);
  }

  async giveUp(): Promise<void> {
    this.#givenUp.abort();
    await this.token.catch(() => undefined);
  }
}

/** Shows how long the code is still good for until it is decided upon. */
async function counted(
  { output }: Pick<Context, "output">,
  { expiresAt }: DeviceCode,
  waiting: Waiting,
): Promise<string> {
  if (waiting.over.aborted) return waiting.token;
  const words = () => {
    const left = formatDuration(Math.max(0, expiresAt.getTime() - Date.now()));
    return `waiting for the approval; the code expires in ${left}${waiting.trouble === undefined ? "" : ` (${waiting.trouble})`}`;
  };
  const progress = await output.busy(words());
  const ticking = setInterval(() => progress.show(words()), 1_000);
  try {
    return await waiting.token;
  } finally {
    clearInterval(ticking);
    progress.stop();
  }
}
