/**
 * A start whose process is killed, at each of its steps: the next command finds what is open, ends it rightly, and never sends
 * a second start by itself.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { OpenIndex } from "../../src/journal/open-index.ts";
import { Dice } from "../faults/dice.ts";
import { FaultProxy, type Exchange } from "../faults/proxy.ts";
import { openDesk, root, run, type Desk } from "../harness.ts";

const BIN = join(root, "bin", "kiloclaw-admin.js");
/** How many processes are killed at a moment of no choice; more in the whole fault campaign. */
const RANDOM_KILLS = process.env.KILOCLAW_FAULTS === undefined ? 30 : 200;
const MIN_WATCH_MS = 2;

let desk: Desk;
let customers = 0;
const scenes: Scene[] = [];
beforeAll(async () => {
  desk = await openDesk({ extraUsers: RANDOM_KILLS + 30 });
});
afterAll(() => desk.close());
afterEach(() => Promise.all(scenes.splice(0).map((scene) => scene.close())));

/** A customer, a machine to work on, and the way from there to the platform. */
class Scene {
  readonly user: string;
  readonly prompt: string;
  readonly proxy: FaultProxy;
  readonly configDir: string;
  #child: ChildProcess | undefined;

  private constructor(user: string, proxy: FaultProxy, configDir: string) {
    this.user = user;
    this.prompt = `[rehearse lines=1 delay=30] for ${user}`;
    this.proxy = proxy;
    this.configDir = configDir;
  }

  static async open(): Promise<Scene> {
    const user = `user${String(++customers).padStart(4, "0")}@load.example.com`;
    const proxy = await FaultProxy.open(desk.sandbox.url);
    const scene = new Scene(user, proxy, await mkdtemp(join(tmpdir(), "kiloclaw-killed-")));
    scenes.push(scene);
    return scene;
  }

  get env(): Record<string, string> {
    return { KILOCLAW_ADMIN_HOST: this.proxy.url, KILOCLAW_ADMIN_TOKEN: desk.sandbox.adminToken };
  }

  get state(): string {
    return join(this.configDir, "state");
  }

  /** Begins the start as a process of its own. */
  begin(): void {
    const { PATH } = process.env;
    this.#child = spawn(process.execPath, [BIN, "runs", "start", "-u", this.user, "-p", this.prompt], {
      env: { PATH, HOME: this.configDir, KILOCLAW_ADMIN_CONFIG_DIR: this.configDir, ...this.env },
      stdio: "ignore",
    });
  }

  /** Ends it as a power cut would. */
  kill(): void {
    this.#child?.kill("SIGKILL");
  }

  /** Waits for its end, and for that of what it had on its way. Says whether it was killed. */
  async ended(): Promise<boolean> {
    const child = this.#child;
    if (!child) throw new Error("nothing was begun");
    if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
    await this.proxy.heal();
    return child.signalCode === "SIGKILL";
  }

  /** The kinds of the records on disk. */
  async kinds(): Promise<string[]> {
    const folder = join(this.state, "journal");
    const names = await readdir(folder, { recursive: true }).catch(() => []);
    const files = names.filter((name) => name.endsWith(".jsonl")).map((name) => readFile(join(folder, name), "utf8"));
    const texts = await Promise.all(files.map((file) => file.catch(() => "")));
    return [...texts.join("").matchAll(/"kind":"(\w+)"/g)].map(([, kind = ""]) => kind);
  }

  /** Waits until such a record is on disk, looking every few milliseconds: nobody tells of it. */
  async written(kind: string): Promise<void> {
    while (!(await this.kinds()).includes(kind)) await sleep(MIN_WATCH_MS);
  }

  get starts(): number {
    return this.proxy.exchanges.filter(({ isStart }) => isStart).length;
  }

  async rows(): Promise<string[]> {
    return (await desk.rows(this.user)).filter(({ prompt }) => prompt === this.prompt).map(({ id }) => id);
  }

  async open(): Promise<number> {
    return (await new OpenIndex(this.state).find()).filter(({ writer }) => writer === null).length;
  }

  next(...argv: string[]) {
    return run(argv, { configDir: this.configDir, env: this.env });
  }

  again(...more: string[]) {
    return this.next("runs", "start", "-u", this.user, "-p", this.prompt, ...more);
  }

  async close(): Promise<void> {
    this.kill();
    await this.proxy.close();
    await rm(this.configDir, { recursive: true, force: true });
  }
}

