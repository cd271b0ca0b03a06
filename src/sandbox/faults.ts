/** The bad days that can be staged on a running sandbox: what is set, whom it strikes and how often. */
import type { Fault, FaultName, FaultSpec } from "./control-api.ts";

/** One call, as far as a fault's scope can ask. */
export interface FaultTarget {
  readonly procedure: string;
  readonly userId?: string | undefined;
  readonly instanceId?: string | undefined;
}

/** The faults of one sandbox. `user` is expected to be an id here: whoever sets a fault turns an e-mail into one. */
export class Faults {
  #set: Array<Fault & { struck: number }> = [];
  #lastId = 0;

  set(spec: FaultSpec): Fault {
    const fault = { ...spec, id: ++this.#lastId, struck: 0 };
    this.#set.push(fault);
    return fault;
  }

  list(): readonly Fault[] {
    return this.#set.map((fault) => ({ ...fault }));
  }

  clear(): void {
    this.#set = [];
  }

  /** Whether a fault of these names with this kind of scope is set at all: lets callers skip finding out what it needs. */
  any(names: readonly FaultName[], scope?: "user" | "instance"): boolean {
    return this.#set.some((fault) => names.includes(fault.name) && (!scope || fault[scope] !== undefined));
  }

  /** The oldest fault of one of these names that strikes this call, counted; `undefined` when there is none. */
  take(names: readonly FaultName[], target: FaultTarget): Fault | undefined {
    const fault = this.#set.find((candidate) => names.includes(candidate.name) && strikes(candidate, target));
    if (!fault) return undefined;
    fault.struck += 1;
    if (fault.count !== undefined && fault.struck >= fault.count)
      this.#set = this.#set.filter((other) => other !== fault);
    return fault;
  }
}

function strikes(fault: Fault, target: FaultTarget): boolean {
  return (
    (fault.procedure === undefined || namesProcedure(fault.procedure, target.procedure)) &&
    (fault.user === undefined || fault.user === target.userId) &&
    (fault.instance === undefined || fault.instance.toLowerCase() === target.instanceId?.toLowerCase())
  );
}

function namesProcedure(name: string, procedure: string): boolean {
  return name === procedure || procedure.endsWith(`.${name}`) || procedure.endsWith(`/${name}`);
}
