/** Who calls: the platform's tokens, and why one is refused. */
import { randomUUID } from "node:crypto";
import { and, eq, isNull } from "drizzle-orm";
import { decodeJwt, jwtVerify, SignJWT } from "jose";
import * as z from "zod";
import type { Database } from "../database/database.ts";
import { instances, type User, users } from "../database/schema.ts";

const TOKEN_VERSION = 3;

/** How long the platform's device tokens live. */
const TOKEN_LIFETIME_DAYS = 1_825;
const DAY_SECONDS = 86_400;

const claims = z.object({
  kiloUserId: z.string(),
  version: z.number(),
  apiTokenPepper: z.string().nullish(),
});

/** A refused call, as the REST routes tell it. tRPC answers one 401 for all of them. */
export class Refusal extends Error {
  override name = "Refusal";
  readonly status: 400 | 401 | 403;

  constructor(status: 400 | 401 | 403, reason: string) {
    super(reason);
    this.status = status;
  }
}

/** The two headers that decide who calls. */
export interface Credentials {
  readonly authorization: string | null;
  readonly organizationId: string | null;
}

export function credentialsOf(headers: Headers): Credentials {
  return { authorization: headers.get("authorization"), organizationId: headers.get("x-kilocode-organizationid") };
}

export class Authenticator {
  readonly #database: Database;
  readonly #secret: Uint8Array;

  /** @param secret signs the tokens; whoever has it is any user. */
  constructor(database: Database, secret: Uint8Array) {
    this.#database = database;
    this.#secret = secret;
  }

  /** A token for this user, valid for 1825 days like one from the device login. */
  async mint(user: User, extraClaims: Record<string, unknown> = {}): Promise<string> {
    const issuedAt = Math.floor(Date.now() / 1_000);
    return new SignJWT({
      env: "sandbox",
      kiloUserId: user.id,
      apiTokenPepper: user.api_token_pepper,
      version: TOKEN_VERSION,
      ...extraClaims,
    })
      .setProtectedHeader({ alg: "HS256", typ: "JWT" })
      .setIssuedAt(issuedAt)
      .setExpirationTime(issuedAt + TOKEN_LIFETIME_DAYS * DAY_SECONDS)
      .sign(this.#secret);
  }

  /**
   * The user that the credentials prove.
   *
   * @throws {Refusal} with the reason.
   */
  async authenticate({ authorization, organizationId }: Credentials): Promise<User> {
    if (authorization === null) throw new Refusal(401, "Unauthorized");
    const [scheme, token] = authorization.split(" ", 2);
    if (scheme?.toLowerCase() !== "bearer" || !token) throw new Refusal(401, "Unauthorized - authentication required");
    const claimed = await this.#verify(token);
    const [user] = await this.#database.select().from(users).where(eq(users.id, claimed.kiloUserId));
    if (!user) throw new Refusal(401, "User not found");
    if (user.api_token_pepper !== null && user.api_token_pepper !== claimed.apiTokenPepper) {
      throw new Refusal(401, "Invalid API token");
    }
    if (user.blocked_reason !== null) throw new Refusal(403, "Access denied (R1)");
    if (organizationId !== null) await this.#checkMembership(user, organizationId);
    return user;
  }

  async #verify(token: string): Promise<z.infer<typeof claims>> {
    let payload: unknown;
    try {
      ({ payload } = await jwtVerify(token, this.#secret, { algorithms: ["HS256"] }));
    } catch {
      throw new Refusal(401, `Invalid token (${randomUUID()})`);
    }
    const parsed = claims.safeParse(payload);
    if (!parsed.success) throw new Refusal(401, `Invalid token (${randomUUID()})`);
    if (parsed.data.version < TOKEN_VERSION) {
      throw new Refusal(401, `Token version outdated, please re-authenticate (${randomUUID()})`);
    }
    return parsed.data;
  }

  async #checkMembership(user: User, organizationId: string): Promise<void> {
    if (!z.uuid().safeParse(organizationId).success) throw new Refusal(400, "Invalid organization ID format");
    const [instance] = await this.#database
      .select({ id: instances.id })
      .from(instances)
      .where(
        and(
          eq(instances.user_id, user.id),
          eq(instances.organization_id, organizationId),
          isNull(instances.destroyed_at),
        ),
      )
      .limit(1);
    if (!instance) throw new Refusal(403, "Access denied (not a member of the organization)");
  }
}

/** The user id that a token claims, unproven: for logs and for the scope of faults. */
export function claimedUserId(authorization: string | null): string | undefined {
  const token = authorization?.split(" ", 2)[1];
  if (!token) return undefined;
  try {
    return claims.parse(decodeJwt(token)).kiloUserId;
  } catch {
    return undefined;
  }
}
