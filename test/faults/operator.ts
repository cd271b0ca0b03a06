/** Somebody at work with the command line as processes of its own, over a way that may fail, with a machine of their own. */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as z from "zod";
import { ITEM_STATES } from "../../src/bulk/item-state.ts";
import { loadCustomer } from "../../src/sandbox/seed/people.ts";
import { root, run, type Desk, type Result } from "../harness.ts";
import { FaultProxy, type Exchange } from "./proxy.ts";

const BIN = join(root, "bin", "kiloclaw-admin.js");

const reported = z.object({
  named: z.string(),
  state: z.enum(Object.keys(ITEM_STATES) as [keyof typeof ITEM_STATES]),
  instanceId: z.string().nullable(),
  runId: z.string().nullable(),
  exitCode: z.number().nullable(),
  attached: z.boolean(),
  problem: z.string().nullable(),
});
/** A target as a job's report has it. */
export type Reported = z.output<typeof reported>;

const report = z.object({ job: z.looseObject({ id: z.string(), state: z.string() }), items: z.array(reported) });
const started = z.object({ instanceId: z.string() });

/** A command under way, as a process. */
export class Command {
  stdout = "";
  stderr = "";
  readonly #child: ChildProcess;
  readonly #closed: Promise<unknown>;

  constructor(argv: readonly string[], env: Record<string, string | undefined>) {
    this.#child = spawn(process.execPath, [BIN, ...argv], { env, stdio: ["ignore", "pipe", "pipe"] });
    this.#closed = once(this.#child, "close");
    this.#child.stdout?.setEncoding("utf8").on("data", (text: string) => (this.stdout += text));
    this.#child.stderr?.setEncoding("utf8").on("data", (text: string) => (this.stderr += text));
  }

  get isOver(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Its exit code, or the signal that ended it. */
  async end(): Promise<number | NodeJS.Signals | null> {
    await this.#closed;
    return this.#child.signalCode ?? this.#child.exitCode;
  }
}

export class Operator {
  readonly proxy: FaultProxy;
  readonly configDir: string;
  readonly #token: string;
  readonly #commands = new Set<Command>();
  #jobs = 0;

  private constructor(proxy: FaultProxy, configDir: string, token: string) {
    this.proxy = proxy;
    this.configDir = configDir;
    this.#token = token;
  }

  /** @param proxy the way to the platform, shared with whoever has to know it by the same address; one of its own unless told. */
  static async open(desk: Desk, token = desk.sandbox.adminToken, proxy?: FaultProxy): Promise<Operator> {
    const configDir = await mkdtemp(join(tmpdir(), "kiloclaw-operator-"));
    return new Operator(proxy ?? (await FaultProxy.open(desk.sandbox.url)), configDir, token);
  }

  get #env(): Record<string, string> {
    return {
      KILOCLAW_ADMIN_CONFIG_DIR: this.configDir,
      KILOCLAW_ADMIN_HOST: this.proxy.url,
      KILOCLAW_ADMIN_TOKEN: this.#token,
    };
  }

  begin(...argv: string[]): Command {
    const { PATH } = process.env;
    const command = new Command(argv, { PATH, HOME: this.configDir, ...this.#env });
    this.#commands.add(command);
    return command;
  }

  /** Begins a job for load customers, each with a prompt of their own. */
  async beginJob(customers: readonly JobCustomer[], prompt: string, ...more: string[]): Promise<Command> {
    const file = join(this.configDir, `customers-${++this.#jobs}.csv`);
    const lines = customers.map(({ number, exit }) => `${loadCustomer(number).person.email},${exit}`);
    await writeFile(file, ["user,exit", ...lines, ""].join("\n"));
    const count = String(customers.length);
    return this.begin("runs", "start", "--users-file", file, "-p", prompt, "--yes", "--expect-count", count, ...more);
  }

  /** Does a command that needs no process of its own. */
  do(...argv: string[]): Promise<Result> {
    return run(argv, { configDir: this.configDir, env: this.#env });
  }

  /** The latest job's report, as the job itself has it; `undefined` while there is none of which anything is on record. */
  async report(job = "@latest"): Promise<z.output<typeof report> | undefined> {
    const { code, stdout, stderr } = await this.do("jobs", "report", job, "--json", "--no-refresh");
    if (code === 0) return report.parse(JSON.parse(stdout));
    if (/this machine has no jobs|was interrupted before it started/.test(stderr)) return undefined;
    throw new Error(`jobs report ended with ${code}: ${stderr}`);
  }

  /** The start requests that have reached the way to the platform, without those that it was told were refused. */
  get starts(): { readonly exchange: Exchange; readonly instanceId: string }[] {
    return this.proxy.exchanges
      .filter(({ isStart, refused }) => isStart && !refused)
      .map((exchange) => ({ exchange, ...started.parse(exchange.input) }));
  }

  async close(): Promise<void> {
    for (const command of this.#commands) command.kill("SIGKILL");
    await Promise.all([...this.#commands].map((command) => command.end()));
    await this.proxy.heal();
    await this.proxy.close();
    await rm(this.configDir, { recursive: true, force: true });
  }
}

/** One of the sandbox's load customers, and how the run on their machine is to end. */
export interface JobCustomer {
  readonly number: number;
  readonly exit: number;
}
