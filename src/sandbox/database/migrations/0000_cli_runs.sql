CREATE TABLE "kiloclaw_admin_audit_logs" (
	"id" uuid PRIMARY KEY DEFAULT gen_random_uuid() NOT NULL,
	"action" text NOT NULL,
	"actor_id" text,
	"actor_email" text,
	"actor_name" text,
	"target_user_id" text NOT NULL,
	"message" text NOT NULL,
	"metadata" jsonb,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "kiloclaw_cli_runs" (
	"id" uuid PRIMARY KEY DEFAULT gen_random_uuid() NOT NULL,
	"user_id" text NOT NULL,
	"instance_id" uuid,
	"prompt" text NOT NULL,
	"status" text DEFAULT 'running' NOT NULL,
	"exit_code" integer,
	"output" text,
	"started_at" timestamp with time zone DEFAULT now() NOT NULL,
	"completed_at" timestamp with time zone
);
--> statement-breakpoint
CREATE TABLE "device_auth_requests" (
	"code" text PRIMARY KEY NOT NULL,
	"status" text DEFAULT 'pending' NOT NULL,
	"kilo_user_id" text,
	"ip_address" text NOT NULL,
	"user_agent" text,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"expires_at" timestamp with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "kiloclaw_instances" (
	"id" uuid PRIMARY KEY NOT NULL,
	"user_id" text NOT NULL,
	"sandbox_id" text NOT NULL,
	"organization_id" uuid,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"destroyed_at" timestamp with time zone,
	"inbound_email_enabled" boolean DEFAULT true NOT NULL,
	"inactive_trial_stopped_at" timestamp with time zone,
	"suspended_at" timestamp with time zone,
	"subscription_id" uuid,
	"subscription_status" text,
	"tracked_image_tag" text
);
--> statement-breakpoint
CREATE TABLE "kilocode_users" (
	"id" text PRIMARY KEY NOT NULL,
	"google_user_email" text NOT NULL,
	"google_user_name" text NOT NULL,
	"google_user_image_url" text NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"updated_at" timestamp with time zone DEFAULT now() NOT NULL,
	"hosted_domain" text,
	"stripe_customer_id" text NOT NULL,
	"app_store_account_token" uuid NOT NULL,
	"is_admin" boolean DEFAULT false NOT NULL,
	"blocked_reason" text,
	"api_token_pepper" text,
	"web_session_pepper" text,
	"kiloclaw_early_access" boolean DEFAULT false NOT NULL,
	CONSTRAINT "kilocode_users_google_user_email_unique" UNIQUE("google_user_email"),
	CONSTRAINT "kilocode_users_stripe_customer_id_unique" UNIQUE("stripe_customer_id")
);
--> statement-breakpoint
ALTER TABLE "kiloclaw_cli_runs" ADD CONSTRAINT "kiloclaw_cli_runs_user_id_kilocode_users_id_fk" FOREIGN KEY ("user_id") REFERENCES "public"."kilocode_users"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "kiloclaw_cli_runs" ADD CONSTRAINT "kiloclaw_cli_runs_instance_id_kiloclaw_instances_id_fk" FOREIGN KEY ("instance_id") REFERENCES "public"."kiloclaw_instances"("id") ON DELETE set null ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "device_auth_requests" ADD CONSTRAINT "device_auth_requests_kilo_user_id_kilocode_users_id_fk" FOREIGN KEY ("kilo_user_id") REFERENCES "public"."kilocode_users"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "kiloclaw_instances" ADD CONSTRAINT "kiloclaw_instances_user_id_kilocode_users_id_fk" FOREIGN KEY ("user_id") REFERENCES "public"."kilocode_users"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "IDX_kiloclaw_admin_audit_logs_target_user_id" ON "kiloclaw_admin_audit_logs" USING btree ("target_user_id");--> statement-breakpoint
CREATE INDEX "IDX_kiloclaw_cli_runs_user_id" ON "kiloclaw_cli_runs" USING btree ("user_id");--> statement-breakpoint
CREATE INDEX "IDX_kiloclaw_cli_runs_instance_id" ON "kiloclaw_cli_runs" USING btree ("instance_id");--> statement-breakpoint
CREATE INDEX "IDX_kiloclaw_cli_runs_started_at" ON "kiloclaw_cli_runs" USING btree ("started_at");--> statement-breakpoint
CREATE INDEX "IDX_device_auth_requests_ip_address" ON "device_auth_requests" USING btree ("ip_address");--> statement-breakpoint
CREATE INDEX "IDX_kiloclaw_instances_user_id" ON "kiloclaw_instances" USING btree ("user_id");