import type * as z from "zod";
import { wait } from "../async/wait.ts";
import { deviceApprovalPath, deviceCode, devicePoll, devicePollPath } from "../contract/rest.ts";
import { CliError } from "../errors.ts";
import { tryJson } from "../json.ts";
import { command, hint } from "../typed-command.ts";
import { ApiError, foreign, notUnderstood } from "./api-error.ts";
import { DEFAULT_HOST } from "./origin.ts";
import { isBrokenJson, isRecord, restAnswer } from "./own-answer.ts";
import { Transport, type TransportOptions } from "./transport.ts";
import { bodyInWords } from "./words.ts";

const TIMEOUT_MS = 30_000;
const MAX_BYTES = 2 ** 20;
const MAX_DELAY_MS = 30_000;

/** Names the poll in errors and debug output: its path carries the code, which is as secret as the token. */
const POLL = `${deviceCode.path}/{code}`;

/** A code that waits for somebody to approve it in a browser. */
export interface DeviceCode {
  readonly code: string;
  /** The page where it is approved, of the platform that was asked. */
  readonly page: string;
  /** Where the answer has that page, if that is another platform: this one may have none. */
  readonly namedOrigin: string | undefined;
  readonly expiresAt: Date;
}

export interface AwaitOptions {
  /** Time between polls, in milliseconds; longer while the platform is in trouble. */
  readonly intervalMs: number;
  readonly signal: AbortSignal;
  /** Told about polls that failed, and `undefined` once one is answered again. */
  readonly onTrouble: (trouble: ApiError | undefined) => void;
}

type PollAnswer = z.output<ReturnType<typeof devicePoll>>;
type Approved = Extract<PollAnswer, { status: "approved" }>;

const POLL_STATUS = { pending: 202, approved: 200, denied: 403, expired: 410 } as const;

/** Login through a browser: a code, somebody who approves it, a token that is handed out once. */
export class DeviceLogin {
  readonly #transport: Transport;
  readonly #origin: string;

  constructor(options: TransportOptions) {
    this.#transport = new Transport({ ...options, token: undefined });
    this.#origin = options.origin;
  }

  /**
   * Asks for a code. Sent once: a code whose answer is lost counts as pending.
   *
   * The page to approve it at is built here: one that the answer names could be another platform's, where the code is of a login
   * that somebody else has begun.
   *
   * @throws ApiError, `incompatible` for what is no code; CliError `auth` when the answer has the page neither here nor at the
   *   published platform, which all of them name.
   */
  async requestCode(signal: AbortSignal): Promise<DeviceCode> {
    const procedure = deviceCode.path;
    const answer = await this.#transport.exchange({
      method: "POST",
      path: deviceCode.path,
      procedure,
      body: "{}",
      signal,
      timeoutMs: TIMEOUT_MS,
      maxBytes: MAX_BYTES,
    });
    // The platform's way to say that five codes are pending for this address.
    if (answer.status === 500 && answer.text === "") {
      throw new ApiError("unreachable", "the platform issued no code: too many logins from this address are pending", {
        procedure,
        sent: true,
        own: true,
        httpStatus: 500,
        transient: true,
        hint: [
          "approve or deny the pending ones in a browser, or wait: each lasts ten minutes or more",
          hint`or log in with a token: ${command("auth login", { "--with-token": true })} < token.txt`,
        ],
      });
    }
    const { code, verificationUrl, expiresIn } = restAnswer(answer, deviceCode);
    return {
      code,
      page: new URL(deviceApprovalPath(code), this.#origin).href,
      namedOrigin: this.#named(verificationUrl),
      expiresAt: new Date(Date.now() + expiresIn * 1_000),
    };
  }

  /**
   * Waits until somebody has approved the code, and takes its token.
   *
   * @throws CliError `auth` when it was denied, has expired or was used; `interrupted`; ApiError `incompatible` when the answer
   *   that may have had the token cannot be read.
   */
  async awaitApproval(code: DeviceCode, { intervalMs, signal, onTrouble }: AwaitOptions): Promise<Approved> {
    let delay = intervalMs;
    let answerLost = false;
    for (;;) {
      await wait(Math.max(0, Math.min(delay, code.expiresAt.getTime() - Date.now())), signal).catch(
        (error: unknown) => {
          throw new CliError("interrupted", "interrupted; nothing was stored", { cause: error });
        },
      );
      // One more look after the end: the approval may just have come.
      const last = Date.now() >= code.expiresAt.getTime();
      try {
        const answer = await this.#poll(code.code, signal);
        onTrouble(undefined);
        delay = intervalMs;
        if (answer.status === "approved") return answer;
        if (answer.status === "denied") throw new CliError("auth", "the login was denied in the browser");
        if (answer.status === "expired") throw usedOrExpired(answerLost || !last);
      } catch (error) {
        if (!(error instanceof ApiError) || !error.transient || last) throw error;
        // The answer that was lost may have been the one with the token, which is handed out once.
        answerLost ||= error.sent;
        onTrouble(error);
        delay = Math.min(MAX_DELAY_MS, Math.max(delay * 2, error.retryAfterMs ?? 0));
      }
      if (last) throw usedOrExpired(answerLost);
    }
  }

  async close(): Promise<void> {
    await this.#transport.close();
  }

  async #poll(code: string, signal: AbortSignal): Promise<PollAnswer> {
    const raw = await this.#transport.exchange({
      method: "GET",
      path: devicePollPath(code),
      shownPath: POLL,
      procedure: POLL,
      signal,
      timeoutMs: TIMEOUT_MS,
      maxBytes: MAX_BYTES,
    });
    // An error page may repeat the address that was asked for, and its text may end up on the screen.
    const text = raw.text.replaceAll(code, "{code}");
    const body = tryJson(text);
    const polled = devicePoll().safeParse(body);
    const { status: httpStatus, retryAfterMs } = raw;
    if (polled.success && POLL_STATUS[polled.data.status] === httpStatus) return polled.data;
    // It may have had the token, which is handed out once: asking again would only say that the code was used.
    if (httpStatus === 200 && (isBrokenJson(text, body) || (isRecord(body) && "status" in body && !polled.success))) {
      throw notUnderstood(POLL, "not the state of a code (HTTP 200)", {
        httpStatus,
        hint: hint`nothing was stored; log in again: ${command("auth login")}`,
      });
    }
    throw foreign(POLL, httpStatus, bodyInWords(text), { retryAfterMs });
  }

  #named(verificationUrl: string): string | undefined {
    const { origin, username, password } = new URL(verificationUrl);
    if (origin === this.#origin && !username && !password) return undefined;
    if (origin === DEFAULT_HOST && !username && !password) return origin;
    throw new CliError("auth", `the platform names a page at ${origin} to approve the login, which is not its own`, {
      hint: [
        "the login was abandoned; check --host, and ask the platform's owner before you log in",
        hint`or log in with a token: ${command("auth login", { "--with-token": true })} < token.txt`,
      ],
    });
  }
}

function usedOrExpired(maybeUsed: boolean): CliError {
  return new CliError("auth", maybeUsed ? "code used or expired: log in again" : "the code has expired: log in again");
}
