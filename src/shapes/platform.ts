/** What the platform has, as the tool shows it. */
import * as z from "zod";

export const instanceShape = z
  .object({
    id: z.string(),
    userId: z.string(),
    userEmail: z.string().nullable(),
    organizationId: z.string().nullable(),
    sandboxId: z.string(),
    lifecycleState: z.string().meta({ description: "billing: `active` says nothing about the machine" }),
    machineStatus: z.string().nullable().meta({ description: "null where it was not asked for or is not known" }),
    createdAt: z.date(),
    destroyedAt: z.date().nullable(),
  })
  .meta({ description: "a customer's instance" });

export const userShape = z
  .object({
    id: z.string(),
    email: z.string(),
    name: z.string().nullable(),
    isAdmin: z.boolean(),
    blockedReason: z.string().nullable(),
    createdAt: z.date(),
  })
  .meta({ description: "a user of the platform" });

export const pageShape = z.object({ url: z.string() }).meta({ description: "a page of the platform" });

export const auditRecordShape = z
  .object({
    id: z.string(),
    action: z.string(),
    actorId: z.string().nullable(),
    actorEmail: z.string().nullable(),
    targetUserId: z.string(),
    runId: z.string().nullable(),
    instanceId: z.string().nullable(),
    message: z.string(),
    createdAt: z.date(),
    metadata: z.record(z.string(), z.unknown()).nullable(),
    userEmail: z.string().nullable().meta({ description: "of targetUserId, where it is known" }),
  })
  .meta({ description: "a record of the platform's audit log" });
