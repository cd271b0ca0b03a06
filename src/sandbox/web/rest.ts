/** The platform's REST routes: profile, user search, device login. */
import { Hono } from "hono";
import * as z from "zod";
import type { Database } from "../database/database.ts";
import type { User } from "../database/schema.ts";
import { type Authenticator, credentialsOf, Refusal } from "../platform/auth.ts";
import { type DeviceAuth, DeviceAuthFailure } from "../platform/device-auth.ts";
import { searchUsers } from "../platform/users.ts";

const POLL_STATUS = { pending: 202, approved: 200, denied: 403, expired: 410 } as const;

const approval = z.object({ code: z.string() });

export interface RestDependencies {
  readonly database: Database;
  readonly authenticator: Authenticator;
  readonly deviceAuth: DeviceAuth;
}

export function restRoutes({ database, authenticator, deviceAuth }: RestDependencies): Hono {
  const app = new Hono();
  const userOf = (request: Request): Promise<User> => authenticator.authenticate(credentialsOf(request.headers));

  app.onError((error, c) => {
    if (error instanceof Refusal) return c.json({ error: error.message, success: false }, error.status);
    // As the platform: no word about what went wrong.
    if (error instanceof DeviceAuthFailure) return c.body(null, 500);
    throw error;
  });

  app.get("/api/profile", async (c) => {
    const user = await userOf(c.req.raw);
    return c.json({
      user: {
        id: user.id,
        email: user.google_user_email,
        name: user.google_user_name,
        image: user.google_user_image_url,
      },
    });
  });

  app.get("/admin/api/users", async (c) => {
    const user = await userOf(c.req.raw);
    if (!user.is_admin) throw new Refusal(403, "Access denied (nonadmin)");
    try {
      return c.json(await searchUsers(database, new URL(c.req.url).searchParams));
    } catch {
      return c.json({ error: "Failed to fetch users" }, 500);
    }
  });

  app.post("/api/device-auth/codes", async (c) => {
    const address = c.req.header("x-forwarded-for")?.split(",", 1)[0]?.trim() ?? "127.0.0.1";
    const { code, expiresIn } = await deviceAuth.create(address, c.req.header("user-agent") ?? null);
    const verificationUrl = new URL("/device-auth", c.req.url);
    verificationUrl.searchParams.set("code", code);
    return c.json({ code, verificationUrl: verificationUrl.href, expiresIn });
  });

  app.get("/api/device-auth/codes/:code", async (c) => {
    const answer = await deviceAuth.poll(c.req.param("code"));
    return c.json(answer, POLL_STATUS[answer.status]);
  });

  app.delete("/api/device-auth/codes/:code", async (c) => {
    await userOf(c.req.raw);
    await deviceAuth.deny(c.req.param("code"));
    return c.json({ success: true });
  });

  app.post("/api/device-auth/tokens", async (c) => {
    const user = await userOf(c.req.raw);
    const body = approval.safeParse(await c.req.json().catch(() => undefined));
    if (!body.success) return c.json({ error: "Invalid request body", details: body.error.issues }, 400);
    await deviceAuth.approve(body.data.code, user);
    return c.json({ success: true });
  });

  return app;
}
