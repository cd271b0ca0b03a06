/** Secrets that open something: made at random, compared without telling how much of a guess was right. */
import { createHash, randomBytes, timingSafeEqual } from "node:crypto";

/** 256 random bits, fit for a header, a form and a path. */
export function newSecret(): string {
  return randomBytes(32).toString("base64url");
}

/** Compares digests: these have one length, and how long it takes tells nothing. */
export function same(given: string, expected: string): boolean {
  return timingSafeEqual(digest(given), digest(expected));
}

function digest(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}
