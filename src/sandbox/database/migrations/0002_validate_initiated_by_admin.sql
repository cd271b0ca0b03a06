-- Reads the whole table under a lock that lets others write (SHARE UPDATE EXCLUSIVE).
ALTER TABLE "kiloclaw_cli_runs" VALIDATE CONSTRAINT "kiloclaw_cli_runs_initiated_by_admin_id_kilocode_users_id_fk";
