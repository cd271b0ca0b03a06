/**
 * Which answers are the platform's own. What stands between it and this machine (an edge, a proxy, the login page of a network)
 * answers with any status, in forms of its own; an answer that contradicts itself was changed or mixed up on the way. Neither
 * says anything about what was asked.
 */
import type * as z from "zod";
import { TRPC_CODES, trpcError } from "../contract/procedures.ts";
import { restError } from "../contract/rest.ts";
import { tryJson } from "../json.ts";
import { CONTRADICTION, foreign, notUnderstood, refusal, type ApiError } from "./api-error.ts";
import type { Answer } from "./transport.ts";
import { bodyInWords } from "./words.ts";

type Trpc = z.output<ReturnType<typeof trpcError>>["error"];

/**
 * The data of an answer to one tRPC call.
 *
 * @throws ApiError the platform's refusal, or an answer that is no answer to this call.
 */
export function dataOf(answer: Answer, procedure: string): unknown {
  const body = tryJson(answer.text);
  if (statusIn(body, procedure) !== answer.status) throw outOfForm(answer, procedure, body);
  if (isRecord(body) && isRecord(body.result)) return body.result.data;
  throw trpcRefusal(trpcError().parse(body).error, procedure, answer.retryAfterMs);
}

/**
 * The entries of an answer to a batch, in its order: each is a result or a refusal. Or a single refusal of the batch as a whole.
 *
 * @throws ApiError when it is no answer to this batch.
 */
export function entriesOf(answer: Answer, procedures: readonly string[]): unknown {
  const body = tryJson(answer.text);
  if (isBatchAnswer(body, answer.status, procedures)) return body;
  throw outOfForm(answer, [...new Set(procedures)].join(","), body);
}

/** Whether an answer to a batch is the platform's own. Its HTTP status is that of all entries, or 207 where they differ. */
export function isOwnBatch({ text, status }: Answer, procedures: readonly string[]): boolean {
  return isBatchAnswer(tryJson(text), status, procedures);
}

function isBatchAnswer(body: unknown, status: number, procedures: readonly string[]): boolean {
  // Raised before the batch was taken apart.
  if (!Array.isArray(body)) return status >= 400 && statusIn(body, undefined) === status;
  if (body.length !== procedures.length) return false;
  const statuses = new Set(body.map((entry, index) => statusIn(entry, procedures[index])));
  const [common] = statuses;
  return !statuses.has(undefined) && status === (statuses.size === 1 ? common : 207);
}

/** The HTTP status that goes with one call's result or refusal; `undefined` when it is neither, or contradicts itself. */
function statusIn(entry: unknown, path: string | undefined): number | undefined {
  if (!isRecord(entry)) return undefined;
  if ("result" in entry) return isRecord(entry.result) && !("error" in entry) ? 200 : undefined;
  const refused = trpcError().safeParse(entry);
  if (!refused.success) return undefined;
  const { code, data } = refused.data.error;
  const usual = TRPC_CODES[data.code];
  if (usual?.number !== code || usual.httpStatus !== data.httpStatus) return undefined;
  const ours = data.path === undefined ? isRaisedBeforeRouting(data) : data.path === path;
  return ours ? data.httpStatus : undefined;
}

/** A content type that is not JSON's, or queries and mutations in one batch: no procedure was looked for yet. */
function isRaisedBeforeRouting({ httpStatus, zodError }: Trpc["data"]): boolean {
  return httpStatus === 415 || (httpStatus === 400 && !isRecord(zodError));
}

/** The error for a refusal that agrees with itself. */
export function trpcRefusal({ message, data }: Trpc, procedure: string, retryAfterMs: number | undefined): ApiError {
  const { code: trpcCode, httpStatus, upstreamCode, zodError } = data;
  // Not to be mistaken for a run or an instance that does not exist.
  if (httpStatus === 404 && message.startsWith("No procedure found on path")) {
    return notUnderstood(procedure, "it knows no such procedure", { own: true, httpStatus, noSuchProcedure: true });
  }
  return refusal(httpStatus, message, {
    procedure,
    trpcCode,
    upstreamCode,
    retryAfterMs,
    hasZodError: isRecord(zodError),
  });
}

/**
 * What a REST route gave.
 *
 * @throws ApiError
 */
export function restAnswer<A extends z.ZodType>(answer: Answer, route: { path: string; answer: () => A }): z.output<A> {
  const body = tryJson(answer.text);
  if (answer.status === 200 && (isRecord(body) || isBrokenJson(answer.text, body))) {
    return parse(route.path, route.answer(), body);
  }
  if (!isOwnRestRefusal(answer)) throw outOfForm(answer, route.path, body);
  throw refusal(answer.status, restError().parse(body).error, {
    procedure: route.path,
    retryAfterMs: answer.retryAfterMs,
  });
}

/** Whether a REST route of the platform's refused: with a reason, and the word that it did. Its own failures lack the word. */
export function isOwnRestRefusal({ status, text }: Answer): boolean {
  const refused = restError().safeParse(tryJson(text));
  return refused.success && status >= 400 && (status >= 500 || refused.data.success === false);
}

/** The error for an answer that is not in the platform's form. */
function outOfForm(answer: Answer, procedure: string, body: unknown): ApiError {
  const { status: httpStatus, text, retryAfterMs } = answer;
  if (httpStatus === 200 && (isBrokenJson(text, body) || isResult(body))) {
    const what = body === undefined ? "not JSON" : "not what was asked for";
    return notUnderstood(procedure, `${what} (HTTP 200)`, { httpStatus, transient: true, detail: text });
  }
  const what = isTrpc(body) ? CONTRADICTION : bodyInWords(text);
  return foreign(procedure, httpStatus, what, { retryAfterMs, detail: text });
}

/** The schemas that an answer was read by. */
const asked = new WeakSet<z.ZodType>();

/** @throws ApiError when `data` is not what the contract says. */
export function parse<T extends z.ZodType>(procedure: string, schema: T, data: unknown): z.output<T> {
  // To have a parser compiled for a schema pays from the second answer on.
  const jitless = !asked.has(schema);
  asked.add(schema);
  const parsed = schema.safeParse(data, { jitless });
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const where = issue?.path.join(".") || "(the whole answer)";
  throw notUnderstood(procedure, `at ${where}: ${issue?.message ?? "invalid"}`, { transient: true });
}

/** Begins as JSON and is none: what was cut off on its way was the platform's. */
export function isBrokenJson(text: string, body: unknown): boolean {
  return body === undefined && /^\s*[[{]/.test(text);
}

/** A result of another shape than was asked for. */
function isResult(body: unknown): boolean {
  const entries = Array.isArray(body) ? body : [body];
  return entries.length > 0 && entries.every((entry) => isRecord(entry) && "result" in entry && !("error" in entry));
}

function isTrpc(body: unknown): boolean {
  const entries = Array.isArray(body) ? body : [body];
  return entries.some((entry) => isRecord(entry) && ("result" in entry || trpcError().safeParse(entry).success));
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
