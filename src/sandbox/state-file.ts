/** `sandbox.json`: how a running sandbox is found, in its data directory. Light: commands read it without the server. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import * as z from "zod";

const state = z.object({
  /** What the sandbox is known by; see `identity.json`. */
  id: z.string(),
  pid: z.number(),
  url: z.url(),
  /** Opens `/_sandbox/*`. */
  controlToken: z.string(),
  /** Opens the pages. */
  key: z.string(),
  /** ISO-8601. */
  startedAt: z.string(),
});
export type State = z.infer<typeof state>;

export const stateFile = (dataDir: string) => join(dataDir, "sandbox.json");

/** What the sandbox signs its tokens with: whoever knows it is any user. */
export const secretFile = (dataDir: string) => join(dataDir, "secret");

/** Marks a directory as a sandbox's, so that a reset deletes no other. */
export const MARKER = "KILOCLAW_SANDBOX";

/** What the file says; `undefined` when there is none or it is none of ours. It may be left from a killed sandbox. */
export async function readState(dataDir: string): Promise<State | undefined> {
  try {
    return state.parse(JSON.parse(await readFile(stateFile(dataDir), "utf8")));
  } catch {
    return undefined;
  }
}
