import type { Timing } from "../../timing.ts";
import type { Origin } from "../origin.ts";
import { proxyFor } from "./proxy.ts";
import type { Wire } from "./wire.ts";

interface Way {
  readonly origin: Origin;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly timing: Pick<Timing, "connectMs">;
}

/** The way there: direct, or through the proxy that the environment names. Each is loaded only where it is used. */
export async function openWire({ origin, env, timing: { connectMs } }: Way): Promise<Wire> {
  const proxy = proxyFor(origin, env);
  if (!proxy) {
    const { DirectWire } = await import("./direct.ts");
    return new DirectWire(connectMs);
  }
  const { ProxyWire } = await import("./proxied.ts");
  return new ProxyWire(proxy, connectMs);
}
