/**
 * The platform's worker and the machines behind it: what the web app's handlers ask to start, watch and cancel a run. What
 * can go wrong between them on the real platform is staged here, by faults.
 */
import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { wait } from "../../async/wait.ts";
import { UPSTREAM_CODES } from "../../contract/procedures.ts";
import type { Fault } from "../control-api.ts";
import type { Instance } from "../database/schema.ts";
import type { FaultTarget, Faults } from "../faults.ts";
import { createInstanceDirectory } from "../instance/directory.ts";
import { type Machine, machineOf } from "../seed/machines.ts";
import { killMarked, MARK } from "./child.ts";
import { Controller, ControllerError, type ControllerRun } from "./controller.ts";
import { describeMachine } from "./worker-status.ts";

/** The worker answered with an error. `text` is what it says in its `error` field, or its raw body. */
export class WorkerError extends Error {
  override name = "WorkerError";
  readonly status: number;
  readonly code: string | undefined;

  constructor(status: number, text: string, code?: string) {
    super(text);
    this.status = status;
    this.code = code;
  }
}

/** The worker could not be reached, or its answer was lost or unreadable. */
export class WorkerUnreachable extends Error {
  override name = "WorkerUnreachable";
}

type Operation = "start" | "status" | "cancel" | "describe";

/** What the worker says when it fails without more to say. */
const FAILED: Record<Operation, string> = {
  start: "kilo-cli-run start failed",
  status: "kilo-cli-run status failed",
  cancel: "kilo-cli-run cancel failed",
  describe: "debug-status failed",
};

/** How long the worker waits for a machine that accepts a connection and never answers. */
const MACHINE_TIMEOUT_MS = 30_000;

export interface WorkerOptions {
  /** Where the instances' directories are. */
  readonly instancesDirectory: string;
  readonly command: readonly [string, ...string[]];
  readonly env: Record<string, string>;
  readonly faults: Faults;
}

export class Worker {
  readonly #options: WorkerOptions;
  readonly #controllers = new Map<string, Controller>();
  readonly #directories = new Map<string, Promise<string>>();
  #closed = false;
  /** What all processes that are started until the next restart have in their environment. */
  #mark: string = randomUUID();

  constructor(options: WorkerOptions) {
    this.#options = options;
  }

