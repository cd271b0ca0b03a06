/** Playbooks. */
import * as z from "zod";

const text = z.string().nullable();
const bound = z.int().positive().nullable();

export const playbookShape = z
  .object({
    name: z.string(),
    title: text,
    description: text,
    requiresTicket: z.boolean().nullable(),
    concurrency: bound.meta({ description: "a job starts no more than this at a time" }),
    canary: bound.meta({ description: "a job starts this many first, at least" }),
    fields: z
      .array(z.object({ name: z.string(), description: text, pattern: text, default: text }))
      .readonly()
      .nullable(),
    path: z.string(),
    sha256: text,
    problem: text.meta({ description: "what keeps it from being used; all but name and path are then null" }),
  })
  .meta({ description: "a playbook of the profile" });

export const playbookDetailsShape = playbookShape
  .extend({ prompt: z.string().meta({ description: "with its {{fields}}" }) })
  .meta({ description: "a playbook, with its prompt" });

export const playbookCheckShape = z
  .object({
    path: z.string(),
    name: z.string(),
    line: z.int().positive().nullable(),
    problem: text.meta({ description: "null: none was found in this file" }),
  })
  .meta({ description: "a problem with a playbook's file, or a file without any" });
