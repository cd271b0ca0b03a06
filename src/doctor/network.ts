import { X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";
import { isIP } from "node:net";
import { isLoopback } from "../api/origin.ts";
import { checksCertificates } from "../api/transport.ts";
import { PROXY_VARIABLES } from "../api/wire/proxy.ts";
import { messageOf } from "../errors.ts";
import { fail, ok, skipped, warn, type Check, type Finding } from "./check.ts";
import { bracketed, whyNot, type Handshake } from "./route.ts";

const DAY_MS = 24 * 60 * 60 * 1000;
const SOON_DAYS = 14;
const NAME_THE_AUTHORITY =
  "if your company inspects TLS: export NODE_EXTRA_CA_CERTS=FILE, with its certificates as PEM";
const PLAIN = "plain http on this machine";
const NO_PROXY_HERE = "there is no proxy on the way";

export const NETWORK: readonly Check[] = [
  {
    stage: "network",
    name: "proxy",
    needs: ["address"],
    look: async (examined) => {
      const { proxy, platform } = await examined.route();
      if (proxy) {
        const scheme = proxy.secure ? "https" : "http";
        return ok(`${scheme}://${bracketed(proxy.host)}:${proxy.port}, from ${proxy.variable}`);
      }
      const { env } = examined.setup.host;
      const named = PROXY_VARIABLES.find((name) => env[name]);
      if (named === undefined) return ok("none");
      if (isLoopback(bracketed(platform.host))) return ok(`${named} is not used for this machine`);
      return ok(`NO_PROXY exempts ${platform.host} from ${named}`);
    },
  },
  {
    stage: "network",
    name: "extra-certificates",
    look: ({ setup: { host } }) => extraCertificates(host.env.NODE_EXTRA_CA_CERTS),
  },
  {
    stage: "network",
    name: "certificate-check",
    needs: ["address"],
    look: async (examined) => {
      if (checksCertificates(examined.setup.host.env)) return ok("on");
      const found = "turned off by NODE_TLS_REJECT_UNAUTHORIZED=0";
      const remedy = ["unset NODE_TLS_REJECT_UNAUTHORIZED", NAME_THE_AUTHORITY];
      if (isLoopback(bracketed((await examined.route()).platform.host))) return warn(found, ...remedy);
      return fail(`${found}: no token is sent, and no command works`, ...remedy);
    },
  },
  {
    stage: "network",
    name: "dns",
    needs: ["proxy"],
    look: async (examined, signal) => {
      const route = await examined.route();
      const { host } = route.first;
      const { addresses, ms } = await route.resolve(signal);
      if (isIP(host)) return skipped(`${host} is an address`);
      return ok(`${host} is ${addresses.map(({ address }) => address).join(", ")} (${Math.round(ms)} ms)`);
    },
  },
  {
    stage: "network",
    name: "tcp",
    needs: ["dns"],
    look: async (examined, signal) => {
      const route = await examined.route();
      const { host, port } = route.first;
      const end = `${route.proxy ? "the proxy " : ""}${bracketed(host)}:${port}`;
      const began = performance.now();
      try {
        await route.connect(signal);
      } catch (error) {
        return fail(
          `no connection to ${end}: ${whyNot(error)}`,
          route.proxy
            ? `check the proxy: is ${route.proxy.variable} right?`
            : "check the address, the VPN and the firewall",
        );
      }
      return ok(`connected to ${end} (${since(began)})`);
    },
  },
  {
    stage: "network",
    name: "proxy-tunnel",
    needs: ["tcp"],
    look: async (examined, signal) => {
      const { proxy, platform } = await examined.route();
      if (!proxy) return skipped(NO_PROXY_HERE);
      const authority = `${bracketed(platform.host)}:${platform.port}`;
      const began = performance.now();
      try {
        const { status, socket } = await (await examined.route()).tunnel(proxy, signal);
        socket.destroy();
        if (status === 200) return ok(`opened to ${authority} (${since(began)})`);
        if (status === 407) {
          return fail(
            "the proxy wants a user and a password, or others (407)",
            `export ${proxy.variable}=http://USER:PASSWORD@${bracketed(proxy.host)}:${proxy.port}`,
          );
        }
        return fail(
          `the proxy opens no connection to ${authority} (${status})`,
          `ask for access, or go past the proxy: export NO_PROXY=${platform.host}`,
        );
      } catch (error) {
        return fail(`the proxy opens no connection to ${authority}: ${whyNot(error)}`, `is ${proxy.variable} right?`);
      }
    },
  },
  {
    stage: "network",
    name: "tls",
    needs: ["proxy-tunnel"],
    look: async (examined, signal) => {
      const route = await examined.route();
      if (!route.platform.secure) return skipped(PLAIN);
      try {
        return certificate(await route.handshake(signal), route.platform.host);
      } catch (error) {
        return fail(
          `${bracketed(route.platform.host)}:${route.platform.port} does not speak TLS: ${whyNot(error)}`,
          "check the address, the proxy and the firewall",
        );
      }
    },
  },
];

/** What is to be said of the certificate that a host showed. */
export function certificate({ protocol, issuer, expiresAt, problem }: Handshake, host: string): Finding {
  const days = Math.floor((expiresAt.getTime() - Date.now()) / DAY_MS);
  const found = `${protocol}, certificate from ${issuer}`;
  if (days < 0) {
    return fail(
      `${found}, which expired on ${expiresAt.toISOString().slice(0, 10)}`,
      "check this machine's clock; if it is right, tell the platform's operators",
    );
  }
  switch (problem) {
    case undefined:
      break;
    case "ERR_TLS_CERT_ALTNAME_INVALID":
      return fail(`${found}, which is for another name than ${host}`, "check the address, the DNS and the proxy");
    case "CERT_NOT_YET_VALID":
      return fail(`${found}, which is not valid yet`, "check this machine's clock");
    default:
      return fail(`${found}, which this machine does not trust (${problem})`, NAME_THE_AUTHORITY);
  }
  if (days < SOON_DAYS) {
    return warn(`${found}, only ${days} days left`, "tell the platform's operators that it has to be renewed");
  }
  return ok(`${found}, ${days} days left`);
}

/** Node reads the file when it starts, and goes on without it when it cannot. */
async function extraCertificates(path: string | undefined): Promise<Finding> {
  if (!path) return ok("none; Node's own list of authorities applies");
  const remedy = "name a PEM file that you can read: export NODE_EXTRA_CA_CERTS=FILE";
  let pem: string;
  try {
    pem = await readFile(path, "utf8");
  } catch (error) {
    return warn(`NODE_EXTRA_CA_CERTS cannot be read: ${messageOf(error)}`, remedy);
  }
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  const readable = blocks.flatMap((block) => {
    try {
      return [new X509Certificate(block)];
    } catch {
      return [];
    }
  });
  if (readable.length === 0) return warn(`NODE_EXTRA_CA_CERTS: there is no PEM certificate in ${path}`, remedy);
  const found = `NODE_EXTRA_CA_CERTS: ${readable.length} in ${path}`;
  if (readable.length < blocks.length) return warn(`${found}, ${blocks.length - readable.length} are damaged`, remedy);
  const expired = readable.filter(({ validTo }) => Date.parse(validTo) < Date.now()).length;
  // A system's own list always has a few of these.
  return expired === readable.length ? warn(`${found}, all expired`, "ask for new ones") : ok(found);
}

function since(began: number): string {
  return `${Math.round(performance.now() - began)} ms`;
}
