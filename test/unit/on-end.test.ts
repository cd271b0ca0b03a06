import { describe, expect, it } from "vitest";
import { OnEnd, type Ended } from "../../src/commands/shared/on-end.ts";
import { startedRun } from "../../src/runs/run.ts";
import { lacks } from "../support/lacks.ts";

const LIMITS = { atOnce: 4, eachMs: 30_000, afterStopMs: 30_000, killMs: 30_000 };
const env = { PATH: process.env.PATH };

const ended = (number: number, prompt = ""): Ended => ({
  state: "ended",
  run: startedRun({
    id: `${String(number).padStart(8, "0")}-0000-4000-8000-000000000000`,
    userId: "u",
    userEmail: null,
    instanceId: null,
    initiatedBy: "user",
    initiatedByAdminId: null,
    initiatedByAdminEmail: null,
    prompt,
    startedAt: new Date(0),
  }),
});

/** What it needs of the tool, with what was said. */
function desk() {
  const said: string[] = [];
  const stopping = new AbortController();
  const context = {
    host: { cwd: "/" },
    stop: stopping.signal,
    output: {
      relayed: (_who: string, line: string) => void said.push(line),
      warn: (text: string) => void said.push(`warning: ${text}`),
      busy: () => Promise.resolve({ show: () => undefined, stop: () => undefined }),
    },
  };
  return { said, stopping, context: context as unknown as ConstructorParameters<typeof OnEnd>[2] };
}

const count = (said: readonly string[], line: string) => said.filter((each) => each === line).length;

describe.skipIf(lacks("shell"))("a command for each run's end", () => {
  it("runs for every one of them, at most four at a time", async () => {
    const { said, context } = desk();
    // What is begun before anything else ends can be told from the order of the lines.
    const hook = new OnEnd("echo begun; sleep 0.05; echo ended", env, context, LIMITS);
    for (let number = 0; number < 14; number += 1) hook.run(ended(number));
    await hook.drained();
    expect([count(said, "begun"), count(said, "ended")]).toEqual([14, 14]);
    let now = 0;
    for (const line of said) expect((now += line === "begun" ? 1 : -1)).toBeLessThanOrEqual(4);
  });

  it("ends one that takes too long, and one that does not want to end", async () => {
    const { said, context } = desk();
    const hook = new OnEnd("echo up; exec sleep 60", env, context, { ...LIMITS, eachMs: 300 });
    hook.run(ended(1));
    await hook.drained();
    expect(said).toEqual(["up", `warning: --on-end failed for run ${ended(1).run.id}: stopped after 300ms`]);
    const stubborn = new OnEnd("trap '' TERM; echo stubborn; while :; do sleep 0.05; done", env, context, {
      ...LIMITS,
      eachMs: 300,
      killMs: 100,
    });
    stubborn.run(ended(2));
    await stubborn.drained();
    expect(said.slice(2)).toEqual([
      "stubborn",
      `warning: --on-end failed for run ${ended(2).run.id}: stopped after 300ms`,
    ]);
  });

  it("does not wait for what a command leaves behind", async () => {
    const { said, context } = desk();
    const hook = new OnEnd("sleep 600 & echo $!", env, context, LIMITS);
    hook.run(ended(1));
    await hook.drained();
    expect(said).toEqual([expect.stringMatching(/^\d+$/)]);
    // It is still there; where it is not, this throws.
    process.kill(Number(said[0]), "SIGKILL");
  });

  it("has a short time left after Ctrl-C, and says what did not run", async () => {
    const { said, stopping, context } = desk();
    const hook = new OnEnd("exec sleep 60", env, context, { ...LIMITS, atOnce: 1, afterStopMs: 100 });
    for (const number of [1, 2, 3]) hook.run(ended(number));
    stopping.abort("SIGINT");
    await hook.drained();
    expect(said).toEqual([
      `warning: --on-end failed for run ${ended(1).run.id}: interrupted`,
      `warning: --on-end did not run for run ${ended(2).run.id}: interrupted`,
      `warning: --on-end did not run for run ${ended(3).run.id}: interrupted`,
    ]);
  });

  it("takes a prompt that no system takes, and says when a command cannot be started", async () => {
    const { said, context } = desk();
    const hook = new OnEnd("printf '%s\\n' \"${#KILOCLAW_RUN_PROMPT}\"", { ...env, LC_ALL: "C" }, context, LIMITS);
    hook.run(ended(1, `a\0b${"x".repeat(1_000_000)}`));
    await hook.drained();
    // U+FFFD for the NUL takes three bytes.
    expect(said).toEqual(["10002"]);
    const elsewhere = { ...context, host: { ...context.host, cwd: "/no/such/folder" } };
    const nowhere = new OnEnd("true", env, elsewhere, LIMITS);
    nowhere.run(ended(2));
    await nowhere.drained();
    expect(said[1]).toContain(`warning: --on-end could not be started for run ${ended(2).run.id}: `);
  });
});
