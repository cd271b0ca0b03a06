import { readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { kill } from "node:process";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Controller, ControllerError, type ControllerRun } from "../../src/sandbox/machines/controller.ts";
import { eventually } from "../support/eventually.ts";
import { lacks } from "../support/lacks.ts";

/** The programs that the machine runs here are shell scripts. */
const noShell = lacks("shell");
const PATH = "/usr/local/bin:/usr/bin:/bin";
const open: Controller[] = [];
let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), "controller-"));
});

afterEach(async () => {
  await Promise.all(open.splice(0).map((controller) => controller.stop()));
  await rm(directory, { recursive: true });
});

/** A controller that runs a shell script; the prompt is `$1`. */
function machine(script: string, cliDisabled = false): Controller {
  return running({ directory, command: ["/bin/sh", "-c", script, "sh"], env: { PATH }, cliDisabled });
}

function running(options: ConstructorParameters<typeof Controller>[0]): Controller {
  const controller = new Controller(options);
  open.push(controller);
  return controller;
}

async function ended(controller: Controller): Promise<ControllerRun> {
  return eventually(() => {
    const run = controller.status();
    if (!run || run.status === "running") throw new Error(`still ${run?.status}`);
    return run;
  });
}

async function printed(controller: Controller, text: string): Promise<string> {
  return eventually(() => {
    const output = controller.status()?.output ?? "";
    expect(output).toContain(text);
    return output;
  });
}

