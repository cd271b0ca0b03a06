/** The machine behind each instance. The database does not know it, as on the real platform: it is the worker's. */
import type { Breakage } from "../instance/directory.ts";
import { HOMES, instanceId } from "./people.ts";

export interface Machine {
  /** What a start checks: `running`, `stopped`, …; null for one that is gone. */
  readonly status: string | null;
  /** Its controller is from before recovery runs. */
  readonly oldController: boolean;
  readonly cliDisabled: boolean;
  readonly breakage: Breakage;
}

const USUAL_BREAKAGES: readonly Breakage[] = ["invalid-json", "missing-plugin", "bad-port", "empty-config"];

const MACHINES: ReadonlyMap<string, Machine> = new Map(
  HOMES.map((home) => [
    instanceId(home.number),
    {
      status: home.destroyed === undefined ? (home.status ?? "running") : null,
      oldController: home.oldController ?? false,
      cliDisabled: home.cliDisabled ?? false,
      breakage: home.breakage ?? usualBreakage(home.number),
    },
  ]),
);

/** The machine of an instance as it was set up; one that the seed does not name runs and is broken in a usual way. */
export function machineOf(id: string): Machine {
  return (
    MACHINES.get(id) ?? {
      status: "running",
      oldController: false,
      cliDisabled: false,
      breakage: usualBreakage(Number.parseInt(id.slice(-4), 16)),
    }
  );
}

function usualBreakage(number: number): Breakage {
  return USUAL_BREAKAGES[number % USUAL_BREAKAGES.length] ?? "invalid-json";
}
