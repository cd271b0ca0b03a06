/** What pages find in their context, and how they read their forms. */
import type { Context } from "hono";
import type { Procedures } from "../../rpc/router.ts";
import type { Session } from "../sessions.ts";
import type { Frame } from "./page.ts";

/** For whoever has given the key. */
export interface PageEnv {
  Variables: { session: Session };
}

/** Once an account is chosen: `api` are the procedures, with that account's rights. */
export interface AccountEnv {
  Variables: { session: Session; frame: Frame; api: Procedures };
}

/** The named fields of a form; a missing one is empty. */
export async function fields<Name extends string>(
  c: Context,
  ...names: readonly Name[]
): Promise<Record<Name, string>> {
  const form = await c.req.parseBody();
  const entries = names.map((name) => [name, typeof form[name] === "string" ? form[name] : ""]);
  return Object.fromEntries(entries) as Record<Name, string>;
}
