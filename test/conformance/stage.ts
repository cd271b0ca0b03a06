/** A sandbox to replay recordings against, and what staging them needs: tokens of all kinds, faults, the clock. */
import { readFile } from "node:fs/promises";
import path from "node:path";
import { SignJWT } from "jose";
import type { FaultSpec } from "../../src/sandbox/control-api.ts";
import type { RunningSandbox } from "../../src/sandbox/remote.ts";
import seedFile from "../fixtures/seed.json" with { type: "json" };
import { borrowSandbox } from "../support/shared-sandbox.ts";

const PEOPLE: Readonly<Record<string, { id: string; email: string; api_token_pepper?: string }>> = seedFile.users;

const HOUR_S = 3_600;

export class Stage {
  readonly #remote: RunningSandbox;
  readonly #secret: Uint8Array;
  readonly #close: () => Promise<void>;
  /** Tokens that came up during the replay, by the words of the recording. */
  readonly tokens = new Map<string, string>();

  private constructor(remote: RunningSandbox, secret: Uint8Array, close: () => Promise<void>) {
    this.#remote = remote;
    this.#secret = secret;
    this.#close = close;
  }

  static async open(): Promise<Stage> {
    const sandbox = await borrowSandbox();
    const secret = Buffer.from(await readFile(path.join(sandbox.dataDir, "secret"), "utf8"), "hex");
    return new Stage(sandbox.remote, secret, () => sandbox.stop());
  }

  get origin(): string {
    return this.#remote.url;
  }

  async fault(spec: FaultSpec): Promise<void> {
    await this.#remote.setFault(spec);
  }

  async clearFaults(): Promise<void> {
    await this.#remote.clearFaults();
  }

  /** Deletes all runs; everybody's tokens stay valid. */
  async reset(): Promise<void> {
    await this.#remote.reset();
  }

  /** The Authorization header that a recording describes in words. */
  async authorization(auth: string, scenario: string): Promise<string | undefined> {
    if (auth === "none" && scenario.includes("basic-scheme")) return "Basic YTpi";
    if (scenario === "auth-14-lowercase-scheme") return `bearer ${await this.#token("admin")}`;
    if (auth === "none") return undefined;
    const known = this.tokens.get(auth);
    if (known !== undefined) return `Bearer ${known}`;
    const person = /^Bearer <token of (\w+)>$/.exec(auth)?.[1];
    if (person !== undefined) return `Bearer ${await this.#token(person)}`;
    if (auth.startsWith("Bearer ")) return auth;
    return `Bearer ${await this.#special(auth)}`;
  }

  async close(): Promise<void> {
    await this.#close();
  }

  #token(name: string): Promise<string> {
    const person = PEOPLE[name];
    if (!person) throw new Error(`the seed has no ${name}`);
    return this.#sign({ kiloUserId: person.id, apiTokenPepper: person.api_token_pepper ?? null });
  }

  #special(auth: string): Promise<string> {
    const admin = { kiloUserId: PEOPLE["admin"]?.id, apiTokenPepper: PEOPLE["admin"]?.api_token_pepper };
    switch (auth) {
      case "wrong pepper":
      case "admin token with wrong apiTokenPepper":
        return this.#sign({ ...admin, apiTokenPepper: "another" });
      case "admin token without pepper (user has one)":
        return this.#sign({ ...admin, apiTokenPepper: undefined });
      case "version 2":
      case "version 2 token":
        return this.#sign({ ...admin, version: 2 });
      case "expired":
      case "expired token":
        return this.#sign(admin, { lifetime: -HOUR_S });
      case "other secret":
      case "signed with other secret":
        return this.#sign(admin, { secret: Buffer.alloc(32, 1) });
      case "unknown user":
      case "token for unknown user":
        return this.#sign({ ...admin, kiloUserId: "00000000-0000-4000-8000-000000000000" });
      case "admin2 (no pepper in DB) with a pepper claim":
        return this.#sign({ kiloUserId: PEOPLE["admin2"]?.id, apiTokenPepper: "any" });
      default:
        throw new Error(`a recording asks for ${JSON.stringify(auth)}`);
    }
  }

  #sign(claims: Record<string, unknown>, { lifetime = HOUR_S, secret = this.#secret } = {}): Promise<string> {
    const now = Math.floor(Date.now() / 1000);
    return new SignJWT({ env: "test", version: 3, ...claims })
      .setProtectedHeader({ alg: "HS256", typ: "JWT" })
      .setIssuedAt(now - 2 * HOUR_S)
      .setExpirationTime(now + lifetime)
      .sign(secret);
  }
}
