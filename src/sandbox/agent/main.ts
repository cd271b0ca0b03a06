/**
 * What a run executes on an instance: `node agent.cjs "<prompt>"`, in the instance's directory.
 *
 * Exit codes: 0 healthy, 1 cannot be repaired, 2 the rehearsal in the prompt cannot be read, 143 stopped by SIGTERM;
 * a rehearsal exits as it says.
 */
import { wait } from "../../async/wait.ts";
import { play } from "./play.ts";
import { parseRehearsal, RehearsalError, type Rehearsal } from "./rehearsal.ts";
import { repair } from "./repair.ts";
import { writer } from "./say.ts";

/** Slow enough to be watched, fast enough not to be waited for. */
const STEP_MS = 280;
const PROMPT_SHOWN = 60;

const say = writer(1);
const complain = writer(2);

async function main(prompt: string): Promise<number> {
  try {
    const rehearsal = parseRehearsal(prompt);
    return rehearsal ? await rehearse(rehearsal) : await work(prompt);
  } catch (error) {
    // Nobody reads any more: the machine is gone, and with it every reason to go on.
    if (error instanceof Error && "code" in error && error.code === "EPIPE") return 141;
    if (!(error instanceof RehearsalError)) throw error;
    complain(`rehearsal: ${error.message}\n`);
    return 2;
  }
}

async function rehearse(rehearsal: Rehearsal): Promise<number> {
  if (rehearsal.trap) process.on("SIGTERM", () => {});
  return play(rehearsal, { say, complain, pause: (ms) => wait(ms), pid: process.pid, now: () => new Date() });
}

async function work(prompt: string): Promise<number> {
  const stop = new AbortController();
  process.once("SIGTERM", () => stop.abort());
  const { signal } = stop;
  say(`agent: ${brief(prompt)}\n`);
  try {
    const healthy = await repair({
      directory: process.cwd(),
      say: (line) => say(`${line}\n`),
      pause: () => wait(STEP_MS, signal),
      now: () => new Date(),
    });
    return healthy ? 0 : 1;
  } catch (error) {
    if (!signal.aborted) throw error;
    say("stopped: asked to end; nothing is left half done\n");
    return 143;
  }
}

/** The prompt's beginning on one line. */
function brief(prompt: string): string {
  const line = prompt.replaceAll(/[\s\p{Cc}]+/gu, " ").trim();
  return line.length > PROMPT_SHOWN ? `${line.slice(0, PROMPT_SHOWN)}…` : line;
}

void (async () => {
  process.exitCode = await main(process.argv[2] ?? "");
})();
