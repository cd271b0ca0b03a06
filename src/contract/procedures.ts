/**
 * The tRPC procedures that the tool uses and the sandbox serves: one table of path, kind, input and output.
 *
 * Inputs are the platform's own rules (the sandbox answers bad input with these schemas). Outputs name what the tool reads:
 * further fields are ignored, a missing or mistyped one fails the parse. Each is built when it is first used.
 */
import * as z from "zod";
import { lazily } from "./lazily.ts";
import { timestamp } from "./timestamp.ts";

export interface Procedure<Input extends z.ZodType = z.ZodType, Output extends z.ZodType = z.ZodType> {
  readonly path: string;
  readonly kind: "query" | "mutation";
  readonly input: Input;
  readonly output: Output;
}

/** The longest prompt the platform accepts, in UTF-16 units. */
export const MAX_PROMPT_LENGTH = 10_000;

/** The row's life: it leaves `running` only when somebody polls its status or cancels it. */
export const runStatus = z.enum(["running", "completed", "failed", "cancelled"]);
export type RunStatus = z.infer<typeof runStatus>;

/** Output of a row whose real outcome nobody can know any more: the machine lost the run, or ran a newer one. */
export const UNKNOWN_OUTCOME_OUTPUTS: readonly string[] = [
  "[run state unavailable: controller no longer has an active CLI run for this record]",
  "[run state unavailable: controller has moved on to a newer run]",
];

/** Why the platform refused a start, beyond the tRPC code. Other values may appear. */
export const UPSTREAM_CODES = {
  alreadyActive: "kilo_cli_run_already_active",
  instanceNotRunning: "kilo_cli_run_instance_not_running",
  instanceNotFound: "instance_not_found",
  routeUnavailable: "controller_route_unavailable",
} as const;

const userId = lazily(() => z.string().min(1));
// zod's own max() counts code points; the platform counts UTF-16 units, and words the refusal like this.
const prompt = lazily(() =>
  z
    .string()
    .min(1)
    .check(({ value, issues }) => {
      if (value.length <= MAX_PROMPT_LENGTH) return;
      issues.push({ origin: "string", code: "too_big", maximum: MAX_PROMPT_LENGTH, inclusive: true, input: value });
    }),
);
const offset = lazily(() => z.number().min(0).default(0));
const pageSize = lazily(() => z.number().min(1).max(100).default(25));

const pagination = lazily(() =>
  z.object({
    offset: z.number(),
    limit: z.number(),
    total: z.number(),
    totalPages: z.number(),
  }),
);

const runRow = lazily(() =>
  z.object({
    id: z.uuid(),
    user_id: z.string(),
    instance_id: z.string().nullable(),
    initiated_by_admin_id: z.string().nullable(),
    prompt: z.string(),
    status: runStatus,
    exit_code: z.number().nullable(),
    started_at: timestamp,
    completed_at: timestamp.nullable(),
  }),
);

const userRuns = lazily(() => z.object({ runs: z.array(runRow().extend({ output: z.string().nullable() })) }));

const listedRun = lazily(() =>
  runRow().extend({
    user_email: z.string().nullable(),
    initiated_by_admin_email: z.string().nullable(),
  }),
);

