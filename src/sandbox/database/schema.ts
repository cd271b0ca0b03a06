/** The platform's tables, as far as recovery runs need them. Timestamps stay PostgreSQL text, as the platform answers them. */
import { boolean, index, integer, jsonb, pgTable, text, timestamp, uuid } from "drizzle-orm/pg-core";

const instant = (name: string) => timestamp(name, { withTimezone: true, mode: "string" });

export const users = pgTable("kilocode_users", {
  id: text("id").primaryKey(),
  google_user_email: text("google_user_email").notNull().unique(),
  google_user_name: text("google_user_name").notNull(),
  google_user_image_url: text("google_user_image_url").notNull(),
  created_at: instant("created_at").notNull().defaultNow(),
  updated_at: instant("updated_at").notNull().defaultNow(),
  hosted_domain: text("hosted_domain"),
  stripe_customer_id: text("stripe_customer_id").notNull().unique(),
  app_store_account_token: uuid("app_store_account_token").notNull(),
  is_admin: boolean("is_admin").notNull().default(false),
  blocked_reason: text("blocked_reason"),
  api_token_pepper: text("api_token_pepper"),
  web_session_pepper: text("web_session_pepper"),
  kiloclaw_early_access: boolean("kiloclaw_early_access").notNull().default(false),
});
export type User = typeof users.$inferSelect;

export const instances = pgTable(
  "kiloclaw_instances",
  {
    id: uuid("id").primaryKey(),
    user_id: text("user_id")
      .notNull()
      .references(() => users.id, { onDelete: "cascade" }),
    sandbox_id: text("sandbox_id").notNull(),
    organization_id: uuid("organization_id"),
    created_at: instant("created_at").notNull().defaultNow(),
    destroyed_at: instant("destroyed_at"),
    inbound_email_enabled: boolean("inbound_email_enabled").notNull().default(true),
    inactive_trial_stopped_at: instant("inactive_trial_stopped_at"),
    suspended_at: instant("suspended_at"),
    subscription_id: uuid("subscription_id"),
    subscription_status: text("subscription_status"),
    tracked_image_tag: text("tracked_image_tag"),
  },
  (table) => [index("IDX_kiloclaw_instances_user_id").on(table.user_id)],
);
export type Instance = typeof instances.$inferSelect;

export const cliRuns = pgTable(
  "kiloclaw_cli_runs",
  {
    id: uuid("id").primaryKey().defaultRandom(),
    user_id: text("user_id")
      .notNull()
      .references(() => users.id, { onDelete: "cascade" }),
    instance_id: uuid("instance_id").references(() => instances.id, { onDelete: "set null" }),
    initiated_by_admin_id: text("initiated_by_admin_id").references(() => users.id, { onDelete: "set null" }),
    prompt: text("prompt").notNull(),
    status: text("status", { enum: ["running", "completed", "failed", "cancelled"] })
      .notNull()
      .default("running"),
    exit_code: integer("exit_code"),
    output: text("output"),
    started_at: instant("started_at").notNull().defaultNow(),
    completed_at: instant("completed_at"),
  },
  (table) => [
    index("IDX_kiloclaw_cli_runs_user_id").on(table.user_id),
    index("IDX_kiloclaw_cli_runs_instance_id").on(table.instance_id),
    index("IDX_kiloclaw_cli_runs_started_at").on(table.started_at),
  ],
);
export type CliRun = typeof cliRuns.$inferSelect;

export const auditLogs = pgTable(
  "kiloclaw_admin_audit_logs",
  {
    id: uuid("id").primaryKey().defaultRandom(),
    action: text("action").notNull(),
    actor_id: text("actor_id"),
    actor_email: text("actor_email"),
    actor_name: text("actor_name"),
    target_user_id: text("target_user_id").notNull(),
    message: text("message").notNull(),
    metadata: jsonb("metadata").$type<Record<string, unknown>>(),
    created_at: instant("created_at").notNull().defaultNow(),
  },
  (table) => [index("IDX_kiloclaw_admin_audit_logs_target_user_id").on(table.target_user_id)],
);

export const deviceAuthRequests = pgTable(
  "device_auth_requests",
  {
    code: text("code").primaryKey(),
    status: text("status", { enum: ["pending", "approved", "denied", "expired"] })
      .notNull()
      .default("pending"),
    kilo_user_id: text("kilo_user_id").references(() => users.id, { onDelete: "cascade" }),
    ip_address: text("ip_address").notNull(),
    user_agent: text("user_agent"),
    created_at: instant("created_at").notNull().defaultNow(),
    expires_at: instant("expires_at").notNull(),
  },
  (table) => [index("IDX_device_auth_requests_ip_address").on(table.ip_address)],
);
export type DeviceAuthRequest = typeof deviceAuthRequests.$inferSelect;
