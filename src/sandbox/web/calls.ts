/** Which procedures a request calls, and with what: for the request log and for the scope of faults. */
import { and, eq } from "drizzle-orm";
import type { Database } from "../database/database.ts";
import { cliRuns } from "../database/schema.ts";
import type { FaultTarget } from "../faults.ts";
import { findMemberInstance, findPersonalInstance } from "../platform/instances.ts";

export const RPC_PREFIX = "/api/trpc/";

/** One procedure (or route) of a request. A batch has several. */
export interface Call {
  readonly procedure: string;
  readonly input: Readonly<Record<string, unknown>>;
  /** Who the token claims to be. */
  readonly caller: string | undefined;
}

/** The calls of a request; what cannot be read is left out, as answering it is not this function's business. */
export function callsOf(url: URL, body: string, caller: string | undefined): Call[] {
  // The pages are looked at by people: they are no calls, and the place of a session belongs into no log.
  if (url.pathname.startsWith("/s/")) return [];
  if (!url.pathname.startsWith(RPC_PREFIX)) return [{ procedure: routeName(url.pathname), input: {}, caller }];
  const path = decodeURIComponent(url.pathname.slice(RPC_PREFIX.length)).replace(/\/$/, "");
  const input = parseObject(body || (url.searchParams.get("input") ?? ""));
  if (!url.searchParams.has("batch")) return [{ procedure: path, input, caller }];
  return path.split(",").map((procedure, index) => ({ procedure, input: asObject(input[index]), caller }));
}

/** The scope of a call. The instance is looked up, as most calls do not name it; ask for it only when it matters. */
export async function targetOf(database: Database, call: Call, withInstance: boolean): Promise<FaultTarget> {
  const userId = text(call.input["userId"]) ?? call.caller;
  return {
    procedure: call.procedure,
    userId,
    instanceId: withInstance ? await instanceOf(database, call, userId) : undefined,
  };
}

async function instanceOf(
  database: Database,
  { input }: Call,
  userId: string | undefined,
): Promise<string | undefined> {
  const named = text(input["instanceId"]) ?? text(input["id"]);
  if (named !== undefined || userId === undefined) return named;
  const runId = text(input["runId"]);
  if (runId !== undefined && UUID.test(runId)) {
    const [run] = await database
      .select({ instanceId: cliRuns.instance_id })
      .from(cliRuns)
      .where(and(eq(cliRuns.id, runId), eq(cliRuns.user_id, userId)));
    return run?.instanceId ?? undefined;
  }
  const organizationId = text(input["organizationId"]);
  const instance =
    organizationId !== undefined && UUID.test(organizationId)
      ? await findMemberInstance(database, { userId, organizationId })
      : await findPersonalInstance(database, userId);
  return instance?.id;
}

const UUID = /^[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}$/i;

/** `/api/device-auth/codes/ABCD-EFGH` is one route for all codes. */
function routeName(pathname: string): string {
  return pathname.replace(/^\//, "").replace(/^(api\/device-auth\/codes)\/.*$/, "$1");
}

function parseObject(json: string): Record<string, unknown> {
  try {
    return asObject(JSON.parse(json));
  } catch {
    return {};
  }
}

function asObject(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
}

function text(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}
