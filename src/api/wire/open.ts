import type { Origin } from "../origin.ts";
import { proxyFor } from "./proxy.ts";
import type { Wire } from "./wire.ts";

/** The way there: direct, or through the proxy that the environment names. Each is loaded only where it is used. */
export async function openWire(origin: Origin, env: Readonly<Record<string, string | undefined>>): Promise<Wire> {
  const proxy = proxyFor(origin, env);
  if (!proxy) {
    const { DirectWire } = await import("./direct.ts");
    return new DirectWire();
  }
  const { ProxyWire } = await import("./proxied.ts");
  return new ProxyWire(proxy);
}
