import type { LoggedRequest } from "../control-api.ts";

const KEPT = 10_000;

/** What arrived, newest last: the sandbox's proof of what a client did and did not send. */
export class RequestLog {
  #entries: Array<{ -readonly [Key in keyof LoggedRequest]: LoggedRequest[Key] }> = [];
  #lastNumber = 0;

  /** Adds one entry per procedure; the returned function completes them with the answer's status. */
  add(method: string, procedures: readonly string[], user: string | undefined): (status: number) => void {
    const at = new Date().toISOString();
    const added = procedures.map((procedure) => ({
      number: ++this.#lastNumber,
      at,
      method,
      procedure,
      user: user ?? null,
      status: null as number | null,
    }));
    this.#entries.push(...added);
    if (this.#entries.length > KEPT) this.#entries = this.#entries.slice(-KEPT);
    return (status) => {
      for (const entry of added) entry.status = status;
    };
  }

  list(): readonly LoggedRequest[] {
    return this.#entries;
  }
}
