import type { LookupFunction } from "node:net";
import type { Timing } from "../../timing.ts";
import type { Origin } from "../origin.ts";
import { proxyFor } from "./proxy.ts";
import type { Wire } from "./wire.ts";

interface Way {
  readonly origin: Origin;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly timing: Pick<Timing, "connectMs">;
  readonly lookup?: LookupFunction | undefined;
}

/** The way there: direct, or through the proxy that the environment names. Each is loaded only where it is used. */
export async function openWire({ origin, env, timing: { connectMs }, lookup }: Way): Promise<Wire> {
  const proxy = proxyFor(origin, env);
  if (!proxy) {
    const { DirectWire } = await import("./direct.ts");
    return new DirectWire(connectMs, lookup);
  }
  const { ProxyWire } = await import("./proxied.ts");
  return new ProxyWire(proxy, connectMs, lookup);
}
