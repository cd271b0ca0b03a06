import * as z from "zod";
import { REDACTED } from "../secrets.ts";

const claims = z.object({ kiloUserId: z.string(), exp: z.number().optional() });

export interface TokenClaims {
  readonly userId: string;
  readonly expiresAt: Date | null;
}

/**
 * What a token says about itself. The signature is the platform's business: use this to recognise one's own rows and to
 * show an expiry, never to decide what is allowed.
 */
export function readClaims(token: string): TokenClaims | undefined {
  const payload = token.split(".")[1];
  if (!payload) return undefined;
  try {
    const { kiloUserId, exp } = claims.parse(JSON.parse(Buffer.from(payload, "base64url").toString("utf8")));
    return { userId: kiloUserId, expiresAt: exp === undefined ? null : new Date(exp * 1000) };
  } catch {
    return undefined;
  }
}

/**
 * `expired on …` for a token that has expired by what is written in it and by this machine's clock, else `undefined`. The
 * platform's clock is the one that counts.
 */
export function expiredWords(token: string): string | undefined {
  const expiresAt = readClaims(token)?.expiresAt;
  if (!expiresAt || expiresAt.getTime() > Date.now()) return undefined;
  return `expired on ${expiresAt.toISOString().slice(0, 16).replace("T", " ")} UTC`;
}

/** Shorter ones are no tokens of a platform, and would be found everywhere. */
const MIN_SECRET_LENGTH = 8;

/**
 * Takes one token out of texts that a server sent, in the spellings in which it may give it back: as it is, its signature
 * alone, percent-encoded, in base64 alone or as a header. Other tokens, which may be a customer's data, stay.
 */
export function tokenRemover(token: string | undefined): (text: string) => string {
  if (token === undefined) return (text) => text;
  const base64 = [token, `Bearer ${token}`].flatMap((text) =>
    (["base64", "base64url"] as const).map((encoding) => Buffer.from(text).toString(encoding).replace(/=+$/, "")),
  );
  const signature = token.split(".")[2] ?? token;
  const spellings = new Set([token, encodeURIComponent(token), signature, ...base64]);
  const secrets = [...spellings].filter(({ length }) => length >= MIN_SECRET_LENGTH);
  return (text) => secrets.reduce((rest, secret) => rest.replaceAll(secret, REDACTED), text);
}
