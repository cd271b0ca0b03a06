import { CliError } from "../errors.ts";

declare const origin: unique symbol;
/** A platform's exact origin (`https://app.kilo.ai`): what a token belongs to. */
export type Origin = string & { readonly [origin]: true };

export const DEFAULT_HOST = "https://app.kilo.ai";

/**
 * Reads what a user or a config file names as the platform's address. `https:` only, except on this machine's loopback.
 *
 * @throws CliError `usage` for anything that is not exactly an origin: user info, a path, a query, a fragment, another
 *   scheme, a host that is read as another than is written, or characters outside ASCII in its name (they can imitate
 *   another host).
 */
export function parseOrigin(text: string, source: string): Origin {
  const refuse = (why: string) =>
    new CliError("usage", `${source}: "${text}" is not an address this tool will send a token to: ${why}`, {
      hint: `give an origin such as ${DEFAULT_HOST}`,
    });
  // An encoded dot would be decoded into a host name that nobody has read.
  if (!/^[\x21-\x7e]+$/.test(text) || text.includes("%")) {
    throw refuse("it has spaces, encoded characters or characters outside ASCII");
  }
  const withScheme = /^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `https://${text}`;
  if (!URL.canParse(withScheme)) throw refuse("it is not a URL");
  const url = new URL(withScheme);
  if (url.protocol !== "https:" && url.protocol !== "http:") throw refuse(`the scheme is ${url.protocol}`);
  if (url.username || url.password || withScheme.includes("@")) throw refuse("it carries user information");
  if (url.hash || url.search || url.pathname !== "/" || /[?#\\]/.test(withScheme)) {
    throw refuse("it has a path, a query or a fragment");
  }
  // `2130706433`, `127.1` and `https:///` are read as something else than they look like.
  const [, written] = /^[a-z]+:\/\/(\[[^\]]*\]|[^/:]*)(?::\d*)?\/?$/i.exec(withScheme) ?? [];
  if (written?.toLowerCase() !== url.hostname) throw refuse(`it would be read as ${url.origin}`);
  // The same host to the network, and another one to cookies, certificates and whoever compares names.
  if (url.hostname.endsWith(".")) throw refuse("the host name ends in a dot");
  if (url.hostname.split(".").some((label) => label.startsWith("xn--"))) {
    throw refuse("the host name is an encoded international one, which can imitate another host");
  }
  if (url.protocol === "http:" && !isLoopback(url.hostname)) throw refuse("http: is only for this machine (loopback)");
  return url.origin as Origin;
}

/** Whether a URL's host name means this machine. */
export function isLoopback(hostname: string): boolean {
  return hostname === "localhost" || hostname === "[::1]" || /^127(\.\d{1,3}){3}$/.test(hostname);
}

/**
 * The platform that an origin names, for what must not be done twice there: the names of this machine are one. A token belongs
 * to the exact origin all the same.
 */
export function platformOf(origin: string): string {
  if (!URL.canParse(origin)) return origin;
  const url = new URL(origin);
  if (!isLoopback(url.hostname)) return origin;
  url.hostname = "127.0.0.1";
  return url.origin;
}

/** What tells one platform from another. */
export interface PlatformIdentity {
  readonly origin: string;
  /** The ID of a sandbox of this user, whose port may change; absent for any other platform, and in what older versions wrote. */
  readonly sandbox?: string | null | undefined;
}

/** Whether two records or profiles mean the same platform: the same sandbox, or what is at the same origin. */
export function isSamePlatform(one: PlatformIdentity, other: PlatformIdentity): boolean {
  if (one.sandbox && other.sandbox) return one.sandbox === other.sandbox;
  return platformOf(one.origin) === platformOf(other.origin);
}
