import { BlockList, isIP } from "node:net";
import { isLoopback } from "../origin.ts";

type Env = Readonly<Record<string, string | undefined>>;

/** The variables that can name the proxy, the first that is set counts: as in curl, lower case comes first. */
export const PROXY_VARIABLES = ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "http_proxy", "HTTP_PROXY"];

/** A proxy that stands between this machine and the platform. */
export interface Proxy {
  /** May carry a password: never to be shown. */
  readonly url: string;
  /** The environment variable that names it. */
  readonly variable: string;
}

/** The proxy made no way to the platform: nothing was sent there. The message says what it did instead. */
export class ProxyTrouble extends Error {
  override readonly name = "ProxyTrouble";
  /** What to do about it. */
  readonly hint: string;

  constructor(message: string, { hint, cause }: { readonly hint: string; readonly cause?: unknown }) {
    super(message, { cause });
    this.hint = hint;
  }
}

/**
 * The proxy that the environment names for an origin. `NO_PROXY` lists hosts, with or without a port, that are reached without
 * one, each with its subdomains; `*` is every host. It also takes addresses and networks (`10.0.0.0/8`, `fd00::/8`). This machine
 * is never behind a proxy. A plain HTTPS_PROXY is asked for; ALL_PROXY and HTTP_PROXY stand in for it.
 */
export function proxyFor(origin: string, env: Env): Proxy | undefined {
  const named = PROXY_VARIABLES.find((variable) => env[variable]);
  const url = named === undefined ? undefined : env[named];
  if (named === undefined || !url || isLoopback(new URL(origin).hostname) || exempt(origin, env)) return undefined;
  // As in curl, the scheme may be left out.
  return { url: url.includes("://") ? url : `http://${url}`, variable: named };
}

/**
 * Where the proxy is, and what it is told about who asks: a secret.
 *
 * @throws ProxyTrouble when the variable has no address of a proxy. Never shows its value, which may hold a password.
 */
export function endOf({ url: text, variable }: Proxy): {
  readonly url: URL;
  readonly authorization: string | undefined;
} {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (!url?.hostname || !/^https?:$/.test(url.protocol)) {
    throw new ProxyTrouble(`${variable} is not an http: URL`, {
      hint: `give the proxy's address: export ${variable}=http://HOST:PORT`,
    });
  }
  const { username, password } = url;
  if (username === "" && password === "") return { url, authorization: undefined };
  try {
    const login = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
    return { url, authorization: `Basic ${Buffer.from(login).toString("base64")}` };
  } catch (cause) {
    throw new ProxyTrouble(`the user name or the password in ${variable} has a "%" that stands for no character`, {
      hint: `write a percent sign as %25 in ${variable}`,
      cause,
    });
  }
}

/** Whether `NO_PROXY` names this origin's host. */
function exempt(origin: string, env: Env): boolean {
  const { hostname, port, protocol } = new URL(origin);
  const host = withoutBrackets(hostname);
  const usedPort = Number(port) || (protocol === "https:" ? 443 : 80);
  return (env.no_proxy ?? env.NO_PROXY ?? "").split(/[,\s]+/).some((entry) => {
    if (entry === "*") return true;
    // An address of IPv6 has colons of its own.
    const [, name = entry, onlyPort] = isIP(entry) ? [] : (/^(.+):(\d+)$/.exec(entry) ?? []);
    if (onlyPort !== undefined && Number(onlyPort) !== usedPort) return false;
    const pattern = withoutBrackets(name);
    if (isIP(host)) return isWithin(host, pattern);
    const suffix = pattern
      .replace(/^\*?\./, "")
      .replace(/\.$/, "")
      .toLowerCase();
    return suffix !== "" && (host === suffix || host.endsWith(`.${suffix}`));
  });
}

/** Whether an address is this one, however it is written, or in this network. */
function isWithin(address: string, pattern: string): boolean {
  const [network = "", bits] = pattern.split("/", 2);
  const family = isIP(network);
  const most = family === 6 ? 128 : 32;
  if (family === 0 || family !== isIP(address) || !/^\d{1,3}$/.test(bits ?? "0") || Number(bits ?? most) > most)
    return false;
  const list = new BlockList();
  list.addSubnet(network, Number(bits ?? most), family === 6 ? "ipv6" : "ipv4");
  return list.check(address, family === 6 ? "ipv6" : "ipv4");
}

function withoutBrackets(host: string): string {
  return host.replace(/^\[(.*)\]$/, "$1");
}
