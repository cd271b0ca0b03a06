import { isLoopback } from "./origin.ts";

type Env = Readonly<Record<string, string | undefined>>;

/** A proxy that stands between this machine and the platform. */
export interface Proxy {
  /** May carry a password: never to be shown. */
  readonly url: string;
  /** The environment variable that names it. */
  readonly variable: string;
}

/**
 * The proxy that the environment names for an origin. `NO_PROXY` lists hosts, with or without a port, that are reached without
 * one, each with its subdomains; `*` is every host. This machine is never behind a proxy, and lower-case names come first, as
 * in curl. A plain HTTPS_PROXY is asked for; HTTP_PROXY stands in for it.
 */
export function proxyFor(origin: string, env: Env): Proxy | undefined {
  const named = ["https_proxy", "HTTPS_PROXY", "http_proxy", "HTTP_PROXY"].find((variable) => env[variable]);
  const url = named === undefined ? undefined : env[named];
  if (named === undefined || !url || isLoopback(hostOf(origin).name) || exempt(origin, env)) return undefined;
  // As in curl, the scheme may be left out.
  return { url: url.includes("://") ? url : `http://${url}`, variable: named };
}

/** Whether `NO_PROXY` names this origin's host. */
function exempt(origin: string, env: Env): boolean {
  const { name, port } = hostOf(origin);
  return (env.no_proxy ?? env.NO_PROXY ?? "").split(/[,\s]+/).some((entry) => {
    if (entry === "*") return true;
    const [, host = entry, onlyPort] = /^(.+):(\d+)$/.exec(entry) ?? [];
    const suffix = host.replace(/^\*?\./, "").toLowerCase();
    if (suffix === "" || (onlyPort !== undefined && Number(onlyPort) !== port)) return false;
    return name === suffix || name.endsWith(`.${suffix}`);
  });
}

function hostOf(origin: string): { name: string; port: number } {
  const { hostname, port, protocol } = new URL(origin);
  return { name: hostname, port: Number(port) || (protocol === "https:" ? 443 : 80) };
}
