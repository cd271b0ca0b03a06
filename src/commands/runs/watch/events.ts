/** What a watch writes for programs to read: the same events of one run and of many. */
import type { Context } from "../../../context.ts";
import { CliError } from "../../../errors.ts";
import { tailOf } from "../../../runs/output/tail.ts";
import type { Run } from "../../../runs/run.ts";
import { stateAfter, type WatchEvent } from "../../../runs/watch/one.ts";
import {
  kindOf,
  totalsOf,
  type ManyEvent,
  type PrintedEvent,
  type Watched,
  type WatchedEvent,
} from "../../../runs/watch/watched.ts";

/** Writes events of many runs. */
export function eventWriter(output: Pick<Context["output"], "event">): (event: ManyEvent) => void {
  return (event) => output.event(printed(event));
}

function printed(event: ManyEvent): PrintedEvent {
  const at = new Date();
  if (event.type === "totals") return { type: event.type, at, ...event.totals };
  const { run, state, lastLine, problem, unstorable } = event.watched;
  const head = { runId: run.id, at };
  switch (event.type) {
    case "output-line":
      return { type: event.type, ...head, line: lastLine ?? "" };
    case "trouble":
      return { type: event.type, ...head, message: problem ?? "" };
    case "end":
      return { type: event.type, ...head, state, problem, run, unstorable };
    case "run":
      return { type: event.type, ...head, state, problem, run };
  }
}

/**
 * Writes the events of one run as if it were one of many, and its whole output besides.
 *
 * @returns the run as it ended, or `undefined` when the watch was stopped.
 * @throws what ended the watch.
 */
export async function writeOneRun(
  output: Pick<Context["output"], "event">,
  run: Run,
  events: AsyncIterable<WatchEvent>,
): Promise<Run | undefined> {
  const one = new OneRun(output, run);
  try {
    for await (const event of events) {
      one.write(event);
      if (event.type === "end") return event.run;
    }
  } catch (error) {
    one.failed(error);
    throw error;
  }
  return undefined;
}

class OneRun {
  readonly #output: Pick<Context["output"], "event">;
  #watched: Watched;
  /** The end of its output, see {@link tailOf}. */
  #tail = "";

  constructor(output: Pick<Context["output"], "event">, run: Run) {
    this.#output = output;
    const state = run.status === "running" ? "running" : "ended";
    this.#watched = { run, state, lastLine: null, problem: null, unstorable: false };
    this.#tell("run");
    this.#count();
  }

  write(event: WatchEvent): void {
    switch (event.type) {
      case "output": {
        const { text, gap, revised } = event;
        this.#answered();
        this.#print({ type: event.type, runId: this.#watched.run.id, at: new Date(), text, gap, revised });
        const { tail, lastLine } = tailOf(gap || revised ? text : this.#tail + text);
        this.#tail = tail;
        if (lastLine !== null && lastLine !== this.#watched.lastLine) this.#tell("output-line", { lastLine });
        return;
      }
      case "progress":
        this.#answered(event.run);
        return;
      case "trouble":
        return this.#tell("trouble", { problem: event.error.message });
      case "end":
        return this.#end({ run: event.run, state: "ended", problem: null, unstorable: event.unstorable });
    }
  }

  /** The watch has ended before the run: with many, nothing more would come of this one. */
  failed(error: unknown): void {
    const state = stateAfter(error);
    if (state && error instanceof CliError) this.#end({ state, problem: error.message });
  }

  #answered(run = this.#watched.run): void {
    const { problem } = this.#watched;
    this.#watched = { ...this.#watched, run, problem: null };
    if (problem !== null) this.#tell("run");
  }

  /** Whoever reads of one run finds its end in the last line. */
  #end(changes: Partial<Watched>): void {
    const before = kindOf(this.#watched);
    this.#watched = { ...this.#watched, ...changes };
    if (kindOf(this.#watched) !== before) this.#count();
    this.#tell("end");
  }

  #tell(type: WatchedEvent["type"], changes: Partial<Watched> = {}): void {
    this.#watched = { ...this.#watched, ...changes };
    this.#print(printed({ type, watched: this.#watched }));
  }

  #count(): void {
    this.#print(printed({ type: "totals", totals: totalsOf([this.#watched]) }));
  }

  #print(event: PrintedEvent): void {
    this.#output.event(event);
  }
}
