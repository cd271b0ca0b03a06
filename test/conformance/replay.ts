/** Replays recordings one by one and keeps both answers, made comparable. */
import { setTimeout as delay } from "node:timers/promises";
import { Bindings, normalize } from "./normalize.ts";
import type { Exchange, Recordings } from "./recordings.ts";
import type { Stage } from "./stage.ts";
import { send, type Answer } from "./wire.ts";

/** The platform's answer and the sandbox's, normalized. Equal, or the sandbox differs. */
export interface Comparison {
  readonly recorded: unknown;
  readonly actual: unknown;
}

/** How long to wait for what the recorder waited for: a machine to become free, a run to end. */
const PATIENCE_MS = 15_000;
const RETRY_MS = 50;

export class Replay {
  readonly stage: Stage;
  readonly results = new Map<string, Comparison>();
  readonly bindings = new Bindings();
  readonly #recordings: Recordings;
  #lastToken = "";
  readonly #exchanges: ReadonlyMap<string, Exchange>;

  constructor(stage: Stage, recordings: Recordings) {
    this.stage = stage;
    this.#recordings = recordings;
    this.#exchanges = new Map(recordings.exchanges.map((exchange) => [exchange.scenario, exchange]));
  }

  /** Replays the named recordings in this order. */
  async play(...scenarios: readonly string[]): Promise<void> {
    for (const scenario of scenarios) await this.#replay(this.#exchange(scenario));
  }

  /** Replays all recordings whose names match and that have not been replayed, in the order of their names. */
  async playAll(pattern: RegExp): Promise<void> {
    const names = [...this.#exchanges.keys()].filter((name) => pattern.test(name) && !this.results.has(name));
    await this.play(...names);
  }

  /** Replays a recording while a fault is set. */
  async playWith(fault: Parameters<Stage["fault"]>[0], ...scenarios: readonly string[]): Promise<void> {
    await this.stage.fault(fault);
    await this.play(...scenarios);
    await this.stage.clearFaults();
  }

  /** Sends requests at once of which only the answers were recorded, and compares these without their order. */
  async race(scenario: string, requests: ReadonlyArray<{ procedure: string; input: object }>): Promise<Answer[]> {
    const race = this.#recordings.races.find((candidate) => candidate.scenario === scenario);
    if (!race) throw new Error(`no recording is called ${scenario}`);
    const answers = await Promise.all(requests.map(({ procedure, input }) => this.call(procedure, input)));
    this.results.set(scenario, { recorded: comparable(race.responses), actual: comparable(answers) });
    return answers;
  }

  /** A mutation of the admin's that is no recording itself but that one rests on. */
  async call(procedure: string, input: object, auth = "Bearer <token of admin>"): Promise<Answer> {
    return send(this.stage.origin, {
      method: "POST",
      url: `/api/trpc/${procedure}`,
      headers: {
        "content-type": "application/json",
        authorization: (await this.stage.authorization(auth, "")) ?? "",
      },
      body: this.bindings.translate(JSON.stringify(input)),
    });
  }

  /** Starts a run as the recorder did off the record, once the machine is free; it stands for the recorded run id. */
  async start(
    recordedId: string,
    input: { userId: string; prompt: string; instanceId?: string },
    admin = "admin",
  ): Promise<void> {
    const answer = await patiently(
      () => this.call("admin.kiloclawInstances.startKiloCliRun", input, `Bearer <token of ${admin}>`),
      ({ status }) => status !== 409,
    );
    this.bindRun(recordedId, answer);
  }

  /** Waits until this user's machine has no run in progress, and changes nothing: its controller refuses a NUL when it is free. */
  async untilFree(userId: string): Promise<void> {
    const probe = { userId, prompt: "\0" };
    await patiently(
      () => this.call("admin.kiloclawInstances.startKiloCliRun", probe),
      ({ status }) => status !== 409,
    );
  }

  /** The run that this answer started stands for the recorded one. */
  bindRun(recordedId: string, answer: Answer | undefined): void {
    const id = findId(answer?.body);
    if (id === undefined) throw new Error(`no run was started for ${recordedId}: ${JSON.stringify(answer?.body)}`);
    this.bindings.bind(recordedId, id);
  }

  /** Asks for a run's status until it is as expected; as on the platform, asking writes the end down. */
  async poll(
    run: { id: string; user_id: string; instance_id: string | null },
    isGood: (status: Record<string, unknown>) => boolean,
  ): Promise<void> {
    const input = this.bindings.translate(
      JSON.stringify({ userId: run.user_id, runId: run.id, instanceId: run.instance_id ?? undefined }),
    );
    const url = `/api/trpc/admin.kiloclawInstances.getKiloCliRunStatus?input=${encodeURIComponent(input)}`;
    const authorization = (await this.stage.authorization("Bearer <token of admin>", "")) ?? "";
    const ask = (): Promise<Answer> =>
      send(this.stage.origin, { method: "GET", url, headers: { authorization }, body: undefined });
    await patiently(ask, ({ body }) => isGood(resultOf(body) ?? {}));
  }

  /** Asks for a device code off the record; it stands for the recorded one. */
  async deviceCode(recordedCode: string, address: string): Promise<void> {
    const { body } = await send(this.stage.origin, {
      method: "POST",
      url: "/api/device-auth/codes",
      headers: { "x-forwarded-for": address, "user-agent": "kiloclaw-admin/0.0" },
      body: undefined,
    });
    const code = String(asObject(body)["code"]);
    this.bindings.bind(recordedCode, code);
    this.bindings.bind(recordedCode.toLowerCase(), code.toLowerCase());
  }

  async approve(recordedCode: string, person: string): Promise<void> {
    const authorization = (await this.stage.authorization(`Bearer <token of ${person}>`, "")) ?? "";
    await send(this.stage.origin, {
      method: "POST",
      url: "/api/device-auth/tokens",
      headers: { authorization, "content-type": "application/json" },
      body: this.bindings.translate(JSON.stringify({ code: recordedCode })),
    });
  }

  /** Keeps the token that the last answer handed out, under the words by which recordings call it. */
  keepToken(words: string): void {
    this.stage.tokens.set(words, this.#lastToken);
  }

  /** Compares the claims of that token with the recorded ones. */
  compareClaims(note: string): void {
    const [header, payload] = this.#lastToken
      .split(".")
      .slice(0, 2)
      .map((part): unknown => JSON.parse(Buffer.from(part, "base64url").toString()));
    const { iat, exp, ...claims } = asObject(payload);
    const then = asObject(this.#recordings.notes.get(note));
    const {
      iat: _,
      exp: __,
      ...recordedClaims
    } = asObject(JSON.parse(this.bindings.translate(JSON.stringify(then["payload"]))));
    this.results.set(note, {
      recorded: {
        header: then["header"],
        claims: { ...recordedClaims, env: "<any>" },
        lifetimeDays: then["lifetimeDays"],
      },
      actual: { header, claims: { ...claims, env: "<any>" }, lifetimeDays: (Number(exp) - Number(iat)) / 86_400 },
    });
  }

  async cancel(input: { userId: string; runId: string; instanceId?: string }): Promise<void> {
    await this.call("admin.kiloclawInstances.cancelKiloCliRun", input);
  }

  #exchange(scenario: string): Exchange {
    const exchange = this.#exchanges.get(scenario);
    if (!exchange) throw new Error(`no recording is called ${scenario}`);
    return exchange;
  }

  async #replay(exchange: Exchange): Promise<void> {
    const { scenario, response } = exchange;
    const answer = await patiently(
      () => this.#send(exchange),
      (candidate) => !isTooEarly(response.body, candidate.body),
    );
    this.bindings.bindAll(response.body, answer.body);
    const { token } = asObject(answer.body);
    if (typeof token === "string") this.#lastToken = token;
    const recorded: unknown = JSON.parse(this.bindings.translate(JSON.stringify(response.body ?? "")));
    this.results.set(scenario, {
      recorded: {
        status: response.status,
        contentType: response.headers["content-type"],
        contentEncoding: response.headers["content-encoding"],
        body: normalize(recorded),
      },
      actual: {
        status: answer.status,
        contentType: answer.contentType,
        contentEncoding: answer.contentEncoding,
        body: normalize(answer.body),
      },
    });
  }

  async #send({ scenario, request }: Exchange): Promise<Answer> {
    const authorization = await this.stage.authorization(request.auth, scenario);
    const { body } = request;
    const text =
      body === null || body === undefined ? undefined : typeof body === "string" ? body : JSON.stringify(body);
    return send(this.stage.origin, {
      method: request.method,
      url: this.bindings.translate(request.url),
      headers: { ...request.headers, ...(authorization !== undefined && { authorization }) },
      body: text === undefined ? undefined : this.bindings.translate(text),
    });
  }
}

