import { spawn } from "node:child_process";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import * as z from "zod";
import { messageOf } from "../errors.ts";
import { tryJson } from "../json.ts";
import type { Timing } from "../timing.ts";

export interface KeyringRequest {
  readonly action: "get" | "set" | "delete";
  readonly service: string;
  readonly account: string;
  readonly secret?: string;
}

const answer = z.union([z.strictObject({ secret: z.string().nullable() }), z.strictObject({ error: z.string() })]);
export type KeyringAnswer = z.output<typeof answer>;

const SERVICE = "kiloclaw-admin";

/** There is no keyring here, or it does not answer. The message says why. */
export class KeyringUnavailable extends Error {
  override readonly name = "KeyringUnavailable";
}

export interface KeyringOptions {
  /** The package's own folder. */
  readonly root: string;
  readonly nodePath: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly timing: Pick<Timing, "keyringMs">;
}

/** The system's keyring: one secret for each exact origin. Every call ends in its time. */
export class Keyring {
  readonly #options: KeyringOptions;

  constructor(options: KeyringOptions) {
    this.#options = options;
  }

  /** @throws {KeyringUnavailable} */
  async get(origin: string): Promise<string | null> {
    return this.#ask({ action: "get", service: SERVICE, account: origin });
  }

  /** @throws {KeyringUnavailable} */
  async set(origin: string, secret: string): Promise<void> {
    await this.#ask({ action: "set", service: SERVICE, account: origin, secret });
  }

  /**
   * Deletes the secret, if there is one.
   *
   * @throws {KeyringUnavailable}
   */
  async delete(origin: string): Promise<void> {
    await this.#ask({ action: "delete", service: SERVICE, account: origin });
  }

  async #ask(request: KeyringRequest): Promise<string | null> {
    const { root, nodePath, env, timing } = this.#options;
    const { keyringMs } = timing;
    const { KILOCLAW_ADMIN_TOKEN: _unneeded, ...childEnv } = env;
    const child = spawn(nodePath, [join(root, "dist", "keyring.cjs")], {
      env: childEnv,
      stdio: ["pipe", "pipe", "ignore"],
      timeout: keyringMs,
      killSignal: "SIGKILL",
      windowsHide: true,
    });
    const failed = new Promise<never>((_resolve, reject) => child.once("error", reject));
    const killed = new Promise<boolean>((resolve) => child.once("close", (_code, signal) => resolve(signal !== null)));
    // A child that has ended already says why by its answer, or by having none.
    child.stdin.on("error", () => undefined);
    child.stdin.end(JSON.stringify(request));
    let said: string;
    try {
      said = await Promise.race([text(child.stdout), failed]);
    } catch (error) {
      throw new KeyringUnavailable(messageOf(error), { cause: error });
    }
    if (await killed) throw new KeyringUnavailable(`it did not answer within ${keyringMs / 1000} s`);
    const parsed = answer.safeParse(tryJson(said));
    if (!parsed.success) throw new KeyringUnavailable("its answer was not understood");
    if ("error" in parsed.data) throw new KeyringUnavailable(parsed.data.error);
    return parsed.data.secret;
  }
}
