/** Plays the cases that were asked for, many at once, and says what came of them. */
import { setTimeout as sleep } from "node:timers/promises";
import { openDesk } from "../harness.ts";
import { play, type Case, type ProblemKind, type Verdict } from "./cases.ts";
import { FAULTS } from "./faults.ts";
import { COMMANDS, MATRIX, type CommandName } from "./matrix.ts";

/** How much is played: a few seeds of everything, unless the environment asks for more, or for one case. */
const { KILOCLAW_FAULTS: asked } = process.env;
const wish: { seeds?: number; seed?: number; fault?: string; command?: string } = asked ? JSON.parse(asked) : {};

/** Cases that wait for a row cost nothing but time: many of them fit beside each other, but they begin a few at a time. */
const AT_ONCE = 90;
const BEGINNING_AT_ONCE = 8;
const BEGINNING_MS = 3_000;

export const whole = asked !== undefined;

/** @param few how many seeds are played when nothing was asked for. */
export function casesOf(commands: readonly CommandName[], few: number): Case[] {
  const { seed, fault, command, seeds = whole ? 20 : few } = wish;
  if (fault !== undefined && !FAULTS.some((name) => name === fault)) {
    throw new Error(`there is no fault "${fault}"; there are ${FAULTS.join(", ")}`);
  }
  if (command !== undefined && !COMMANDS.some((name) => name === command)) {
    throw new Error(`there is no command "${command}"; there are ${COMMANDS.join(", ")}`);
  }
  const numbers = seed === undefined ? Array.from({ length: seeds }, (_, index) => index + 1) : [seed];
  return numbers.flatMap((number) =>
    commands
      .filter((name) => command === undefined || name === command)
      .flatMap((command) =>
        FAULTS.filter((name) => fault === undefined || name === fault)
          .filter((name) => command === "start" || command === "cancel" || MATRIX[name].reads !== "never")
          .map((fault) => ({ command, fault, seed: number })),
      ),
  );
}

export async function playAll(cases: readonly Case[]): Promise<Verdict[]> {
  const desk = await openDesk({ extraUsers: cases.length });
  let customers = 0;
  const stage = {
    desk,
    customer: () => ++customers,
    patient: (seed: number) => whole && seed % 10 === 0,
    whole,
  };
  const verdicts: Verdict[] = [];
  // What waits longest goes first, so that the end is not one case alone.
  const queue = cases.toSorted((a, b) => weight(b) - weight(a));
  let beginning: Promise<unknown>[] = [];
  const worker = async () => {
    for (let one = queue.shift(); one; one = queue.shift()) {
      while (beginning.length >= BEGINNING_AT_ONCE) await Promise.race(beginning);
      const played = play(stage, one);
      const begun: Promise<unknown> = Promise.race([played.catch(() => undefined), sleep(BEGINNING_MS)]).finally(() => {
        beginning = beginning.filter((other) => other !== begun);
      });
      beginning.push(begun);
      verdicts.push(await played);
    }
  };
  const workers = await Promise.allSettled(Array.from({ length: AT_ONCE }, worker));
  await desk.close();
  for (const ended of workers) if (ended.status === "rejected") throw ended.reason;
  return verdicts;
}

function weight({ command, fault, seed }: Case): number {
  if (fault === "blackhole" && seed % 10 === 0) return 3;
  if (fault === "connect-timeout") return 2;
  return command === "start" && MATRIX[fault].start === "look" ? 1 : 0;
}

const KINDS: readonly ProblemKind[] = ["second start", "lost ID", "false denial", "wrong exit"];

/** A line for each fault and command. */
export function table(verdicts: readonly Verdict[]): string {
  const header = ["fault", "command", "cases", "struck", ...KINDS.map((kind) => `${kind}s`), "median s", "longest s"];
  const lines = [header];
  for (const command of COMMANDS) {
    for (const fault of FAULTS) {
      const mine = verdicts.filter((one) => one.command === command && one.fault === fault);
      if (mine.length === 0) continue;
      lines.push([fault, command, ...figures(mine)]);
    }
  }
  lines.push(["all", "", ...figures(verdicts)]);
  const widths = header.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)));
  return lines
    .map((line) =>
      line
        .map((cell, column) => (column < 2 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0)))
        .join("  "),
    )
    .join("\n");
}

function figures(verdicts: readonly Verdict[]): string[] {
  const times = verdicts.map(({ ms }) => ms / 1_000).toSorted((a, b) => a - b);
  const count = (kind: ProblemKind) => verdicts.flatMap(({ problems }) => problems).filter((one) => one.kind === kind);
  return [
    String(verdicts.length),
    String(verdicts.filter(({ hits }) => hits > 0).length),
    ...KINDS.map((kind) => String(count(kind).length)),
    (times[Math.floor(times.length / 2)] ?? 0).toFixed(1),
    (times.at(-1) ?? 0).toFixed(1),
  ];
}