/** Dead orphans that nobody has reaped yet count as gone. */
function alive(pid: number): boolean {
  try {
    kill(pid, 0);
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}

test.skipIf(noShell)("a run is running with its partial output, then completed with all of it", async () => {
  const controller = machine('echo "one $1"; read line < go; echo two');
  const maker = running({ directory, command: ["/usr/bin/mkfifo"], env: { PATH } });
  await maker.start("go");
  await ended(maker);
  expect(controller.status()).toBeNull();
  const started = await controller.start("prompt with spaces");
  expect(started).toMatchObject({ status: "running", exitCode: null, completedAt: null, prompt: "prompt with spaces" });
  expect(started.startedAt).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  await printed(controller, "one prompt with spaces\n");
  expect(controller.status()).toMatchObject({ status: "running", output: "one prompt with spaces\n" });
  await running({ directory, command: ["/bin/sh", "-c", "echo > go"], env: { PATH } }).start("");
  const run = await ended(controller);
  expect(run).toMatchObject({
    status: "completed",
    exitCode: 0,
    output: "one prompt with spaces\ntwo\n",
    startedAt: started.startedAt,
  });
  expect(Date.parse(run.completedAt ?? "")).toBeGreaterThanOrEqual(Date.parse(run.startedAt));
});

test.skipIf(noShell).each([
  ["exit 1", 1],
  ["exit 137", 137],
  ["kill -9 $$", null],
])("%s fails with exit code %s", async (script, exitCode) => {
  const controller = machine(script);
  await controller.start("x");
  expect(await ended(controller)).toMatchObject({ status: "failed", exitCode, output: "" });
});

test.skipIf(noShell)("a program that cannot be spawned is a failed run", async () => {
  const controller = running({ directory, command: ["no-such-program"], env: { PATH } });
  expect(await controller.start("x")).toMatchObject({ status: "running" });
  expect(await ended(controller)).toMatchObject({
    status: "failed",
    exitCode: null,
    output: "\n[process error: spawn no-such-program ENOENT]\n",
  });
  expect(await controller.start("again")).toMatchObject({ status: "running" });
});

test.skipIf(noShell)("stdout and stderr are one text in the order of arrival", async () => {
  const controller = machine("echo a; sleep 0.1; echo b >&2; sleep 0.1; echo c");
  await controller.start("x");
  expect((await ended(controller)).output).toBe("a\nb\nc\n");
});

test.skipIf(noShell)(
  "chunks are decoded one by one: a character split across two becomes U+FFFD, as on the platform",
  async () => {
    const controller = machine("printf '\\360\\237'; sleep 0.2; printf '\\246\\200.'");
    await controller.start("x");
    expect((await ended(controller)).output).toBe("\uFFFD\uFFFD\uFFFD.");
  },
);

test.skipIf(noShell)("of ten simultaneous starts exactly one wins, and the others say why", async () => {
  const controller = machine("sleep 20");
  const results = await Promise.allSettled(
    Array.from({ length: 10 }, (_, index) => controller.start(`start ${index}`)),
  );
  const refused = results.filter((result) => result.status === "rejected").map((result): unknown => result.reason);
  expect(refused).toHaveLength(9);
  for (const error of refused) {
    expect(error).toBeInstanceOf(ControllerError);
    expect(error).toMatchObject({
      status: 409,
      code: "kilo_cli_run_already_active",
      message: "A Kilo CLI run is already in progress",
    });
  }
});

test.skipIf(noShell)("runs in quick succession have different, increasing start times", async () => {
  const controller = machine("exit 0");
  const starts: string[] = [];
  for (let index = 0; index < 20; index += 1) {
    starts.push((await controller.start("x")).startedAt);
    await controller.stop();
  }
  expect(new Set(starts).size).toBe(20);
  expect(starts).toEqual(starts.toSorted());
});

test.skipIf(noShell).each([
  ["a disabled CLI", true, "x"],
  ["a NUL in the prompt", false, "a\0b"],
])("%s refuses the start and leaves no run", async (_, cliDisabled, prompt) => {
  const controller = machine("exit 0", cliDisabled);
  await expect(controller.start(prompt)).rejects.toMatchObject({ status: 500, message: "kilo-cli-run start failed" });
  expect(controller.status()).toBeNull();
});

test.skipIf(noShell)(
  "cancel marks the run at once, ends the process and adds its note; what is still written comes after it",
  async () => {
    const controller = machine("trap 'echo caught; exit 143' TERM; echo begun; while :; do sleep 0.05; done");
    expect(await controller.cancel()).toBe(false);
    await controller.start("x");
    await printed(controller, "begun");
    expect(await controller.cancel()).toBe(true);
    expect(controller.status()).toMatchObject({
      status: "cancelled",
      exitCode: null,
      output: "begun\n\n[cancelled by user]\n",
    });
    expect(await controller.cancel()).toBe(false);
    expect(await printed(controller, "caught")).toBe("begun\n\n[cancelled by user]\ncaught\n");
    expect(controller.status()).toMatchObject({ status: "cancelled", exitCode: null });
  },
);

test.skipIf(noShell)(
  "a cancelled process that ignores SIGTERM lives on beside the next run, until the machine is stopped",
  async () => {
    const controller = machine("trap '' TERM; echo $$; while :; do sleep 0.2; done");
    await controller.start("x");
    const pid = Number.parseInt(await printed(controller, "\n"), 10);
    await controller.cancel();
    expect(await controller.start("next")).toMatchObject({ status: "running", prompt: "next" });
    const next = Number.parseInt(await printed(controller, "\n"), 10);
    // The real machine means to kill it after 5 s, and does not.
    await new Promise((resolve) => {
      setTimeout(resolve, 5_500);
    });
    expect([pid, next].map(alive)).toEqual([true, true]);
    expect(controller.status()).toMatchObject({ status: "running", output: `${next}\n` });
    await controller.stop();
    expect([pid, next].map(alive)).toEqual([false, false]);
  },
);

test.skipIf(noShell)("stop kills the process and its children, and the run is forgotten", async () => {
  const controller = machine("trap '' TERM; sleep 60 & echo $$ $!; wait");
  await controller.start("x");
  const pids = (await printed(controller, "\n")).trim().split(" ").map(Number);
  expect(pids.map(alive)).toEqual([true, true]);
  await controller.stop();
  expect(pids.map(alive)).toEqual([false, false]);
  expect(controller.status()).toBeNull();
  expect(await controller.start("after")).toMatchObject({ prompt: "after" });
});

test.skipIf(noShell)(
  "a run ends when its pipes close: a child left behind that holds them keeps it running",
  async () => {
    const controller = machine("(sleep 0.6; echo late) & exit 3");
    await controller.start("x");
    await new Promise((resolve) => {
      setTimeout(resolve, 300);
    });
    expect(controller.status()).toMatchObject({ status: "running", exitCode: null });
    await expect(controller.start("too early")).rejects.toMatchObject({ status: 409 });
    expect(await ended(controller)).toMatchObject({ status: "failed", exitCode: 3, output: "late\n" });
  },
);

test.skipIf(noShell)(
  "a child left behind that holds no pipe outlives the run and later ones, but not the machine",
  async () => {
    const controller = machine("sleep 60 > /dev/null 2>&1 & echo $!");
    await controller.start("x");
    const left = Number((await ended(controller)).output);
    await controller.start("next");
    const second = Number((await ended(controller)).output);
    expect([left, second].map(alive)).toEqual([true, true]);
    await controller.stop();
    expect([left, second].map(alive)).toEqual([false, false]);
  },
);

test.skipIf(noShell)(
  "a program that leaves its group with the pipes in hand does not hold up a stop",
  async () => {
    const controller = machine("setsid sh -c 'echo $$; exec sleep 60'");
    await controller.start("x");
    const pid = Number.parseInt(await printed(controller, "\n"), 10);
    try {
      await controller.stop();
      expect(controller.status()).toBeNull();
    } finally {
      if (alive(pid)) kill(pid, "SIGKILL");
    }
  },
  5_000,
);
