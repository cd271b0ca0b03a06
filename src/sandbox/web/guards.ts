/** What a request must pass before anything is done with it. */
import type { Context, MiddlewareHandler } from "hono";
import { type Authenticator, credentialsOf } from "../platform/auth.ts";

const LOCAL_NAMES: readonly string[] = ["127.0.0.1", "localhost", "[::1]"];

/** They change nothing. */
const SAFE_METHODS: readonly string[] = ["GET", "HEAD", "OPTIONS"];

/** What the platform is known to take (5 MB), and a batch of the longest prompts. */
const MAX_BODY = 16 * 1024 * 1024;
/** What a caller without a token may send: forms (a prompt of 10,000 characters has up to 90 kB in one), the device login. */
const MAX_ANONYMOUS_BODY = 128 * 1024;

/** A website whose name was made to point here must not act as this machine's user. */
export const localNamesOnly: MiddlewareHandler = async (c, next) => {
  if (!LOCAL_NAMES.includes(new URL(c.req.url).hostname))
    return c.json({ error: "This server is for this machine only" }, 421);
  return next();
};

/**
 * Refuses what a browser sends here from another site: it must not act for its user, nor use up device codes. Programs send
 * neither header.
 *
 * @param except paths that are safe to be called from anywhere.
 */
export function ownPagesOnly(...except: readonly string[]): MiddlewareHandler {
  return async (c, next) => {
    if (SAFE_METHODS.includes(c.req.method) || except.includes(c.req.path)) return next();
    const origin = c.req.header("origin");
    const foreign = origin !== undefined && !isOwn(c, origin);
    if (foreign || !isSameSite(c)) return c.json({ error: "Not from another site", success: false }, 403);
    return next();
  };
}

/** Whether a form was sent from one of this server's own pages. */
export function isFromOwnPage(c: Context): boolean {
  return isOwn(c, c.req.header("origin") ?? "") && isSameSite(c);
}

function isOwn(c: Context, origin: string): boolean {
  return origin === new URL(c.req.url).origin;
}

/** Older browsers do not send the header. */
function isSameSite(c: Context): boolean {
  return ["same-origin", "none", undefined].includes(c.req.header("sec-fetch-site"));
}

/** Limits bodies before they are read: by their announced length, and while they arrive. A large one takes a valid token. */
export function limitBodies(authenticator: Authenticator): MiddlewareHandler {
  return async (c, next) => {
    const chunked = c.req.header("transfer-encoding") !== undefined;
    const length = Number(c.req.header("content-length") ?? 0);
    if (!chunked && length <= MAX_ANONYMOUS_BODY) return next();
    const max = await authenticator.authenticate(credentialsOf(c.req.raw.headers)).then(
      () => MAX_BODY,
      () => MAX_ANONYMOUS_BODY,
    );
    const tooLarge = () => c.json({ error: "Payload too large", success: false }, 413);
    if (!chunked) return length > max ? tooLarge() : next();
    const { url, method, headers, body } = c.req.raw;
    const bytes = await readUpTo(max, body);
    if (!bytes) return tooLarge();
    c.req.raw = new Request(url, { method, headers, body: bytes });
    return next();
  };
}

/** All bytes of a stream; `undefined` when there are more than `max`, and the rest is not read then. */
async function readUpTo(
  max: number,
  body: ReadableStream<Uint8Array> | null,
): Promise<Uint8Array<ArrayBuffer> | undefined> {
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const part of body ?? []) {
    length += part.length;
    if (length > max) return undefined;
    parts.push(part);
  }
  return Buffer.concat(parts);
}
