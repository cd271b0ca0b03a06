/** Device login: a code that the tool shows, a user who approves it in the browser, a token that is handed out once. */
import { randomInt } from "node:crypto";
import { and, count, eq } from "drizzle-orm";
import type { Database } from "../database/database.ts";
import { type DeviceAuthRequest, deviceAuthRequests, type User, users } from "../database/schema.ts";
import type { Authenticator } from "./auth.ts";

/** Without I and O, 0 and 1, which look alike. */
const ALPHABET = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789";
const LIFETIME_SECONDS = 600;
const MAX_PENDING_PER_ADDRESS = 5;

/** Too many pending codes, or a code that is unknown or not pending: the platform answers all of them with an empty 500. */
export class DeviceAuthFailure extends Error {
  override name = "DeviceAuthFailure";
}

export type PollAnswer =
  | { readonly status: "pending" | "denied" | "expired" }
  | { readonly status: "approved"; readonly token: string; readonly userId: string; readonly userEmail: string };

export class DeviceAuth {
  readonly #database: Database;
  readonly #authenticator: Authenticator;

  constructor(database: Database, authenticator: Authenticator) {
    this.#database = database;
    this.#authenticator = authenticator;
  }

  /**
   * A new code. `expiresIn` is in seconds.
   *
   * @throws {DeviceAuthFailure} when five from this address are pending; those whose time is over count until polled.
   */
  async create(ipAddress: string, userAgent: string | null): Promise<{ code: string; expiresIn: number }> {
    const [pending] = await this.#database
      .select({ total: count() })
      .from(deviceAuthRequests)
      .where(and(eq(deviceAuthRequests.ip_address, ipAddress), eq(deviceAuthRequests.status, "pending")));
    if ((pending?.total ?? 0) >= MAX_PENDING_PER_ADDRESS) throw new DeviceAuthFailure("too many pending requests");
    const code = newCode();
    const expiresAt = new Date(Date.now() + LIFETIME_SECONDS * 1_000);
    await this.#database.insert(deviceAuthRequests).values({
      code,
      ip_address: ipAddress,
      user_agent: userAgent,
      expires_at: expiresAt.toISOString(),
    });
    // The platform rounds down after some milliseconds have passed.
    return { code, expiresIn: LIFETIME_SECONDS - 1 };
  }

  /** The state of a code. The poll that reads `approved` uses the code up. */
  async poll(code: string): Promise<PollAnswer> {
    const request = await this.find(code);
    if (!request) return { status: "expired" };
    if (request.status === "approved") return this.#handOut(request);
    return { status: request.status };
  }

  /** The request with this code; one whose time is over has expired. */
  async find(code: string): Promise<DeviceAuthRequest | undefined> {
    const [request] = await this.#database.select().from(deviceAuthRequests).where(eq(deviceAuthRequests.code, code));
    if (request?.status !== "pending" || !isOver(request)) return request;
    await this.#move(code, "pending", { status: "expired" });
    return { ...request, status: "expired" };
  }

  /** @throws {DeviceAuthFailure} when the code is not pending. */
  async approve(code: string, user: User): Promise<void> {
    await this.#decide(code, { status: "approved", kilo_user_id: user.id });
  }

  /** @throws {DeviceAuthFailure} when the code is not pending. */
  async deny(code: string): Promise<void> {
    await this.#decide(code, { status: "denied" });
  }

  async #decide(code: string, values: Partial<DeviceAuthRequest>): Promise<void> {
    const request = await this.find(code);
    if (request?.status !== "pending" || !(await this.#move(code, "pending", values))) {
      throw new DeviceAuthFailure("the code is not pending");
    }
  }

  async #handOut({ code, kilo_user_id }: DeviceAuthRequest): Promise<PollAnswer> {
    if (!(await this.#move(code, "approved", { status: "expired" }))) return { status: "expired" };
    const [user] = await this.#database
      .select()
      .from(users)
      .where(eq(users.id, kilo_user_id ?? ""));
    if (!user) return { status: "expired" };
    const token = await this.#authenticator.mint(user, { deviceAuthRequestCode: code });
    return { status: "approved", token, userId: user.id, userEmail: user.google_user_email };
  }

  /** Of two that move the same request at once, one succeeds. */
  async #move(code: string, from: DeviceAuthRequest["status"], values: Partial<DeviceAuthRequest>): Promise<boolean> {
    const moved = await this.#database
      .update(deviceAuthRequests)
      .set(values)
      .where(and(eq(deviceAuthRequests.code, code), eq(deviceAuthRequests.status, from)))
      .returning({ code: deviceAuthRequests.code });
    return moved.length > 0;
  }
}

function isOver(request: DeviceAuthRequest): boolean {
  return Date.parse(request.expires_at) <= Date.now();
}

function newCode(): string {
  const letters = Array.from({ length: 8 }, () => ALPHABET[randomInt(ALPHABET.length)]).join("");
  return `${letters.slice(0, 4)}-${letters.slice(4)}`;
}