  /**
   * Starts a run on the instance's machine.
   *
   * @returns when it started, ISO; `undefined` when the worker's answer did not say.
   * @throws {WorkerError | WorkerUnreachable}
   */
  async start(instance: Instance, prompt: string, call: FaultTarget): Promise<string | undefined> {
    await this.#strike(instance, call);
    const fault = this.#workerFault(call);
    const answer = await this.#before(fault, "start");
    if (answer) return answer.startedAt;
    const machine = this.#machine(instance, call);
    if (machine.status !== "running") {
      throw new WorkerError(409, "Instance is not running", UPSTREAM_CODES.instanceNotRunning);
    }
    if (machine.oldController) throw routeUnavailable(401);
    const controller = await this.#controller(instance);
    // Nothing is awaited between this check and the spawn: no process can appear after the last one was stopped.
    if (this.#closed) throw new WorkerUnreachable("fetch failed");
    const { startedAt } = await this.#controllerCall("start", () => controller.start(prompt));
    after(fault);
    return startedAt;
  }

  /** The machine's newest run; null when it knows none, or is not running. */
  async status(instance: Instance, call: FaultTarget): Promise<ControllerRun | null> {
    await this.#strike(instance, call);
    await this.#before(this.#workerFault(call), "status");
    return this.#statusOf(instance, call);
  }

  /**
   * Cancels what runs, after `mayCancel` has seen the machine's newest run and agreed.
   *
   * @returns what `mayCancel` saw, and whether the machine cancelled something; `undefined` when it was not asked to.
   */
  async cancel(
    instance: Instance,
    call: FaultTarget,
    mayCancel: (run: ControllerRun | null) => boolean,
  ): Promise<{ run: ControllerRun | null; cancelled: boolean | undefined }> {
    await this.#strike(instance, call);
    const fault = this.#workerFault(call);
    if (fault?.value === "status-500") throw new WorkerError(500, FAILED.status);
    const run = this.#statusOf(instance, call);
    const controller = this.#controllers.get(instance.id);
    if (!mayCancel(run) || !controller) return { run, cancelled: undefined };
    if (fault?.value === "409") return { run, cancelled: false };
    await this.#before(fault, "cancel");
    // Without a fault nothing is awaited since the run was seen: no newer one can be hit.
    const cancelled = await this.#controllerCall("cancel", () => controller.cancel());
    after(fault);
    return { run, cancelled };
  }

  /** All that the worker knows of the instance, as `get` shows it. */
  async describe(instance: Instance, call: FaultTarget): Promise<Record<string, unknown>> {
    await this.#before(this.#workerFault(call), "describe");
    return describeMachine(instance, this.#machine(instance, call));
  }

  /** The instance's directory, made (and broken) on first use. */
  directory(instanceId: string): Promise<string> {
    const known = this.#directories.get(instanceId);
    if (known) return known;
    const directory = join(this.#options.instancesDirectory, instanceId);
    const made = createInstanceDirectory(directory, machineOf(instanceId).breakage).then(() => directory);
    this.#directories.set(instanceId, made);
    made.catch(() => this.#directories.delete(instanceId));
    return made;
  }

  /** Ends the worker: as {@link restart}, and nothing starts any more. */
  close(): Promise<void> {
    this.#closed = true;
    return this.restart();
  }

  /** Stops every machine and waits until no process is left; all runs are forgotten. */
  async restart(): Promise<void> {
    const controllers = [...this.#controllers.values()];
    const mark = this.#mark;
    this.#mark = randomUUID();
    this.#controllers.clear();
    this.#directories.clear();
    await Promise.all(controllers.map((controller) => controller.stop()));
    if (controllers.length > 0) await killMarked(mark);
  }

  #statusOf(instance: Instance, call: FaultTarget): ControllerRun | null {
    const machine = this.#machine(instance, call);
    if (machine.status !== "running") return null;
    if (machine.oldController) throw new WorkerError(500, FAILED.status);
    return this.#controllers.get(instance.id)?.status() ?? null;
  }

  #machine(instance: Instance, call: FaultTarget): Machine {
    const { faults } = this.#options;
    const machine = machineOf(instance.id);
    // A destroyed machine is gone, whatever else is staged.
    if (instance.destroyed_at !== null) return { ...machine, status: null };
    const status = faults.take(["instance-status"], call)?.value ?? machine.status;
    const oldController = machine.oldController || faults.take(["old-controller"], call) !== undefined;
    return { ...machine, status, oldController };
  }

  async #controller(instance: Instance): Promise<Controller> {
    const directory = await this.directory(instance.id);
    const existing = this.#controllers.get(instance.id);
    if (existing) return existing;
    const controller = new Controller({
      directory,
      command: this.#options.command,
      env: { ...this.#options.env, [MARK]: this.#mark },
      cliDisabled: machineOf(instance.id).cliDisabled,
    });
    this.#controllers.set(instance.id, controller);
    return controller;
  }

  /** A machine's own refusal is passed on with its code; without one the worker only says that it failed. */
  async #controllerCall<T>(operation: Operation, call: () => Promise<T>): Promise<T> {
    try {
      return await call();
    } catch (error) {
      if (!(error instanceof ControllerError)) throw error;
      if (error.code === undefined) throw new WorkerError(500, FAILED[operation]);
      throw new WorkerError(error.status, error.message, error.code);
    }
  }

  async #strike(instance: Instance, call: FaultTarget): Promise<void> {
    if (this.#options.faults.take(["controller-restart"], call)) await this.#controllers.get(instance.id)?.stop();
  }

  #workerFault(call: FaultTarget): Fault | undefined {
    return this.#options.faults.take(["worker"], call);
  }

  /** Plays a `worker` fault that keeps the work from being done; an answer that it makes up is returned. */
  async #before(fault: Fault | undefined, operation: Operation): Promise<{ startedAt: undefined } | undefined> {
    if (!fault) return undefined;
    if (fault.delayMs !== undefined && fault.value !== "controller-timeout")
      await wait(fault.delayMs, undefined, { ref: false });
    switch (fault.value) {
      case "lost-answer":
      case undefined:
        return undefined;
      case "down":
        throw new WorkerUnreachable("fetch failed");
      case "not-json":
        throw new WorkerUnreachable(`Unexpected token '<', "<html>" is not valid JSON`);
      case "empty-object":
        return { startedAt: undefined };
      case "route-unavailable":
        throw routeUnavailable(404);
      case "controller-down":
        throw new WorkerError(500, machineFailed(operation, "Network connection lost."));
      case "controller-timeout":
        await wait(fault.delayMs ?? MACHINE_TIMEOUT_MS, undefined, { ref: false });
        throw new WorkerError(500, machineFailed(operation, "The operation was aborted due to timeout"));
      default:
        throw workerAnswer(fault.value, operation);
    }
  }
}

/** Plays a `worker` fault that strikes when the work is done. */
function after(fault: Fault | undefined): void {
  if (fault?.value === "lost-answer") throw new WorkerUnreachable("fetch failed");
}

function routeUnavailable(status: number): WorkerError {
  return new WorkerError(status, "Not Found", UPSTREAM_CODES.routeUnavailable);
}

function machineFailed(operation: Operation, reason: string): string {
  return operation === "start" ? `Gateway controller request failed: ${reason}` : FAILED[operation];
}

/** The bodies that were seen with each status of the real worker. */
const BODIES: Record<string, string> = {
  "400": "Malformed JSON body",
  "403": "Forbidden",
  "404": "Not Found",
  "409": "Instance is busy",
  "412": "precondition",
  "429": "Too many requests",
  "502": "<html>Bad gateway</html>",
  "503": "Configuration error",
  "524": "error code: 524",
};

function workerAnswer(value: string, operation: Operation): WorkerError {
  return new WorkerError(Number.parseInt(value, 10) || 500, BODIES[value] ?? FAILED[operation]);
}
