import type { Instance } from "./instances.ts";

/** Whom a command is about. `instance` is set when the user was named by an instance ID. */
export interface Subject {
  readonly userId: string;
  readonly email: string | null;
  readonly instance: Instance | undefined;
}
