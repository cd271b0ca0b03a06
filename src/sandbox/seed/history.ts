/** Runs from before the sandbox was opened. They have no audit rows: the platform's audit log is younger than they are. */
import type { cliRuns } from "../database/schema.ts";
import { ADMIN, fleetInstance, fleetUserId, instanceId, PEOPLE, SECOND_ADMIN } from "./people.ts";

type Run = typeof cliRuns.$inferInsert;

const runId = (number: number) => `91000000-0000-4000-8000-${String(number).padStart(12, "0")}`;
const userId = (key: string) => PEOPLE.find((person) => person.key === key)?.id ?? key;

const TOLD: readonly Run[] = [
  {
    id: runId(1),
    user_id: userId("dave"),
    instance_id: instanceId(4),
    initiated_by_admin_id: ADMIN.id,
    prompt: "Fix the broken telegram channel",
    status: "completed",
    exit_code: 0,
    output: "all good\n",
    started_at: "2026-05-10 12:00:00.123456+00",
    completed_at: "2026-05-10 12:01:00+00",
  },
  {
    id: runId(2),
    user_id: userId("dave"),
    instance_id: instanceId(4),
    prompt: "Why does 100% of my_messages fail?",
    status: "failed",
    exit_code: 1,
    output: "boom\n",
    started_at: "2026-05-11 12:00:00+00",
    completed_at: "2026-05-11 12:00:30.5+00",
  },
  {
    id: runId(3),
    user_id: userId("dave"),
    instance_id: instanceId(4),
    initiated_by_admin_id: SECOND_ADMIN.id,
    prompt: "orphan: still marked running",
    status: "running",
    started_at: "2026-05-12 12:00:00.25+00",
  },
  {
    id: runId(4),
    user_id: userId("leo"),
    instance_id: instanceId(12),
    initiated_by_admin_id: SECOND_ADMIN.id,
    prompt: "repair config",
    status: "cancelled",
    started_at: "2026-05-15 12:00:00+00",
    completed_at: "2026-05-15 12:02:00+00",
  },
  {
    id: runId(5),
    user_id: userId("leo"),
    instance_id: instanceId(12),
    initiated_by_admin_id: SECOND_ADMIN.id,
    prompt: "repair config again (stuck)",
    status: "running",
    started_at: "2026-05-15 13:00:00+00",
  },
  {
    id: runId(6),
    user_id: userId("frank"),
    prompt: "run without instance",
    status: "completed",
    exit_code: 0,
    output: "x",
    started_at: "2026-05-16 12:00:00+00",
    completed_at: "2026-05-16 12:02:00+00",
  },
];

const RUNS_PER_FLEET_USER = 10;
const FIRST_FLEET_RUN = 101;
const FLEET_RUNS = 120;
const HOUR_MS = 3_600_000;
const MINUTE_MS = 60_000;
const FLEET_EPOCH = Date.UTC(2026, 3, 1);

/** The rows of `kiloclaw_cli_runs`. */
export function runHistory(): Run[] {
  return [...TOLD, ...Array.from({ length: FLEET_RUNS }, (_, index) => fleetRun(FIRST_FLEET_RUN + index))];
}

/** One run per hour, ten per fleet customer; outcomes and initiators take turns. */
function fleetRun(number: number): Run {
  const customer = Math.floor((number - FIRST_FLEET_RUN) / RUNS_PER_FLEET_USER) + 1;
  const startedAt = FLEET_EPOCH + number * HOUR_MS;
  return {
    id: runId(number),
    user_id: fleetUserId(customer),
    instance_id: instanceId(fleetInstance(customer)),
    initiated_by_admin_id: initiator(number),
    prompt: `historical prompt ${number}: check mcp servers`,
    ...outcome(number),
    output: `output of ${number}\n`,
    started_at: new Date(startedAt).toISOString(),
    completed_at: new Date(startedAt + MINUTE_MS).toISOString(),
  };
}

function initiator(number: number): string | null {
  if (number % 2 === 0) return null;
  return number % 3 === 0 ? SECOND_ADMIN.id : ADMIN.id;
}

function outcome(number: number): Pick<Run, "status" | "exit_code"> {
  if (number % 5 === 3) return { status: "failed", exit_code: 1 };
  if (number % 5 === 4) return { status: "cancelled", exit_code: null };
  return { status: "completed", exit_code: 0 };
}
