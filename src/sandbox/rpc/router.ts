/** The procedures that the sandbox serves, on the inputs of the contract. */
import { TRPCError } from "@trpc/server";
import { admin, organization, user } from "../../contract/procedures.ts";
import type { Instance, User } from "../database/schema.ts";
import { findMemberInstance, getInstance, listInstances, machineOf } from "../platform/instances.ts";
import { listAllRuns, listUserRuns, runOutput } from "../platform/run-lists.ts";
import type { Caller } from "../platform/run-records.ts";
import { adminOnly, createCallerFactory, member, router, type Services, signedIn, subscriber } from "./init.ts";

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
    return { ...listed, inbound_email_address: null, ...(await machineOf(ctx.worker, instance, call)) };
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

/** An organization's member acts on his own instance in it: the same records, by another way. */
const organizationsKiloclaw = router({
  startKiloCliRun: member.input(organization.startKiloCliRun.input).mutation(async ({ ctx, input, path }) => {
    const { id: instanceId } = await ownInstance(ctx, input);
    return ctx.runs.create(asMember(path, ctx.user), { instanceId, prompt: input.prompt });
  }),

  getKiloCliRunStatus: member.input(organization.getKiloCliRunStatus.input).query(async ({ ctx, input, path }) => {
    const { id: instanceId } = await ownInstance(ctx, input);
    return ctx.runs.status(asMember(path, ctx.user), { runId: input.runId, instanceId });
  }),

  cancelKiloCliRun: member.input(organization.cancelKiloCliRun.input).mutation(async ({ ctx, input, path }) => {
    const { id: instanceId } = await ownInstance(ctx, input);
    const answer = await ctx.runs.cancel(asMember(path, ctx.user), { runId: input.runId, instanceId });
    if (!answer) throw new TRPCError({ code: "NOT_FOUND", message: "Kilo CLI run not found" });
    return answer;
  }),

  listKiloCliRuns: member.input(organization.listKiloCliRuns.input).query(async ({ ctx, input }) => {
    const instance = await findMemberInstance(ctx.database, { userId: ctx.user.id, ...input });
    if (!instance) return { runs: [] };
    return listUserRuns(ctx.database, { userId: ctx.user.id, instanceId: instance.id, limit: input.limit });
  }),
});

export const appRouter = router({
  admin: router({ kiloclawInstances }),
  kiloclaw,
  organizations: router({ kiloclaw: organizationsKiloclaw }),
  user: router({ getMe: signedIn.query(({ ctx }) => ({ id: ctx.user.id, success: true })) }),
});

/** The procedures as a user may call them, with his rights, within this process. */
export function callAs(services: Services, user: User) {
  return createCallerFactory(appRouter)({ ...services, user });
}
export type Procedures = ReturnType<typeof callAs>;

function asAdmin(procedure: string, actor: User, { userId }: { userId: string }): Caller {
  return { procedure, userId, admin: actor };
}

function asOwner(procedure: string, owner: User): Caller {
  return { procedure, userId: owner.id };
}

function asMember(procedure: string, actor: User): Caller {
  return { procedure, userId: actor.id, asMember: true };
}

async function ownInstance(
  { database, user: { id: userId } }: Pick<Services, "database"> & { user: User },
  { organizationId }: { organizationId: string },
): Promise<Instance> {
  const instance = await findMemberInstance(database, { userId, organizationId });
  if (instance) return instance;
  throw new TRPCError({ code: "NOT_FOUND", message: "No active KiloClaw instance found for this organization" });
}