/** Nothing was sent: what comes next is an ordinary start. */
async function startsAfresh(scene: Scene): Promise<void> {
  const before = scene.starts;
  const { code, stdout, stderr } = await scene.again();
  expect(stderr).not.toContain("this start was sent before");
  expect(code).toBe(0);
  expect(scene.starts - before).toBe(1);
  expect(await scene.rows()).toEqual([stdout.trim()]);
}

const SAYS = { start: "this start was sent before", reconcile: '"result":"found"' } as const;

/** The run is there, and nobody was told its ID: the next command tells it, and sends nothing. */
async function isTakenUp(scene: Scene, how: "reconcile" | "start"): Promise<void> {
  const [id] = await scene.rows();
  expect(await scene.open()).toBe(1);
  const before = scene.starts;
  const next = how === "start" ? await scene.again() : await scene.next("runs", "reconcile", "-o", "jsonl");
  expect(next.stdout).toContain(id);
  expect(next.stdout + next.stderr).toContain(SAYS[how]);
  expect(next.code).toBe(0);
  expect(await scene.open()).toBe(0);
  expect(scene.starts).toBe(before);
}

/** It may have happened, and there is no trace: nothing is sent without a person, who may then decide. */
async function waitsForAPerson(scene: Scene): Promise<void> {
  expect(await scene.open()).toBe(1);
  const before = scene.starts;
  const refused = await scene.again();
  expect(refused.stderr).toContain("an earlier start on the instance");
  expect(refused.code).toBe(7);
  const closed = await scene.next("runs", "reconcile", "--close", "--yes", "--reason", "asked the customer");
  expect(closed.stdout).toContain("closed");
  expect(closed.code).toBe(0);
  expect(await scene.open()).toBe(0);
  expect(scene.starts).toBe(before);
  await startsAfresh(scene);
}

/** What the proxy does with the first exchange that is meant. */
function at(scene: Scene, isIt: (exchange: Exchange) => boolean, deal: (exchange: Exchange) => Promise<void> | void) {
  let done = false;
  scene.proxy.decide = (exchange) => {
    if (done || !isIt(exchange)) return undefined;
    done = true;
    return deal;
  };
}
const isStart = ({ isStart }: Exchange) => isStart;
const isSnapshot = ({ procedure }: Exchange) => procedure.split(",").includes("listAllCliRuns");

describe("a start that is killed", { timeout: 60_000 }, () => {
  it("before the intent is written: nothing is open", async () => {
    const scene = await Scene.open();
    at(scene, isSnapshot, () => scene.kill());
    scene.begin();
    expect(await scene.ended()).toBe(true);
    expect(await scene.kinds()).not.toContain("intent");
    expect(await scene.open()).toBe(0);
    expect(scene.starts).toBe(0);
    expect((await scene.next("runs", "reconcile")).stderr).toContain("nothing is open");
    await startsAfresh(scene);
  });

  it("after the intent, before anything is sent: it may have happened", async () => {
    const scene = await Scene.open();
    at(scene, isSnapshot, async (exchange) => {
      const answer = await exchange.deliver();
      // The connection for the start hangs.
      await scene.proxy.deafen();
      exchange.answer(answer);
    });
    scene.begin();
    await scene.written("intent");
    scene.kill();
    expect(await scene.ended()).toBe(true);
    expect(scene.starts).toBe(0);
    expect(await scene.rows()).toEqual([]);
    await waitsForAPerson(scene);
  });

  it("while the request is under way, which then goes lost", async () => {
    const scene = await Scene.open();
    at(scene, isStart, () => scene.kill());
    scene.begin();
    expect(await scene.ended()).toBe(true);
    expect(await scene.rows()).toEqual([]);
    await waitsForAPerson(scene);
    expect(scene.starts).toBe(2);
  });

  it("and the request arrives only later, after somebody has looked", async () => {
    const scene = await Scene.open();
    const late = new AbortController();
    let lateDelivery: Promise<unknown> = Promise.resolve();
    at(scene, isStart, (exchange) => {
      scene.kill();
      lateDelivery = once(late.signal, "abort").then(() => exchange.deliver());
    });
    scene.begin();
    expect(await scene.ended()).toBe(true);
    expect((await scene.again()).code).toBe(7);
    late.abort();
    await lateDelivery;
    await isTakenUp(scene, "start");
    expect(scene.starts).toBe(1);
  });

  it.each(["reconcile", "start"] as const)("after the platform has started the run (%s)", async (how) => {
    const scene = await Scene.open();
    at(scene, isStart, async (exchange) => {
      await exchange.deliver();
      scene.kill();
    });
    scene.begin();
    expect(await scene.ended()).toBe(true);
    expect(await scene.rows()).toHaveLength(1);
    await isTakenUp(scene, how);
    expect(scene.starts).toBe(1);
  });

  it("after the answer, before what became of it is written", async () => {
    const scene = await Scene.open();
    at(scene, isStart, async (exchange) => {
      exchange.answer(await exchange.deliver());
      // It has reached the machine; the process has no time to write to the disk and wait for it.
      scene.kill();
    });
    scene.begin();
    expect(await scene.ended()).toBe(true);
    expect(await scene.kinds()).toEqual(["intent"]);
    await isTakenUp(scene, "reconcile");
    expect(scene.starts).toBe(1);
  });

  it("after what became of it is written: nothing is open, and the run is known", async () => {
    const scene = await Scene.open();
    scene.begin();
    await scene.written("outcome");
    scene.kill();
    await scene.ended();
    expect(await scene.open()).toBe(0);
    await isInTheWay(scene);
  });
});

