/** `identity.json` in a sandbox's data directory: what the sandbox is known by, whatever its port, and which port it has had last. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import * as z from "zod";

const identity = z.object({
  /** The same after a restart, another one after a reset. */
  id: z.string().regex(/^[0-9a-f]{16}$/),
  /** `null` before its first start. */
  port: z.int().min(1).max(65_535).nullable(),
  /** When it began, with its example data, in ISO; absent where that is not known. */
  madeAt: z.iso.datetime().optional(),
});

export type SandboxIdentity = z.output<typeof identity>;

export const identityFile = (dataDir: string): string => join(dataDir, "identity.json");

/** What the file says; `undefined` where there is none, or none of ours. */
export async function readIdentity(dataDir: string): Promise<SandboxIdentity | undefined> {
  try {
    return identity.parse(JSON.parse(await readFile(identityFile(dataDir), "utf8")));
  } catch {
    return undefined;
  }
}
