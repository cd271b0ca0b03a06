/** What must not be read by anybody else, in texts that are shown or kept. */

/** What stands where a secret was. */
export const REDACTED = "[redacted]";

/** A JWT or the beginning of one, also percent-encoded or in base64, alone or as a header; and whatever follows `Bearer`. */
const TOKEN =
  /(?:eyJ|ZXlK)[\w+/=-]{8,}(?:(?:\.|%2[Ee])[\w-]*){0,2}|QmVhcmVyI[\w+/=-]{8,}|(?<=[Bb]earer(?:\s|%20|\+))[\w.~+/=-]{16,}/g;

/**
 * `text` with everything that looks like a token taken out. For words about what went wrong, which end up on screens, in
 * logs, in journals and in tickets: a server or something in front of it may repeat what it was sent.
 *
 * @param instead what stands where one was.
 */
export function withoutTokens(text: string, instead = REDACTED): string {
  return text.replace(TOKEN, instead);
}
