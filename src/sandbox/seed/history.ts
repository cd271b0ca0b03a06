/** Runs and audit rows from before the sandbox was opened. */
import type { auditLogs, cliRuns } from "../database/schema.ts";
import { ADMIN, fleetInstance, fleetUserId, instanceId, PEOPLE, SECOND_ADMIN } from "./people.ts";
import { derivedUuid } from "./uuid.ts";

type Run = typeof cliRuns.$inferInsert;
type AuditRow = typeof auditLogs.$inferInsert;

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

/** The audit rows of those runs that admins started, and of those that they cancelled. */
export function auditHistory(): AuditRow[] {
  return runHistory().flatMap((run) => {
    const actor = [ADMIN, SECOND_ADMIN].find(({ id }) => id === run.initiated_by_admin_id);
    if (!actor) return [];
    const common = {
      actor_id: actor.id,
      actor_email: actor.email,
      actor_name: actor.name,
      target_user_id: run.user_id,
    };
    const ids = { runId: run.id, instanceId: run.instance_id };
    const started: AuditRow = {
      ...common,
      id: derivedUuid(`audit start ${run.id}`),
      action: "kiloclaw.cli_run.start",
      message: `CLI run started on instance ${run.instance_id}`,
      metadata: { ...ids, promptLength: run.prompt.length },
      created_at: run.started_at,
    };
    if (run.status !== "cancelled") return [started];
    return [
      started,
      {
        ...common,
        id: derivedUuid(`audit cancel ${run.id}`),
        action: "kiloclaw.cli_run.cancel",
        message: "CLI run cancelled",
        metadata: { ...ids, requestedInstanceId: null, usedFallback: false },
        created_at: run.completed_at ?? run.started_at,
      },
    ];
  });
}
