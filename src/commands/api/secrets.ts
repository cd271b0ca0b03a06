import { REDACTED, withoutTokens } from "../../secrets.ts";

/** Names of what nobody may read: of a row of users the platform hands out `api_token_pepper` and `web_session_pepper`. */
const SECRET = /pepper|secret|password|passwd|token|api_?key|private_?key|authorization|cookie|credential/i;

/** An answer with what must not be read taken out: what has a secret's name, and whatever looks like a token. */
export function withoutSecrets(value: unknown): unknown {
  if (typeof value === "string") return withoutTokens(value);
  if (Array.isArray(value)) return value.map(withoutSecrets);
  if (typeof value !== "object" || value === null || value instanceof Date) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, inner]: [string, unknown]) => {
      // A number of tokens is none.
      const secret = SECRET.test(name) && (typeof inner === "string" || (typeof inner === "object" && inner !== null));
      return [withoutTokens(name), secret ? REDACTED : withoutSecrets(inner)];
    }),
  );
}
