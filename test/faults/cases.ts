/** One case of the campaign: a command, a fault, a seed; played against the sandbox, and judged by what was sent and done. */
import { readdirSync, readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { admin } from "../../src/contract/procedures.ts";
import { loadCustomer } from "../../src/sandbox/seed/people.ts";
import { SYSTEM_TIMING } from "../../src/timing.ts";
import { begin, run, type Desk, type Result } from "../harness.ts";
import { Calls } from "../support/sandbox-calls.ts";
import { Dice } from "./dice.ts";
import { arrived, EXCHANGE_FAULTS, type ExchangeFault, type FaultName, type Made } from "./faults.ts";
import { MATRIX, rightExits, type CommandName, type Struck } from "./matrix.ts";
import { FaultProxy, type Exchange } from "./proxy.ts";

export interface Case {
  readonly command: CommandName;
  readonly fault: FaultName;
  readonly seed: number;
}

export type ProblemKind = "second start" | "lost ID" | "false denial" | "wrong exit";

export interface Verdict extends Case {
  readonly ms: number;
  /** How the fault came to strike: 0 when the command was over before. */
  readonly hits: number;
  readonly problems: readonly { readonly kind: ProblemKind; readonly text: string }[];
}

/** Where cases are played, each on a customer of its own. */
export interface Stage {
  readonly desk: Desk;
  readonly customer: () => number;
  /** Seeds whose black holes are waited out: a minute or two each. */
  readonly patient: (seed: number) => boolean;
  /** There is time for platforms that cannot be connected to for good: half a minute for each call. */
  readonly whole: boolean;
}

const DENIES = /not started|nothing was (sent|started|changed)|did not start(?!\S)/i;
/** Says of a start that it was not made, whatever the words. */
const DENYING_EXITS = [2, 4, 5, 11, 12];

/** Whether this is the whole of a list. */
function listed(text: string): boolean {
  try {
    return Array.isArray(JSON.parse(text));
  } catch {
    return false;
  }
}

/** Standard error without the sentences that this is *no* proof of anything. */
const claims = ({ stderr }: Result) =>
  stderr
    .replaceAll(/that is not proof that it did not start/g, "")
    .replaceAll(/does not say whether[^\n]*/g, "")
    .replaceAll(/an earlier start[^\n]*/g, "");

/** The furthest a command may be from its end: the longest time-out, the search after it, and the retries. */
const MAX_MS = 300_000;
const MAIN: Readonly<Record<CommandName, string>> = {
  start: "startKiloCliRun",
  cancel: "cancelKiloCliRun",
  watch: "getKiloCliRunStatus",
  list: "",
};

export async function play(stage: Stage, one: Case): Promise<Verdict> {
  const played = new Played(stage, one);
  try {
    return await played.play();
  } catch (error) {
    throw new Error(`${one.command} under ${one.fault}, seed ${one.seed}, could not be played`, { cause: error });
  } finally {
    await played.close();
  }
}

class Played {
  readonly #stage: Stage;
  readonly #case: Case;
  readonly #dice: Dice;
  readonly #customer: ReturnType<typeof loadCustomer>;
  readonly #user: string;
  readonly #prompt: string;
  readonly #lasts: number;
  readonly #from: number | "main";
  readonly #problems: { kind: ProblemKind; text: string }[] = [];
  readonly #made: Made | undefined;
  readonly #signalAfterMs: number | undefined;
  #proxy!: FaultProxy;
  #configDir = "";
  #left: number;
  #hits: Exchange[] = [];
  #running: ReturnType<typeof begin>[] = [];

  constructor(stage: Stage, one: Case) {
    const { command, fault, seed } = one;
    const dice = new Dice(command, fault, seed);
    this.#stage = stage;
    this.#case = one;
    this.#dice = dice;
    this.#customer = loadCustomer(stage.customer());
    this.#user = this.#customer.person.email;
    // Long enough to be in the way of a second one, where there is one.
    const delay = fault === "two-processes" || fault === "duplicated" ? 60 : 3;
    this.#prompt = `[rehearse lines=1 delay=${delay}] ${fault} ${seed}`;
    this.#lasts = dice.pick(1, 1, 1, 2, 3, Infinity);
    this.#left = this.#lasts;
    const aimed = fault === "409" || (command !== "list" && dice.hits(0.6));
    this.#from = aimed ? "main" : dice.between(1, { start: 6, watch: 6, cancel: 8, list: 2 }[command]);
    this.#made = fault in EXCHANGE_FAULTS ? EXCHANGE_FAULTS[fault as ExchangeFault](dice) : undefined;
    const waits = fault === "blackhole" && (stage.patient(seed) || command === "watch");
    this.#signalAfterMs =
      fault.startsWith("SIG") || (fault === "blackhole" && !waits) ? dice.pick(0, 1, 10, 100, 1_000) : undefined;
  }

  async play(): Promise<Verdict> {
    const { desk } = this.#stage;
    this.#configDir = await mkdtemp(join(tmpdir(), "kiloclaw-fault-"));
    this.#proxy = await FaultProxy.open(desk.sandbox.url);
    this.#proxy.decide = (exchange) => this.#decide(exchange);
    if (this.#case.fault === "unwritable-state") await writeFile(join(this.#configDir, "state"), "not a folder");
    if (this.#case.fault === "connect-timeout" && this.#from === 1) await this.#proxy.deafen(this.#outageMs());
    const argv = await this.#argv();
    const began = performance.now();
    const processes = this.#case.fault === "two-processes" ? 2 : 1;
    for (let count = 0; count < processes; count++) this.#running.push(begin(argv, this.#options(this.#host())));
    const results = await this.#ended();
    const ms = performance.now() - began;
    if (results) await this.#judge(results);
    for (const trouble of this.#proxy.troubles) this.#blame("wrong exit", `the proxy itself: ${String(trouble)}`);
    return { ...this.#case, ms, hits: this.#hits.length, problems: this.#problems };
  }

  async close(): Promise<void> {
    for (const running of this.#running) running.stop();
    await this.#proxy?.close();
    await rm(this.#configDir, { recursive: true, force: true });
  }

  /** A run that is there before the command. */
  async #started(prompt: string): Promise<string> {
    const { person, instanceId } = this.#customer;
    const { desk } = this.#stage;
    const calls = new Calls(desk.sandbox, desk.sandbox.adminToken);
    const { data, error } = await calls.mutate(admin.startKiloCliRun.path, { userId: person.id, instanceId, prompt });
    if (error) throw new Error(`the run before the command was refused: ${error.message}`);
    return admin.startKiloCliRun.output.parse(data).id;
  }

  /** One seed in four starts by way of an earlier run. Two of them at once would meet the question about a newer one. */
  get #isRetry(): boolean {
    return this.#case.seed % 4 === 1 && this.#case.fault !== "two-processes";
  }

  /** A run that has ended before the command. */
  async #endedBefore(): Promise<string> {
    const id = await this.#started("[rehearse lines=1] before");
    const calls = new Calls(this.#stage.desk.sandbox, this.#stage.desk.sandbox.adminToken);
    await calls.statusWhen(this.#customer.person.id, id, ({ status }) => status !== "running");
    return id;
  }

  /** In every other pair of seeds a run that is there already is taken for the start. */
  get #takesWhatIsThere(): boolean {
    return this.#case.seed % 4 > 1;
  }

  #startArgv(): string[] {
    const unless = this.#takesWhatIsThere ? ["--unless-started-since", "10m"] : [];
    return ["runs", "start", "-u", this.#user, "-p", this.#prompt, ...unless];
  }

  async #argv(): Promise<string[]> {
    const user = this.#user;
    switch (this.#case.command) {
      case "start":
        return this.#isRetry ? ["runs", "retry", await this.#endedBefore(), "-p", this.#prompt] : this.#startArgv();
      case "watch": {
        const id = await this.#started("[rehearse lines=3 interval=0.3]");
        const patient = this.#case.fault === "blackhole" && this.#stage.patient(this.#case.seed);
        const { fault } = this.#case;
        const isCut = fault === "blackhole" || (this.#lasts === Infinity && MATRIX[fault].status === "go on");
        const timeout = patient ? "100s" : isCut ? "4s" : "60s";
        return ["runs", "watch", id, "-u", user, "--interval", "100ms", "--timeout", timeout];
      }
      case "cancel":
        return ["runs", "cancel", await this.#started("[rehearse lines=1 delay=300]"), "-u", user, "--yes"];
      case "list":
        return [
          ...this.#dice.pick<string[]>(
            ["runs", "list", "-u", "dave.destroyed@example.com", "--no-refresh"],
            ["runs", "list", "--initiated-by", "me", "--limit", "5", "--no-refresh"],
            ["instances", "list", "--limit", "10"],
            ["users", "find", "jane@example.com"],
            ["audit", "list", "-u", "jane@example.com"],
          ),
          "--json",
        ];
    }
  }

  #host(): string {
    const { port } = new URL(this.#proxy.url);
    if (this.#case.fault === "dns") return `https://nowhere.invalid:${port}`;
    if (this.#case.fault === "tls") return `https://127.0.0.1:${port}`;
    return this.#proxy.url;
  }

  #options(host: string) {
    return {
      configDir: this.#configDir,
      // What is judged here is how long a start is looked for, too; a tenth of it is soon over on a busy machine.
      timing: SYSTEM_TIMING,
      env: { KILOCLAW_ADMIN_HOST: host, KILOCLAW_ADMIN_TOKEN: this.#stage.desk.sandbox.adminToken },
    };
  }

  async #ended(): Promise<readonly Result[] | undefined> {
    const giveUp = new AbortController();
    const results = await Promise.race([
      Promise.all(this.#running.map(({ done }) => done)),
      sleep(MAX_MS, undefined, { signal: giveUp.signal, ref: false }).catch(() => undefined),
    ]);
    giveUp.abort();
    if (!results) this.#blame("wrong exit", `has not ended after ${MAX_MS / 1000} s`);
    return results;
  }

  #isMain({ procedure }: Exchange): boolean {
    return procedure.split(",").includes(MAIN[this.#case.command]);
  }

  #decide(exchange: Exchange) {
    if (exchange.isStart && !this.#isOnRecord())
      this.#blame("lost ID", "a start was sent that no intent is on disk of");
    const due = this.#hits.length > 0 || this.#hitsFirst(exchange);
    if (!due || this.#left === 0) return undefined;
    this.#left -= 1;
    this.#hits.push(exchange);
    const first = this.#hits.length === 1;
    if (this.#made) {
      if (first && this.#signalAfterMs !== undefined) this.#signal();
      return this.#made.deal;
    }
    if (!first) return undefined;
    return this.#pathDeal();
  }

  #hitsFirst(exchange: Exchange): boolean {
    return this.#from === "main" ? this.#isMain(exchange) : exchange.number === this.#from;
  }

  /** What befalls the way, the machine or the user at the exchange where it is due. */
  #pathDeal() {
    const { fault } = this.#case;
    return async (exchange: Exchange) => {
      if (fault.startsWith("SIG")) this.#signal();
      if (fault === "stdout-closed") for (const running of this.#running) running.closeOutput();
      const answer = await exchange.deliver();
      if (fault === "refused") this.#proxy.refuse(this.#outageMs());
      if (fault === "connect-timeout") await this.#proxy.deafen(this.#outageMs());
      exchange.answer(answer);
    };
  }

  /** `undefined`: for good. */
  #outageMs(): number | undefined {
    const { fault } = this.#case;
    if (this.#lasts === Infinity && (this.#stage.whole || fault === "refused")) return undefined;
    return Math.min(this.#lasts, 3) * (fault === "refused" ? 200 : 1_500);
  }

  #signal(): void {
    const { fault } = this.#case;
    const reason = fault === "SIGTERM" || fault === "SIGHUP" ? fault : "SIGINT";
    setTimeout(() => {
      for (const running of this.#running) running.stop(reason);
    }, this.#signalAfterMs).unref();
  }

  #isOnRecord(): boolean {
    const folder = join(this.#configDir, "state", "journal", "open");
    try {
      return readdirSync(folder).some(
        (name) => name.endsWith(".jsonl") && readFileSync(join(folder, name), "utf8").includes(`"kind":"intent"`),
      );
    } catch {
      return false;
    }
  }

  #blame(kind: ProblemKind, text: string): void {
    const { command, fault, seed } = this.#case;
    const lasts = this.#lasts === Infinity ? "for good" : `${this.#lasts} times`;
    const where = `from ${this.#from === "main" ? MAIN[command] : `exchange ${this.#from}`} on, ${lasts}`;
    const replay = `npm run campaign -- faults --command ${command} --fault ${fault} --seed ${seed}`;
    this.#problems.push({
      kind,
      text: `${kind}: ${text}\n  ${this.#made?.what ?? fault}, ${where}\n  again: ${replay}`,
    });
  }

  async #judge(results: readonly Result[]): Promise<void> {
    const struck = this.#struck();
    await arrived(this.#proxy.exchanges);
    await this.#proxy.heal();
    const { command } = this.#case;
    for (const result of results) {
      this.#judgeExit(struck, result);
      if (result.code === 0 && !(await this.#reachedItsEnd(result)))
        this.#blame("wrong exit", `0 without an end reached\n  said: ${result.stdout}${result.stderr}`);
    }
    if (command === "start") await this.#judgeStart(results);
    else await this.#judgeOther(results);
  }

  #struck(): Struck {
    const { command, fault } = this.#case;
    const main = this.#hits.some((hit) => this.#isMain(hit));
    const whole = ["dns", "tls", "unwritable-state", "two-processes"].includes(fault);
    const pathIsGone = fault === "refused" || fault === "connect-timeout";
    const [first] = this.#hits;
    const atMain = fault === "unwritable-state" || fault === "two-processes" || (first && this.#isMain(first));
    return {
      fault,
      command,
      main: main || pathIsGone,
      first: whole || first ? (atMain ? "main" : "reads") : "nothing",
      mainSent: this.#proxy.exchanges.some((exchange) => this.#isMain(exchange)),
      onlyProfile: this.#hits.length > 0 && this.#hits.every(({ procedure }) => procedure.includes("profile")),
      // An outage is measured in time.
      lasts: pathIsGone || fault === "dns" || fault === "tls" ? Infinity : this.#lasts,
      delivered: this.#proxy.exchanges.reduce((sum, { isStart, deliveries }) => sum + (isStart ? deliveries : 0), 0),
    };
  }

  #judgeExit(struck: Struck, { code, stdout, stderr }: Result): void {
    const right =
      this.#case.fault === "blackhole" && this.#signalAfterMs !== undefined && this.#hits.length > 0
        ? [130]
        : rightExits(struck);
    if (right.includes(code)) return;
    this.#blame("wrong exit", `${code} instead of ${right.join(" or ")}\n  said: ${stdout}${stderr}`);
  }

  /** Whether the command has done and printed what 0 promises. */
  async #reachedItsEnd({ stdout }: Result): Promise<boolean> {
    const { command, fault } = this.#case;
    if (command === "list") return fault === "stdout-closed" || listed(stdout);
    const rows = await this.#stage.desk.rows(this.#user);
    if (command === "start") return rows.some(({ id }) => stdout === `${id}\n`);
    // Whoever closes the output of a watch has seen enough; the run goes on.
    if (command === "watch" && fault === "stdout-closed") return true;
    return rows.every(({ status }) => status !== "running");
  }

  async #judgeStart(results: readonly Result[]): Promise<void> {
    const { fault, seed } = this.#case;
    const { desk } = this.#stage;
    const starts = this.#proxy.exchanges.filter(({ isStart }) => isStart);
    // Only a refusal for being too many may be tried again.
    const sent = fault === "429" ? starts.filter(({ refused }) => !refused).length : starts.length;
    if (sent > 1) this.#blame("second start", `${sent} start requests were sent`);
    const won = results.filter(({ code }) => code === 0).length;
    if (fault === "two-processes" && (won < 1 || (won > 1 && !this.#takesWhatIsThere))) {
      this.#blame("wrong exit", "of two processes, not one has won");
    }
    const rows = (await desk.rows(this.#user)).filter(({ prompt }) => prompt === this.#prompt);
    for (const result of results) {
      const loser = fault === "two-processes" && result.code === 6;
      if (rows.length === 0 || loser) continue;
      const denied =
        DENIES.exec(claims(result))?.[0] ?? (DENYING_EXITS.includes(result.code) ? result.code : undefined);
      if (denied !== undefined)
        this.#blame("false denial", `"${denied}" of a run that exists\n  said: ${result.stderr}`);
      // Delivered twice, the second finds the machine busy with the first.
      const disowned = rows.find(({ id }) => result.stderr.includes(`another run is active: ${id}`));
      if (disowned) this.#blame("false denial", `its own run is "another run"\n  said: ${result.stderr}`);
    }
    const said = results.map(({ stdout, stderr }) => stdout + stderr).join("\n");
    const silent = rows.filter(({ id }) => !said.includes(id));
    const unknown = results.some(({ code }) => code === 7);
    if (silent.length === 0 && !unknown) return;
    await this.#followUp(seed % 2 === 0 ? "reconcile" : "again", silent);
  }

  /** What the next command makes of it: the run's ID comes to light, and nothing is sent a second time. */
  async #followUp(how: "reconcile" | "again", rows: readonly { readonly id: string }[]): Promise<void> {
    const before = this.#proxy.exchanges.filter(({ isStart }) => isStart).length;
    const argv = how === "again" ? this.#startArgv() : ["runs", "reconcile", "--close", "--yes", "-o", "jsonl"];
    const next = await run(argv, this.#options(this.#proxy.url));
    for (const { id } of rows) {
      if (!next.stdout.includes(id)) {
        this.#blame("lost ID", `${id} is not found by ${argv.slice(0, 2).join(" ")}\n  said: ${next.stderr}`);
      }
    }
    const right = how === "again" && rows.length === 0 ? 7 : 0;
    if (next.code !== right) this.#blame("wrong exit", `${next.code} of the next command\n  said: ${next.stderr}`);
    const after = this.#proxy.exchanges.filter(({ isStart }) => isStart).length;
    if (after > before) this.#blame("second start", `${argv.slice(0, 2).join(" ")} has sent another start`);
  }

  async #judgeOther(results: readonly Result[]): Promise<void> {
    const { command } = this.#case;
    const strays = this.#proxy.exchanges.filter(
      ({ method, isCancel }) => method !== "GET" && !(command === "cancel" && isCancel),
    );
    if (strays.length > 0) this.#blame("second start", `${strays[0]?.procedure} was sent`);
    if (command === "list") return;
    const [row] = await this.#stage.desk.rows(this.#user);
    if (!row) throw new Error(`the run of ${this.#user} is gone`);
    if (command === "watch") {
      if (row.status === "failed" || row.status === "cancelled") this.#blame("wrong exit", `the run is ${row.status}`);
      return;
    }
    const { code, stderr } = results[0] ?? { code: -1, stderr: "" };
    const denied = row.status === "cancelled" && (code === 11 || code === 12 || DENIES.test(stderr));
    if (denied) this.#blame("false denial", `${code} of a run that is cancelled\n  said: ${stderr}`);
    if (code === 0 && row.status === "running") this.#blame("wrong exit", "0, and the run goes on");
    if (row.status === "running") await this.#stage.desk.run(["runs", "cancel", row.id, "-u", this.#user, "--yes"]);
  }
}
