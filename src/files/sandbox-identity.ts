/** `identity.json` in a sandbox's data directory: what the sandbox is known by, whatever its port, and which port it has had last. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import * as z from "zod";
import { lazily } from "../contract/lazily.ts";

const identity = lazily(() =>
  z.object({
    /** The same after a restart, another one after a reset. */
    id: z.string().regex(/^[0-9a-f]{16}$/),
    /** `null` before its first start. */
    port: z.int().min(1).max(65_535).nullable(),
    /** When it began, with its example data, in ISO; absent where that is not known. */
    madeAt: z.iso.datetime().optional(),
  }),
);

export type SandboxIdentity = z.output<ReturnType<typeof identity>>;

export const identityFile = (dataDir: string): string => join(dataDir, "identity.json");

/** What the file says; `undefined` where there is none, or none of ours. */
export function readIdentity(dataDir: string): SandboxIdentity | undefined {
  try {
    return identity().parse(JSON.parse(readFileSync(identityFile(dataDir), "utf8")));
  } catch {
    return undefined;
  }
}
