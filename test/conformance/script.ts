/**
 * The order in which the recordings were made, with what the recorder did in between. Replayed in this order on one
 * sandbox, the history that lists and totals show is the recorded one too.
 */
import { setTimeout as delay } from "node:timers/promises";
import { vi } from "vitest";
import * as z from "zod";
import type { FaultSpec } from "../../src/sandbox/control-api.ts";
import type { Recordings } from "./recordings.ts";
import type { Replay } from "./replay.ts";

/** Why a recording cannot be staged. */
export const NOT_STAGED: Readonly<Record<string, string>> = {
  "device-30-db-rows": "no exchange: rows of the platform's database, noted beside the device login",
  "status-32-facts": "no exchange: a note on status-32-output-over-1MiB, which is replayed",
  "extra-01b-facts": "no exchange: a note on extra-01 and extra-02, which are replayed",
};

const START = "admin.kiloclawInstances.startKiloCliRun";
const CANCEL = "admin.kiloclawInstances.cancelKiloCliRun";

const ALICE = "c0000000-0000-4000-8000-000000000001";
const FLEET = "f0000000-0000-4000-8000-00000000000";

const worker = (value: string, delayMs?: number): FaultSpec => ({ name: "worker", value, delayMs });

const runRow = z.object({
  id: z.string(),
  user_id: z.string(),
  instance_id: z.string().nullable(),
  initiated_by_admin_id: z.string().nullable(),
  prompt: z.string(),
});
const listed = z.object({ result: z.object({ data: z.object({ runs: z.array(runRow) }) }) });
type RunRow = z.infer<typeof runRow>;

/** Instances of organizations must be named by a start. */
const ORGANIZATION_INSTANCES = ["d0000000-0000-4000-8000-000000000005", "d0000000-0000-4000-8000-000000000007"];

export class Script {
  readonly #replay: Replay;
  /** Every run of the recording, by the first eight digits of its id. */
  readonly #runs: ReadonlyMap<string, RunRow>;

  constructor(replay: Replay, { exchanges }: Recordings) {
    this.#replay = replay;
    const rows = exchanges.flatMap(({ response }) => listed.safeParse(response.body).data?.result.data.runs ?? []);
    this.#runs = new Map(rows.map((row) => [row.id.slice(0, 8), row]));
  }

  async play(): Promise<void> {
    await this.#replay.playAll(/^(auth|whoami)-/);
    await this.#starts();
    await this.#statuses();
    await this.#cancels();
    await this.#replay.playAll(/^(list|listall|wire)-/);
    await this.#instances();
    // Two pages of the same users in another order each: the whole one first, to tell who is who.
    await this.#replay.play("users-09-limit-1000");
    await this.#replay.playAll(/^users-/);
    await this.#audit();
    await this.#device();
    await this.#replay.playAll(/^user-/);
    // The recorder put this row back to `running` behind the platform's back, so its end is played when the lists are done.
    await this.#replay.playWith({ name: "slow", delayMs: 50 }, "status-29-worker-slow-3s");
    await this.#recordedLater();
    await this.#organizations();
  }

