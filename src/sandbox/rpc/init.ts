/** tRPC as the platform sets it up: no transformer, its own error data, and who may call what. */
import { initTRPC, TRPCError } from "@trpc/server";
import * as z from "zod";
import { ofOrganization } from "../../contract/procedures.ts";
import type { Database } from "../database/database.ts";
import type { User } from "../database/schema.ts";
import type { Worker } from "../machines/worker.ts";
import type { AuditLog } from "../platform/audit-log.ts";
import { hasSubscription } from "../platform/instances.ts";
import { checkMember } from "../platform/organizations.ts";
import { PlatformError } from "../platform/platform-error.ts";
import type { RunRecords } from "../platform/run-records.ts";

export interface Services {
  readonly database: Database;
  readonly worker: Worker;
  readonly runs: RunRecords;
  readonly audit: AuditLog;
}

/** `user` is undefined whenever the credentials prove nobody, whatever the reason. */
interface RpcContext extends Services {
  readonly user: User | undefined;
}

const t = initTRPC.context<RpcContext>().create({
  isDev: false,
  errorFormatter({ shape, error }) {
    return {
      ...shape,
      data: {
        ...shape.data,
        zodError: error.cause instanceof z.ZodError ? z.flattenError(error.cause) : null,
        ...(error instanceof PlatformError && error.upstreamCode !== undefined && { upstreamCode: error.upstreamCode }),
      },
    };
  },
});

export const router = t.router;

export const { createCallerFactory } = t;

/** For anybody with a valid token. */
export const signedIn = t.procedure.use(({ ctx, next }) => {
  if (!ctx.user) {
    throw new TRPCError({ code: "UNAUTHORIZED", message: "User not authenticated - no user to set on context" });
  }
  return next({ ctx: { user: ctx.user } });
});

/** For admins. Comes before the input is looked at. */
export const adminOnly = signedIn.use(({ ctx, next }) => {
  if (!ctx.user.is_admin) throw new TRPCError({ code: "FORBIDDEN", message: "Admin access required" });
  return next();
});

/** For users whose subscription is active. */
export const subscriber = signedIn.use(async ({ ctx, next }) => {
  if (!(await hasSubscription(ctx.database, ctx.user.id))) {
    throw new TRPCError({ code: "FORBIDDEN", message: "KiloClaw access requires an active subscription or trial." });
  }
  return next();
});

/** For members of the organization that the input names, and admins. Comes before the rest of the input is looked at. */
export const member = signedIn.input(ofOrganization()).use(async ({ ctx, input, type, next }) => {
  await checkMember(ctx.database, { user: ctx.user, ...input, changing: type === "mutation" });
  return next();
});