/** The run is there and on record: it stands in the way of another start. */
async function isInTheWay(scene: Scene): Promise<void> {
  const [id = "none"] = await scene.rows();
  const { code, stderr } = await scene.again();
  expect(stderr).toContain(`a run is already in progress; nothing was sent: ${id}`);
  expect(code).toBe(6);
  expect(scene.starts).toBe(1);
}

describe("a start that is killed at any moment", () => {
  it("is found as what it was", { timeout: 20_000 + RANDOM_KILLS * 3_000 }, async () => {
    const found = new Map<string, number>();
    const whole = await lifetime();
    for (let turn = 0; turn < RANDOM_KILLS; turn += 2) {
      const outcomes = await Promise.all([turn, turn + 1].map((seed) => killedAtRandom(seed, whole)));
      for (const outcome of outcomes) found.set(outcome, (found.get(outcome) ?? 0) + 1);
      await Promise.all(scenes.splice(0).map((scene) => scene.close()));
    }
    if (process.env.KILOCLAW_FAULTS !== undefined)
      console.log("starts killed at any moment:", Object.fromEntries(found));
    // Not all at one end of its life.
    expect(found.size).toBeGreaterThan(1);
  });
});

/** How long a start takes, in milliseconds. */
async function lifetime(): Promise<number> {
  const scenes = await Promise.all([Scene.open(), Scene.open()]);
  const began = performance.now();
  for (const scene of scenes) scene.begin();
  await Promise.all(scenes.map((scene) => scene.ended()));
  return performance.now() - began;
}

/** Kills a start, and plays what the next command makes of it. */
async function killedAtRandom(seed: number, wholeMs: number): Promise<string> {
  const scene = await Scene.open();
  const dice = new Dice("killed", seed);
  // Nothing is on its way before the program is loaded: most of the kills fall into the second half.
  const afterMs = wholeMs * (dice.hits(0.2) ? dice.chance() : 0.4 + 0.7 * dice.chance());
  scene.begin();
  await sleep(afterMs);
  scene.kill();
  await scene.ended();
  const kinds = await scene.kinds();
  // A request that had left goes its way: its row may be about to be written.
  if (scene.starts > 0) await vi.waitUntil(async () => (await scene.rows()).length > 0, 2_000).catch(() => undefined);
  const rows = await scene.rows();
  const open = await scene.open();
  expect(rows.length).toBeLessThanOrEqual(1);
  expect(scene.starts).toBeLessThanOrEqual(1);
  expect(scene.starts === 0 || kinds.includes("intent")).toBe(true);
  if (open === 0 && rows.length === 0) {
    await startsAfresh(scene);
    return "before the intent";
  }
  if (rows.length === 0) {
    await waitsForAPerson(scene);
    return "after the intent, no run";
  }
  if (open > 0) {
    await isTakenUp(scene, dice.pick("reconcile", "start"));
    return "after the intent, with a run";
  }
  await isInTheWay(scene);
  return kinds.includes("end") ? "after the end" : "after the outcome";
}