/** The recorder waited before asking: for the machine to be free, for a run to end or to print its first lines. */
function isTooEarly(recorded: unknown, actual: unknown): boolean {
  const [then, now] = [resultOf(recorded), resultOf(actual)];
  if (isBusy(actual) && !isBusy(recorded)) return true;
  if (!now || !("status" in now) || now.status !== "running") return false;
  // Ended, or failing since it has ended.
  if (then?.status !== "running") return true;
  return typeof then.output === "string" && lines(now.output) < lines(then.output);
}

function isBusy(body: unknown): boolean {
  return JSON.stringify(body).includes('"kilo_cli_run_already_active"');
}

function lines(output: unknown): number {
  return typeof output === "string" ? output.split("\n").length : 0;
}

function resultOf(body: unknown): Record<string, unknown> | undefined {
  const { result } = asObject(body);
  const { data } = asObject(result);
  return result === undefined ? undefined : asObject(data);
}

function findId(body: unknown): string | undefined {
  const id = resultOf(body)?.["id"];
  return typeof id === "string" ? id : undefined;
}

function asObject(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null ? { ...value } : {};
}

async function patiently(ask: () => Promise<Answer>, isGood: (answer: Answer) => boolean): Promise<Answer> {
  const deadline = Date.now() + PATIENCE_MS;
  for (;;) {
    const answer = await ask();
    if (isGood(answer) || Date.now() > deadline) return answer;
    await delay(RETRY_MS);
  }
}

/** The answers as texts without their ids, in an order of their own. */
function comparable(found: ReadonlyArray<{ status: number; body: unknown }>): string[] {
  return found
    .map(({ status, body }) => JSON.stringify(normalize({ status, body })).replace(/[\da-f]{8}-[\da-f-]{27}/, "<id>"))
    .toSorted();
}
