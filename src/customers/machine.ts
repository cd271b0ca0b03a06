import type { Api } from "../api/api.ts";
import { getInstance } from "./instances.ts";

/**
 * What is known of the machine of an instance, a run's, say. A run without an instance has no machine.
 *
 * @throws ApiError
 */
export async function machineOf(
  api: Api,
  { instanceId }: { readonly instanceId: string | null },
  signal?: AbortSignal,
): Promise<"up" | "down" | "unknown"> {
  if (instanceId === null) return "down";
  return machineState(await getInstance(api, instanceId, signal));
}

/** What an instance says about its machine: an unreachable worker says nothing. */
export function machineState({
  machineStatus,
  machineStatusError,
}: {
  readonly machineStatus: string | null;
  readonly machineStatusError: string | null;
}): "up" | "down" | "unknown" {
  if (machineStatusError !== null) return "unknown";
  return machineStatus === "running" ? "up" : "down";
}