/** A UUID that names something: neither nil nor max, which `z.uuid()` takes as well. */
const namingUuid = lazily(() =>
  z.string().regex(/^[\da-f]{8}-[\da-f]{4}-[1-8][\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/i, {
    error: "not a UUID of version 1 to 8",
  }),
);

const started = lazily(() => z.object({ ok: z.literal(true), id: namingUuid(), startedAt: timestamp }));

const status = lazily(() =>
  z.object({
    hasRun: z.boolean(),
    status: runStatus.nullable(),
    output: z.string().nullable(),
    exitCode: z.number().nullable(),
    startedAt: timestamp.nullable(),
    completedAt: timestamp.nullable(),
    prompt: z.string().nullable(),
    initiatedBy: z.enum(["admin", "user"]).nullable(),
  }),
);

const cancelled = lazily(() => z.object({ ok: z.boolean() }));

const instance = lazily(() =>
  z.object({
    id: z.uuid(),
    user_id: z.string(),
    user_email: z.string().nullable(),
    organization_id: z.string().nullable(),
    sandbox_id: z.string(),
    lifecycle_state: z.string(),
    tracked_image_tag: z.string().nullable(),
    created_at: timestamp,
    destroyed_at: timestamp.nullable(),
  }),
);

const auditRow = lazily(() =>
  z.object({
    id: z.string(),
    action: z.string(),
    actor_id: z.string().nullable(),
    actor_email: z.string().nullable(),
    target_user_id: z.string(),
    message: z.string(),
    metadata: z.record(z.string(), z.unknown()).nullable(),
    created_at: timestamp,
  }),
);

/** What an admin may call: `admin.kiloclawInstances.*`. */
export const admin = table("admin.kiloclawInstances", {
  startKiloCliRun: mutation(
    () => z.object({ userId: userId(), instanceId: z.uuid().optional(), prompt: prompt() }),
    started,
  ),
  getKiloCliRunStatus: query(
    () => z.object({ userId: userId(), runId: z.uuid(), instanceId: z.uuid().optional() }),
    status,
  ),
  cancelKiloCliRun: mutation(
    () => z.object({ userId: userId(), runId: z.uuid(), instanceId: z.uuid().optional() }),
    cancelled,
  ),
  listKiloCliRuns: query(
    () => z.object({ userId: userId(), instanceId: z.uuid().optional(), limit: z.number().min(1).max(50).default(20) }),
    userRuns,
  ),
  listAllCliRuns: query(
    () =>
      z.object({
        offset: offset(),
        limit: pageSize(),
        search: z.string().optional(),
        status: z.enum(["all", ...runStatus.options]).default("all"),
        initiatedBy: z.enum(["all", "admin", "user"]).default("all"),
      }),
    () => z.object({ runs: z.array(listedRun()), pagination: pagination() }),
  ),
  getCliRunOutput: query(
    () => z.object({ userId: userId(), runId: z.uuid() }),
    () => z.object({ output: z.string().nullable() }),
  ),
  adminAuditLogs: query(
    () => z.object({ userId: userId(), action: z.string().optional(), limit: z.number().min(1).max(50).default(10) }),
    () => z.array(auditRow()),
  ),
  list: query(
    () =>
      z.object({
        offset: offset(),
        limit: pageSize(),
        sortBy: z.enum(["created_at", "destroyed_at"]).default("created_at"),
        sortOrder: z.enum(["asc", "desc"]).default("desc"),
        search: z.string().optional(),
        status: z.enum(["all", "active", "inactive_trial_stopped", "suspended", "destroyed"]).default("all"),
        imageTag: z.string().max(128).optional(),
        hasSizeOverride: z.boolean().optional(),
      }),
    () => z.object({ instances: z.array(instance()), pagination: pagination() }),
  ),
  get: query(
    () => z.object({ id: z.uuid() }),
    () =>
      instance().extend({
        workerStatus: z.object({ status: z.string().nullable() }).nullable(),
        workerStatusError: z.string().nullable(),
      }),
  ),
});

/** What the owner of an instance may call: `kiloclaw.*`. */
export const user = table("kiloclaw", {
  startKiloCliRun: mutation(() => z.object({ prompt: prompt() }), started),
  getKiloCliRunStatus: query(() => z.object({ runId: z.uuid() }), status),
  cancelKiloCliRun: mutation(() => z.object({ runId: z.uuid() }), cancelled),
  listKiloCliRuns: query(() => z.object({ limit: z.number().min(1).max(50).default(10) }).optional(), userRuns),
});

/** Every input of an organization's procedures names it; the right to ask is looked at before the rest of the input is. */
export const ofOrganization = lazily(() => z.object({ organizationId: z.uuid() }));

/** What an organization's member may call about his own instance in it: `organizations.kiloclaw.*`. */
export const organization = table("organizations.kiloclaw", {
  startKiloCliRun: mutation(() => ofOrganization().extend({ prompt: prompt() }), started),
  getKiloCliRunStatus: query(() => ofOrganization().extend({ runId: z.uuid() }), status),
  cancelKiloCliRun: mutation(() => ofOrganization().extend({ runId: z.uuid() }), cancelled),
  listKiloCliRuns: query(() => ofOrganization().extend({ limit: z.number().min(1).max(50).default(10) }), userRuns),
});

/** All of them. */
export const PROCEDURES: readonly Procedure[] = [admin, user, organization].flatMap((one) =>
  Object.values<Procedure>(one),
);

/** The numbers and HTTP statuses of tRPC's error codes. The platform has been seen to use ten of them. */
export const TRPC_CODES: Readonly<Record<string, { readonly number: number; readonly httpStatus: number }>> = {
  PARSE_ERROR: { number: -32_700, httpStatus: 400 },
  BAD_REQUEST: { number: -32_600, httpStatus: 400 },
  UNAUTHORIZED: { number: -32_001, httpStatus: 401 },
  PAYMENT_REQUIRED: { number: -32_002, httpStatus: 402 },
  FORBIDDEN: { number: -32_003, httpStatus: 403 },
  NOT_FOUND: { number: -32_004, httpStatus: 404 },
  METHOD_NOT_SUPPORTED: { number: -32_005, httpStatus: 405 },
  TIMEOUT: { number: -32_008, httpStatus: 408 },
  CONFLICT: { number: -32_009, httpStatus: 409 },
  PRECONDITION_FAILED: { number: -32_012, httpStatus: 412 },
  PAYLOAD_TOO_LARGE: { number: -32_013, httpStatus: 413 },
  UNSUPPORTED_MEDIA_TYPE: { number: -32_015, httpStatus: 415 },
  UNPROCESSABLE_CONTENT: { number: -32_022, httpStatus: 422 },
  PRECONDITION_REQUIRED: { number: -32_028, httpStatus: 428 },
  TOO_MANY_REQUESTS: { number: -32_029, httpStatus: 429 },
  CLIENT_CLOSED_REQUEST: { number: -32_099, httpStatus: 499 },
  INTERNAL_SERVER_ERROR: { number: -32_603, httpStatus: 500 },
  NOT_IMPLEMENTED: { number: -32_603, httpStatus: 501 },
  BAD_GATEWAY: { number: -32_603, httpStatus: 502 },
  SERVICE_UNAVAILABLE: { number: -32_603, httpStatus: 503 },
  GATEWAY_TIMEOUT: { number: -32_603, httpStatus: 504 },
};

/** A failed call, as tRPC wraps it. `path` is absent from `data` on errors raised before routing. */
export const trpcError = lazily(() =>
  z.object({
    error: z.object({
      message: z.string(),
      code: z.number(),
      data: z.object({
        code: z.string(),
        httpStatus: z.number(),
        path: z.string().optional(),
        /** Input errors have an object here, all others `null`. */
        zodError: z.unknown().optional(),
        upstreamCode: z.string().optional(),
      }),
    }),
  }),
);

interface Entry<Kind extends Procedure["kind"], Input extends z.ZodType, Output extends z.ZodType> {
  readonly kind: Kind;
  readonly input: () => Input;
  readonly output: () => Output;
}

function query<I extends z.ZodType, O extends z.ZodType>(input: () => I, output: () => O): Entry<"query", I, O> {
  return { kind: "query", input, output };
}

function mutation<I extends z.ZodType, O extends z.ZodType>(input: () => I, output: () => O): Entry<"mutation", I, O> {
  return { kind: "mutation", input, output };
}

type Table<T extends Record<string, Entry<Procedure["kind"], z.ZodType, z.ZodType>>> = {
  readonly [Name in keyof T]: {
    readonly kind: T[Name]["kind"];
    readonly path: string;
    readonly input: ReturnType<T[Name]["input"]>;
    readonly output: ReturnType<T[Name]["output"]>;
  };
};

function table<T extends Record<string, Entry<Procedure["kind"], z.ZodType, z.ZodType>>>(router: string, entries: T) {
  return Object.fromEntries(
    Object.entries(entries).map(([name, { kind, ...schemas }]): [string, Procedure] => {
      const [input, output] = [lazily(schemas.input), lazily(schemas.output)];
      const path = `${router}.${name}`;
      return [
        name,
        {
          kind,
          path,
          get input() {
            return input();
          },
          get output() {
            return output();
          },
        },
      ];
    }),
  ) as Table<T>;
}
