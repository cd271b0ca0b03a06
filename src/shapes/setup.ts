/** The tool's own setup, and the sandbox. */
import * as z from "zod";

const text = z.string().nullable();

export const loginShape = z
  .object({
    profile: z.string(),
    host: z.string(),
    email: text,
    userId: text,
    expiresAt: z.date().nullable(),
    stored: z.string(),
  })
  .meta({ description: "a login" });

export const authStatusShape = z
  .object({
    profile: z.string(),
    current: z.boolean(),
    host: z.string(),
    usable: z.boolean().nullable().meta({ description: "null where the platform could not be asked" }),
    email: text,
    userId: text,
    isAdmin: z.boolean().nullable(),
    tokenSource: text,
    storage: z.enum(["keyring", "file"]).nullable(),
    expiresAt: z.date().nullable(),
    reason: text.meta({ description: "why the token is of no use; null when it is good" }),
  })
  .meta({ description: "who you are to a platform" });

export const settingShape = z
  .object({
    key: z.string(),
    value: z.union([z.string(), z.number(), z.boolean()]).nullable(),
    origin: z.string().meta({ description: "where the value comes from" }),
  })
  .meta({ description: "a setting in force" });

export const checkShape = z
  .object({
    stage: z.enum(["tool", "settings", "login", "storage", "network", "platform"]),
    name: z.string(),
    result: z.enum(["ok", "warn", "fail", "skipped"]),
    found: z.string(),
    remedy: text,
  })
  .meta({ description: "a check of `doctor`" });

const count = z.int().nonnegative().nullable();

export const sandboxShape = z
  .object({
    running: z.boolean(),
    url: text,
    pid: z.int().nullable(),
    dataDir: z.string(),
    profile: z.string(),
    database: text,
    startedAt: z.date().nullable(),
    users: count,
    instances: count,
    runs: count,
    id: text,
  })
  .meta({ description: "the sandbox" });

export const sandboxAccessShape = z
  .object({ url: z.string(), key: z.string() })
  .meta({ description: "the address of the sandbox's pages, and the key that they ask for" });

export const sandboxInstanceShape = z
  .object({ id: z.string(), directory: z.string(), healthy: z.boolean(), problems: z.array(z.string()).readonly() })
  .meta({ description: "an instance of the sandbox, and what is broken in its files" });

export const sandboxFaultShape = z
  .object({
    name: z.string(),
    procedure: text,
    user: text,
    instance: text,
    count: z.number().nullable(),
    delayMs: z.number().nullable(),
    retryAfter: z.number().nullable(),
    value: text,
  })
  .meta({ description: "a fault that is set in the sandbox" });

export const errorShape = z
  .object({
    error: z.object({
      kind: z.string(),
      message: z.string(),
      hint: text,
      retryable: z.boolean(),
      exitCode: z.int(),
      sent: z.boolean().nullable().meta({ description: "of a conflict: whether a request had been sent" }),
    }),
  })
  .meta({ description: "an error, on standard error" });
