/** The procedures that the sandbox serves, on the inputs of the contract. */
import { TRPCError } from "@trpc/server";
import { admin, user } from "../../contract/procedures.ts";
import type { User } from "../database/schema.ts";
import { WorkerError, WorkerUnreachable } from "../machines/worker.ts";
import { getInstance, listInstances } from "../platform/instances.ts";
import { listAllRuns, listUserRuns, runOutput } from "../platform/run-lists.ts";
import type { Caller } from "../platform/run-records.ts";
import { adminOnly, router, signedIn, subscriber } from "./init.ts";

const kiloclawInstances = router({
  startKiloCliRun: adminOnly
    .input(admin.startKiloCliRun.input)
    .mutation(({ ctx, input, path }) => ctx.runs.create(asAdmin(path, ctx.user, input), input)),

  getKiloCliRunStatus: adminOnly
    .input(admin.getKiloCliRunStatus.input)
    .query(({ ctx, input, path }) => ctx.runs.status(asAdmin(path, ctx.user, input), input)),

  cancelKiloCliRun: adminOnly.input(admin.cancelKiloCliRun.input).mutation(async ({ ctx, input, path }) => {
    const answer = await ctx.runs.cancel(asAdmin(path, ctx.user, input), input);
    if (!answer) throw new TRPCError({ code: "NOT_FOUND", message: "CLI run not found" });
    return answer;
  }),

  listKiloCliRuns: adminOnly
    .input(admin.listKiloCliRuns.input)
    .query(({ ctx, input }) => listUserRuns(ctx.database, input)),

  listAllCliRuns: adminOnly
    .input(admin.listAllCliRuns.input)
    .query(({ ctx, input }) => listAllRuns(ctx.database, input)),

  getCliRunOutput: adminOnly
    .input(admin.getCliRunOutput.input)
    .query(({ ctx, input }) => runOutput(ctx.database, input)),

  adminAuditLogs: adminOnly.input(admin.adminAuditLogs.input).query(({ ctx, input }) => ctx.audit.list(input)),

  list: adminOnly.input(admin.list.input).query(({ ctx, input }) => listInstances(ctx.database, input)),

  get: adminOnly.input(admin.get.input).query(async ({ ctx, input, path }) => {
    const found = await getInstance(ctx.database, input.id);
    if (!found) throw new TRPCError({ code: "NOT_FOUND", message: "Instance not found" });
    const { instance, listed } = found;
    const call = { procedure: path, userId: instance.user_id, instanceId: instance.id };
    const worker = await ctx.worker.describe(instance, call).then(
      (workerStatus) => ({ workerStatus, workerStatusError: null }),
      (error: unknown) => {
        // The worker's trouble is told, and does not fail the call.
        if (!(error instanceof WorkerError || error instanceof WorkerUnreachable)) throw error;
        return { workerStatus: null, workerStatusError: error.message };
      },
    );
    return { ...listed, inbound_email_address: null, ...worker };
  }),
});

const kiloclaw = router({
  startKiloCliRun: subscriber
    .input(user.startKiloCliRun.input)
    .mutation(({ ctx, input, path }) => ctx.runs.create(asOwner(path, ctx.user), input)),

  getKiloCliRunStatus: subscriber
    .input(user.getKiloCliRunStatus.input)
    .query(({ ctx, input, path }) => ctx.runs.status(asOwner(path, ctx.user), input)),

  cancelKiloCliRun: subscriber.input(user.cancelKiloCliRun.input).mutation(async ({ ctx, input, path }) => {
    const answer = await ctx.runs.cancel(asOwner(path, ctx.user), input);
    if (!answer) throw new TRPCError({ code: "NOT_FOUND", message: "Kilo CLI run not found" });
    return answer;
  }),

  listKiloCliRuns: subscriber
    .input(user.listKiloCliRuns.input)
    .query(({ ctx, input }) => listUserRuns(ctx.database, { userId: ctx.user.id, limit: input?.limit ?? 10 })),
});

export const appRouter = router({
  admin: router({ kiloclawInstances }),
  kiloclaw,
  user: router({ getMe: signedIn.query(({ ctx }) => ({ id: ctx.user.id, success: true })) }),
});

function asAdmin(procedure: string, actor: User, { userId }: { userId: string }): Caller {
  return { procedure, userId, admin: actor };
}

function asOwner(procedure: string, owner: User): Caller {
  return { procedure, userId: owner.id };
}
