import type { LookupAddress } from "node:dns";
import { once } from "node:events";
import { connect, isIP, type LookupFunction, type Socket } from "node:net";
import type { Origin } from "../api/origin.ts";
import { endOf, ProxyTrouble, type Proxy } from "../api/wire/proxy.ts";
import { CliError, messageOf } from "../errors.ts";
import { lookup, type Resolved } from "./lookup.ts";

/** One end of a connection. */
export interface Endpoint {
  /** A host name or an address, without brackets. */
  readonly host: string;
  readonly port: number;
  readonly secure: boolean;
}

export interface ProxyEndpoint extends Endpoint {
  readonly variable: string;
  /** For `Proxy-Authorization`: a secret. */
  readonly authorization: string | undefined;
}

/** What a TLS handshake showed. */
export interface Handshake {
  readonly protocol: string;
  readonly issuer: string;
  readonly expiresAt: Date;
  /** Why the other end is not to be trusted, as Node's error code; `undefined` when it is. */
  readonly problem: string | undefined;
}

export interface RouteOptions {
  readonly origin: Origin;
  readonly proxy: Proxy | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly nodePath: string;
}

/** The way to the platform, to be walked one step at a time. Carries neither a token nor a request. */
export class Route {
  readonly platform: Endpoint;
  readonly #options: RouteOptions;
  #addresses: LookupAddress[] | undefined;

  constructor(options: RouteOptions) {
    this.#options = options;
    this.platform = endpointOf(new URL(options.origin));
  }

  /**
   * The proxy on the way, if there is one.
   *
   * @throws CliError `usage` when the environment names none that can be used.
   */
  get proxy(): ProxyEndpoint | undefined {
    const { proxy } = this.#options;
    if (!proxy) return undefined;
    try {
      const { url, authorization } = endOf(proxy);
      return { ...endpointOf(url), variable: proxy.variable, authorization };
    } catch (error) {
      if (!(error instanceof ProxyTrouble)) throw error;
      throw new CliError("usage", error.message, { hint: error.hint, cause: error });
    }
  }

  /** The end of the first connection: the proxy, or the platform itself. */
  get first(): Endpoint {
    return this.proxy ?? this.platform;
  }

  /** @throws CliError `unreachable` */
  async resolve(signal: AbortSignal): Promise<Resolved> {
    const { host } = this.first;
    const family = isIP(host);
    const resolved = family
      ? { addresses: [{ address: host, family }], ms: 0 }
      : await lookup(host, this.#options, signal);
    this.#addresses = resolved.addresses;
    return resolved;
  }

  /** Connects to the first end and hangs up. */
  async connect(signal: AbortSignal): Promise<void> {
    const { host, port } = this.first;
    const socket = connect({ host, port, lookup: this.#lookup, signal });
    await arrived(socket, "connect");
    socket.destroy();
  }

  /**
   * Has the proxy open a tunnel to the platform.
   *
   * @returns the HTTP status that the proxy answered with, and the tunnel if that is 200.
   */
  async tunnel(proxy: ProxyEndpoint, signal: AbortSignal): Promise<{ status: number; socket: Socket }> {
    const { request } = proxy.secure ? await import("node:https") : await import("node:http");
    const authority = `${bracketed(this.platform.host)}:${this.platform.port}`;
    const asking = request({
      method: "CONNECT",
      host: proxy.host,
      port: proxy.port,
      path: authority,
      headers: { host: authority, ...(proxy.authorization ? { "proxy-authorization": proxy.authorization } : {}) },
      lookup: this.#lookup,
      agent: false,
      signal,
    });
    asking.end();
    const [answer, socket] = (await once(asking, "connect", { signal })) as [{ statusCode?: number }, Socket];
    // A proxy may hang up once more when it is hung up on.
    socket.on("error", () => undefined);
    signal.addEventListener("abort", () => socket.destroy(), { once: true });
    return { status: answer.statusCode ?? 0, socket };
  }

  /**
   * Agrees on TLS with the platform, through the tunnel where there is a proxy, looks at its certificate and hangs up. Goes on
   * also with a certificate that is not to be trusted, to see what is wrong with it: not a byte is sent.
   */
  async handshake(signal: AbortSignal): Promise<Handshake> {
    const { connect: connectTls } = await import("node:tls");
    const { host, port } = this.platform;
    const { proxy } = this;
    const socket = connectTls({
      host,
      ...(proxy ? { socket: (await this.tunnel(proxy, signal)).socket } : { port, lookup: this.#lookup }),
      ...(isIP(host) ? {} : { servername: host }),
      rejectUnauthorized: false,
    });
    const hangUp = () => socket.destroy();
    signal.addEventListener("abort", hangUp, { once: true });
    try {
      await arrived(socket, "secureConnect");
      const { issuer, valid_to } = socket.getPeerCertificate();
      return {
        protocol: socket.getProtocol() ?? "TLS",
        issuer: String(issuer?.O ?? issuer?.CN ?? "nobody"),
        expiresAt: new Date(valid_to),
        // Node's types say it is an error; it is that error's code.
        problem: socket.authorized ? undefined : String(socket.authorizationError),
      };
    } finally {
      hangUp();
    }
  }

  /** Gives the addresses that are known already. */
  readonly #lookup: LookupFunction = (_hostname, { all }, done) => {
    const addresses = this.#addresses ?? [];
    if (all) done(null, addresses);
    else done(null, addresses[0]?.address ?? "", addresses[0]?.family);
  };
}

/** Waits for a socket to come that far. */
async function arrived(socket: Socket, event: string): Promise<void> {
  // It can fail once more when it is given up.
  socket.on("error", () => undefined);
  const closed = once(socket, "close").then(() => {
    throw new Error("the connection was closed");
  });
  closed.catch(() => undefined);
  await Promise.race([once(socket, event), closed]);
}

/** Why a connection failed, in few words. */
export function whyNot(error: unknown): string {
  const first = error instanceof AggregateError ? (error.errors[0] as unknown) : error;
  const code = first instanceof Error && "code" in first ? String(first.code) : undefined;
  switch (code) {
    case "ECONNREFUSED":
      return "nothing listens there (ECONNREFUSED)";
    case "ENETUNREACH":
    case "EHOSTUNREACH":
    case "EHOSTDOWN":
      return `there is no way there from this network (${code})`;
    case "ECONNRESET":
    case "EPIPE":
      return `the other end hung up (${code})`;
    default:
      return code ?? messageOf(first);
  }
}

function endpointOf({ hostname, port, protocol }: URL): Endpoint {
  const secure = protocol === "https:";
  return { host: hostname.replace(/^\[(.*)\]$/, "$1"), port: Number(port) || (secure ? 443 : 80), secure };
}

/** A host as it stands in front of a port. */
export function bracketed(host: string): string {
  return host.includes(":") ? `[${host}]` : host;
}
