/** One sandbox for all the files of a worker whose tests have customers of their own. It ends with the worker. */
import { join } from "node:path";
import { inject } from "vitest";
import { openSandbox, type TestSandbox } from "./sandbox.ts";

/** More than all files together take. */
const CUSTOMERS = 2_000;

// Files of one worker run one after another in one process, and share its modules.
let sandbox: Promise<TestSandbox> | undefined;
let taken = 0;

/** The worker's sandbox, started when it is first asked for. */
export function sharedSandbox(): Promise<TestSandbox> {
  sandbox ??= openSandbox({ dataDir: join(inject("temporary"), String(process.pid)), extraUsers: CUSTOMERS });
  return sandbox;
}

/** A customer of the shared sandbox whom no test has had to do with. */
export function takeCustomer(): string {
  taken += 1;
  if (taken > CUSTOMERS) throw new Error("all customers of the shared sandbox are taken");
  return customerName(taken);
}

/** The e-mail of a sandbox's extra user. */
export function customerName(number: number): string {
  return `user${String(number).padStart(4, "0")}@load.example.com`;
}
