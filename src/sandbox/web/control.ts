/** `/_sandbox/*`: what the sandbox's own commands and tests use. Every call needs the control token. */
import { eq } from "drizzle-orm";
import { Hono } from "hono";
import * as z from "zod";
import { FAULTS, type FaultName, type SandboxStatus, WORKER_ANSWERS } from "../control-api.ts";
import type { Database } from "../database/database.ts";
import { type Instance, instances } from "../database/schema.ts";
import type { Faults } from "../faults.ts";
import { instanceHealth } from "../instance/directory.ts";
import type { Worker } from "../machines/worker.ts";
import type { Authenticator } from "../platform/auth.ts";
import { findInstance, findPersonalInstance } from "../platform/instances.ts";
import { findUser } from "../platform/users.ts";
import type { RequestLog } from "./request-log.ts";
import { same } from "./secrets.ts";

export interface ControlDependencies {
  readonly controlToken: string;
  readonly database: Database;
  readonly authenticator: Authenticator;
  readonly faults: Faults;
  readonly requests: RequestLog;
  readonly worker: Worker;
  readonly status: () => Promise<SandboxStatus>;
  /** Writes a file that opens the page at this path, signed in. @returns where it is. */
  readonly openingFile: (next: string) => Promise<string>;
  /** Deletes all data and seeds anew. */
  readonly reset: () => Promise<void>;
  /** Must not wait for the answer to this call. */
  readonly stop: () => void;
}

const faultNames = Object.keys(FAULTS) as [FaultName, ...FaultName[]];

const faultSpec = z
  .strictObject({
    name: z.enum(faultNames),
    procedure: z.string().min(1).optional(),
    user: z.string().min(1).optional(),
    instance: z.uuid().optional(),
    count: z.int().min(1).optional(),
    delayMs: z.int().min(0).max(3_600_000).optional(),
    retryAfter: z.int().min(0).optional(),
    value: z.string().min(1).optional(),
  })
  .refine(({ name, value }) => name !== "instance-status" || value !== undefined, {
    message: "instance-status needs a value, such as stopped",
  })
  .refine(({ name, value }) => name !== "worker" || WORKER_ANSWERS.some((answer) => answer === value), {
    message: `worker needs a value: ${WORKER_ANSWERS.join(", ")}`,
  });

export function controlRoutes(dependencies: ControlDependencies): Hono {
  const { database, authenticator, faults, requests, worker } = dependencies;
  const app = new Hono();

  app.use(async (c, next) => {
    const given = c.req.header("authorization")?.replace(/^Bearer /i, "") ?? "";
    if (!same(given, dependencies.controlToken)) return c.json({ error: "The control token is wrong" }, 401);
    return next();
  });

  app.get("/status", async (c) => c.json(await dependencies.status()));
  app.get("/requests", (c) => c.json(requests.list()));
  app.get("/faults", (c) => c.json(faults.list()));

  app.post("/faults", async (c) => {
    const spec = faultSpec.safeParse(await c.req.json().catch(() => undefined));
    if (!spec.success) return c.json({ error: z.prettifyError(spec.error) }, 400);
    if (spec.data.user === undefined) return c.json(faults.set(spec.data));
    const user = await findUser(database, spec.data.user);
    if (!user) return c.json({ error: `There is no user ${spec.data.user} in this sandbox` }, 404);
    return c.json(faults.set({ ...spec.data, user: user.id }));
  });

  app.delete("/faults", (c) => {
    faults.clear();
    return c.json({ ok: true });
  });

  app.post("/token", async (c) => {
    const { user: name } = z.object({ user: z.string() }).parse(await c.req.json());
    const user = await findUser(database, name);
    if (!user) return c.json({ error: `There is no user ${name} in this sandbox` }, 404);
    return c.json({ token: await authenticator.mint(user), userId: user.id, email: user.google_user_email });
  });

  app.post("/opening-file", async (c) => {
    const { next } = z.object({ next: z.string() }).parse(await c.req.json());
    return c.json({ file: await dependencies.openingFile(next) });
  });

  app.get("/instance", async (c) => {
    const name = c.req.query("of") ?? "";
    const instance = await instanceOf(database, name);
    if (!instance) return c.json({ error: `There is no instance of ${name} in this sandbox` }, 404);
    const directory = await worker.directory(instance.id);
    return c.json({ id: instance.id, directory, ...(await instanceHealth(directory)) });
  });

  app.post("/reset", async (c) => {
    await dependencies.reset();
    return c.json({ ok: true });
  });

  app.post("/stop", (c) => {
    dependencies.stop();
    return c.json({ ok: true });
  });

  return app;
}

/** By instance id, or by its owner's id or e-mail. */
async function instanceOf(database: Database, name: string): Promise<Instance | undefined> {
  if (z.uuid().safeParse(name).success) {
    const byId = await findInstance(database, name);
    if (byId) return byId;
  }
  const user = await findUser(database, name);
  if (!user) return undefined;
  const personal = await findPersonalInstance(database, user.id);
  if (personal) return personal;
  const [other] = await database.select().from(instances).where(eq(instances.user_id, user.id)).limit(1);
  return other;
}