  /** Recorded on a platform where neither member had started anything yet. */
  async #organizations(): Promise<void> {
    const replay = this.#replay;
    await replay.stage.reset();
    await replay.playAll(/^org-([0-2]|3[0-1])/);
    await replay.playWith({ name: "instance-status", value: "stopped" }, "org-32-start-stopped");
    await replay.playWith({ name: "old-controller" }, "org-33-start-old-controller");
    await replay.playAll(/^org-/);
  }

  /** What was recorded on another day: it comes last, so that its runs are in no list of the first. */
  async #recordedLater(): Promise<void> {
    const replay = this.#replay;
    await this.#ignoringCancel("b93fb258-7b36-4a0b-92cb-0cd2184a10d4");
    await replay.play("extra-01-cancel-process-that-ignores-SIGTERM");
    await replay.play("extra-02-start-while-cancelled-process-still-alive");
    const cancelled = await this.#ignoringCancel("00000000-0000-4000-8000-000000000043");
    await replay.cancel({ userId: ALICE, runId: cancelled });
    await replay.play("status-43-start-right-after-cancel-while-old-process-lives");
    const prompt = "nul [fake lines=3 interval=0.4 nul=1]";
    await replay.start("f1fadb86-559e-4c1e-a8db-5fc7a1dc3f60", { userId: FLEET + "1", prompt });
    await replay.playAll(/^status-4[45]/);
    const split = "split [fake lines=1 interval=0.1 split=1]";
    await replay.start("b2442b98-a1a5-4706-b523-178d4e3fbbef", { userId: FLEET + "2", prompt: split });
    await replay.play("status-46-multibyte-split-across-chunks", "org-31-personal-start-by-org-only-user");
  }

  /** Starts a run whose process ignores SIGTERM, and waits until it does. @returns the recorded ID. */
  async #ignoringCancel(id: string): Promise<string> {
    await this.#replay.start(id, { userId: ALICE, prompt: "stubborn [fake lines=60 interval=0.5 trap=1]" });
    const run = { id, user_id: ALICE, instance_id: null };
    await this.#replay.poll(run, ({ output }) => String(output).includes("step 1/"));
    return id;
  }

  async #starts(): Promise<void> {
    const replay = this.#replay;
    await replay.playAll(/^start-(0|1|2[0-2])/);
    await this.#start("c1841a14");
    await replay.play("start-23-conflict-already-running");
    await this.#cancel("c1841a14");
    await replay.playAll(/^start-2[4-7]/);
    await replay.playWith(worker("controller-down"), "start-28-controller-down");
    for (const status of ["destroying", "provisioned", "recovering", "restarting", "starting"]) {
      await replay.playWith({ name: "instance-status", value: status }, `start-29-do-status-${status}`);
    }
    await replay.playWith(worker("500"), "start-30-worker-500-json");
    await replay.playWith(worker("502"), "start-31-worker-502-html");
    await replay.playWith(worker("503"), "start-32-worker-503");
    await replay.playWith(worker("429"), "start-33-worker-429");
    await replay.playWith(worker("400"), "start-34-worker-400");
    await replay.playWith(worker("403"), "start-35-worker-403-bad-internal-key");
    await replay.playWith(worker("404"), "start-36-worker-404-no-code");
    await replay.playWith(worker("route-unavailable"), "start-37-worker-404-route-unavailable-code");
    await replay.playWith(worker("409"), "start-38-worker-409-no-code");
    await replay.playWith(worker("412"), "start-39-worker-412");
    await replay.playWith(worker("down"), "start-40-worker-connection-reset");
    await replay.playWith(worker("not-json"), "start-41-worker-200-not-json");
    await replay.playWith(worker("empty-object"), "start-42-worker-200-empty-object");
    await replay.playWith(worker("524"), "start-43-worker-cloudflare-524");
    await replay.playWith({ name: "slow", delayMs: 50 }, "start-44-worker-slow-3s");
    await replay.playWith(worker("lost-answer"), "start-45-answer-lost-after-start");
    await replay.play("start-46-after-lost-answer", "start-47-list-after-lost-answer");
    await replay.playWith(worker("down"), "start-48-worker-down");
    await this.#startRaces();
    await replay.play("start-52-prompt-with-NUL", "start-52b-list-after-NUL");
    await replay.play("start-53-prompt-lone-surrogate", "start-53b-list-after-lone-surrogate");
    await replay.playWith(worker("controller-timeout", 20), "start-54-controller-hangs-30s");
    await replay.play("start-54b-start-after-hang", "start-54c-list-after-hang");
    await replay.playWith(worker("down", 20), "start-55-worker-hangs-8s-then-resets");
    // A batch cannot be sent again when it came too early: what it has started is in its own way.
    const FLEET = ["f0000000-0000-4000-8000-000000000006", "f0000000-0000-4000-8000-000000000007"];
    for (const userId of FLEET) await replay.untilFree(userId);
    await replay.play("start-56-batch-post-3-starts");
  }

  async #startRaces(): Promise<void> {
    const { user_id: userId, prompt } = this.#run("556c3f16");
    const alike = Array.from({ length: 10 }, () => ({ procedure: START, input: { userId, prompt } }));
    await this.#replay.race("start-50-race-10-simultaneous", alike);
    const fleet = [...this.#runs.values()].filter((run) => run.prompt.startsWith("fleet ["));
    const requests = fleet.map((run) => ({ procedure: START, input: { userId: run.user_id, prompt: run.prompt } }));
    const answers = await this.#replay.race("start-51", requests);
    for (const [index, { id }] of fleet.entries()) this.#replay.bindRun(id, answers[index]);
  }

  async #statuses(): Promise<void> {
    const replay = this.#replay;
    await this.#start("a4bdb6f3");
    await replay.playAll(/^status-0[1-5]/);
    await this.#start("af0103a7");
    await replay.play("status-06-failed-exit-1");
    await this.#start("a2391c54");
    await replay.play("status-06b-failed-exit-137");
    await this.#start("a463baca");
    await this.#cancel("a463baca");
    await replay.playAll(/^status-(0[7-9]|1|20)/);
    await this.#start("61d24da0");
    await replay.playWith(
      { name: "controller-restart" },
      "status-21-controller-restarted-lost",
      "status-21b-second-poll",
    );
    await this.#start("2a39e124");
    await this.#start("d5772dbf");
    await replay.play("status-22-superseded", "status-22b-newer");
    await this.#start("ebdb611e");
    const stopped: FaultSpec = { name: "instance-status", value: "stopped" };
    await replay.playWith(stopped, "status-23-instance-stopped-during-run");
    await this.#start("6b845541");
    await replay.playWith(worker("down"), "status-24-worker-down");
    await replay.playWith(worker("500"), "status-25-worker-500");
    await replay.playWith(worker("404"), "status-26-worker-404");
    await replay.playWith(worker("429"), "status-27-worker-429");
    await replay.playWith(worker("down"), "status-28-worker-reset");
    await replay.playWith(worker("controller-down"), "status-30-controller-down");
    await replay.playWith({ name: "old-controller" }, "status-31-old-controller");
    await this.#outputs();
  }

  async #outputs(): Promise<void> {
    const replay = this.#replay;
    await this.#start("a757ff33");
    await replay.play("status-32-output-over-1MiB");
    await replay.playAll(/^status-33/);
    await this.#start("cecff45b");
    await replay.play("status-34-utf8-output");
    await this.#start("bfcfd0c9");
    await replay.play("status-35-ansi-output");
    await this.#start("712a9225");
    await replay.playAll(/^status-3[6-8]/);
    await this.#start("d2ea3e66");
    await replay.play("status-39-legacy-user");
    for (const run of ["564a6c73", "49d8a4d7"]) await this.#startAndSettle(run);
    await this.#start("36cde198");
    await this.#printed("36cde198");
    await this.#cancel("36cde198");
    await this.#start("39872345");
    await this.#start("1f56ddee");
    for (const run of ["9921844e", "000ba664", "387c15c0"]) await this.#startAndSettle(run);
  }

  async #cancels(): Promise<void> {
    const replay = this.#replay;
    await this.#start("d5bde4a9");
    await replay.play("cancel-01-ok", "cancel-02-twice");
    await this.#start("85e9dcf8");
    // Its end must go unnoticed: whoever asks for the status writes it down.
    await delay(1_500);
    await replay.playAll(/^cancel-0[3-7]/);
    await this.#start("32b39943");
    await this.#printed("32b39943");
    await replay.playWith(worker("409"), "cancel-08-conflict-at-controller");
    await replay.playWith(worker("500"), "cancel-09-worker-500");
    await replay.playWith(worker("status-500"), "cancel-10-worker-status-500");
    await replay.playWith(worker("lost-answer"), "cancel-11-answer-lost");
    await replay.playAll(/^cancel-12/);
    await this.#start("8cccf546");
    await replay.playWith({ name: "controller-restart" }, "cancel-13-lost-run");
    await replay.play("cancel-13b-status-after");
    await this.#start("baa61883");
    const { user_id: userId, id: runId } = this.#run("baa61883");
    const twice = Array.from({ length: 2 }, () => ({ procedure: CANCEL, input: { userId, runId } }));
    await replay.race("cancel-14-concurrent", twice);
    await this.#start("83327c5c");
    await replay.playWith({ name: "instance-status", value: "stopped" }, "cancel-15-instance-stopped");
    await replay.playAll(/^cancel-1[5-7]/);
    await this.#start("5f52f1a0");
    await replay.play("cancel-18-legacy-user");
    // The stopped machine's process lives on; the recorder restarted it.
    await this.#replay.stage.fault({ name: "controller-restart", count: 1 });
    await this.#start("7f4625ef");
    await replay.play("cancel-19-by-other-admin");
  }

  async #instances(): Promise<void> {
    await this.#replay.playWith(worker("500"), "inst-27-get-worker-500");
    await this.#replay.playWith(worker("down"), "inst-28-get-worker-down");
    await this.#replay.playAll(/^inst-/);
  }

  async #audit(): Promise<void> {
    const [first, second] = ["ac27a76d-7cd4-4d99-b5d7-674048323ce7", "c9a6d7be-6fae-4f4c-9e51-6ad693be27a3"];
    const { user_id: userId, instance_id: instanceId, prompt } = this.#run(second?.slice(0, 8) ?? "");
    await this.#replay.start(first ?? "", { userId, prompt: `${prompt} `, instanceId: instanceId ?? "" });
    await this.#replay.cancel({ userId, runId: first ?? "", instanceId: instanceId ?? "" });
    await this.#replay.start(second ?? "", { userId, prompt });
    await this.#replay.cancel({ userId, runId: second ?? "" });
    await this.#replay.playAll(/^audit-/);
  }

  async #device(): Promise<void> {
    const replay = this.#replay;
    await replay.playAll(/^device-0[1-5]/);
    await replay.play("device-06-poll-approved");
    replay.keepToken("token from device auth");
    replay.compareClaims("device-06b-token-claims");
    await replay.play("device-07-poll-after-approved", "device-08-use-device-token");
    await replay.deviceCode("2K77-ZHNF", "10.1.0.2");
    await replay.playAll(/^device-(09|1[0-2])/);
    await replay.deviceCode("6K5A-6AWK", "10.1.0.3");
    // Eleven minutes later for the sandbox, which runs in this process.
    vi.useFakeTimers({ now: Date.now() + 660_000, toFake: ["Date"] });
    await replay.play("device-13-poll-expired", "device-14-approve-expired");
    vi.useRealTimers();
    await replay.playAll(/^device-1[56]/);
    for (const pending of ["AYR2-WKRF", "PNWH-BJP9", "ESDG-KRC6", "48J7-D25A", "9T4Q-VT65"]) {
      await replay.deviceCode(pending, "10.9.9.9");
    }
    await replay.playAll(/^device-1[7-9]/);
    await replay.deviceCode("3HT7-VTHD", "10.1.0.8");
    await replay.play("device-20-lowercase-code-poll");
    await replay.deviceCode("YCQ9-KKBN", "10.1.0.9");
    await replay.approve("YCQ9-KKBN", "plain");
    await replay.play("device-21-poll-approved-nonadmin");
    replay.keepToken("device token of a non-admin");
    await replay.play("device-22-nonadmin-device-token-on-admin-api");
  }

  #run(prefix: string): RunRow {
    const run = this.#runs.get(prefix);
    if (!run) throw new Error(`no recording lists a run ${prefix}`);
    return run;
  }

  /** Starts what the recording lists under this id, for the same user and by the same admin. */
  async #start(prefix: string): Promise<void> {
    const { id, user_id: userId, prompt, instance_id, initiated_by_admin_id } = this.#run(prefix);
    const named = instance_id !== null && ORGANIZATION_INSTANCES.includes(instance_id);
    const admin = initiated_by_admin_id?.endsWith("02") ? "admin2" : "admin";
    await this.#replay.start(id, { userId, prompt, ...(named && { instanceId: instance_id }) }, admin);
  }

  async #cancel(prefix: string): Promise<void> {
    const { id: runId, user_id: userId } = this.#run(prefix);
    await this.#replay.cancel({ userId, runId });
  }

  async #startAndSettle(prefix: string): Promise<void> {
    await this.#start(prefix);
    await this.#replay.poll(this.#run(prefix), ({ status }) => status !== "running");
  }

  /** Waits for a run's first step. */
  async #printed(prefix: string): Promise<void> {
    await this.#replay.poll(this.#run(prefix), ({ output }) => String(output).includes("step 1/"));
  }
}
