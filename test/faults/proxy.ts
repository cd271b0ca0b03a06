/**
 * What stands between the command line and the platform: it counts what the client sends, and deals with an exchange as it is
 * told. What it lets through reaches the real sandbox.
 */
import { once } from "node:events";
import http, { type IncomingHttpHeaders, type IncomingMessage, type OutgoingHttpHeaders } from "node:http";
import { connect, type Socket } from "node:net";
import { buffer } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import * as z from "zod";

export interface Answer {
  readonly status: number;
  readonly headers: OutgoingHttpHeaders;
  readonly body: Buffer;
}

/** One request of the client's, and what can be done about it. */
export class Exchange {
  /** Counts the client's requests from 1. */
  readonly number: number;
  readonly method: string;
  /** The procedures of a batch, separated by commas, or a REST route. */
  readonly procedure: string;
  /** How often it was handed on to the sandbox. */
  deliveries = 0;
  /** A fault dealt with it. */
  hit = false;
  /** The client was given a whole answer that says that nothing was done. */
  refused = false;
  readonly socket: Socket;
  readonly #incoming: IncomingMessage;
  readonly #body: Buffer;
  readonly #target: URL;

  constructor(number: number, incoming: IncomingMessage, body: Buffer, target: string) {
    this.number = number;
    this.method = incoming.method ?? "";
    this.#incoming = incoming;
    this.#body = body;
    this.#target = new URL(incoming.url ?? "/", target);
    this.procedure = this.#target.pathname
      .replace(/^\/api\/trpc\//, "")
      .replaceAll("admin.kiloclawInstances.", "")
      .replaceAll("admin.kiloclawCliRuns.", "");
    this.socket = incoming.socket;
  }

  /** tRPC's queries come in batches of their own form, its mutations do not; all else is REST. */
  get form(): "batch" | "single" | "rest" {
    if (!this.#target.pathname.startsWith("/api/trpc/")) return "rest";
    return this.method === "GET" ? "batch" : "single";
  }

  /** What a mutation is asked to do. */
  get input(): unknown {
    return JSON.parse(this.#body.toString());
  }

  get batchSize(): number {
    return this.procedure.split(",").length;
  }

  /** The procedures of a batch, as the platform names them in its errors. */
  get paths(): readonly string[] {
    return this.#target.pathname.replace("/api/trpc/", "").split(",");
  }

  get isStart(): boolean {
    return this.method === "POST" && this.procedure === "startKiloCliRun";
  }

  get isCancel(): boolean {
    return this.method === "POST" && this.procedure === "cancelKiloCliRun";
  }

  /** Hands the request on to the sandbox, whatever becomes of the client. */
  async deliver(): Promise<Answer> {
    this.deliveries += 1;
    const { host: _, connection: __, ...headers } = this.#incoming.headers satisfies IncomingHttpHeaders;
    const outgoing = http.request(this.#target, { method: this.method, headers, agent: false });
    outgoing.end(this.#body);
    const [response] = z.tuple([z.instanceof(http.IncomingMessage)]).parse(await once(outgoing, "response"));
    const { connection: ___, "transfer-encoding": ____, ...kept } = response.headers;
    return { status: response.statusCode ?? 0, headers: kept, body: await buffer(response) };
  }

  /** Sends these very bytes. */
  write(bytes: Buffer | string): void {
    if (!this.socket.destroyed) this.socket.write(bytes);
  }

  /** Gives an answer as it should be, and closes the connection after it. */
  answer(answer: Answer): void {
    if (this.socket.destroyed) return;
    this.socket.write(head(answer));
    this.socket.end(answer.body);
  }
}

/** An answer as bytes. */
export function onTheWire(answer: Answer): Buffer {
  return Buffer.concat([head(answer), answer.body]);
}

function head({ status, headers, body }: Answer): Buffer {
  const lines = Object.entries({ ...headers, "content-length": body.length, connection: "close" }).map(
    ([name, value]) => `${name}: ${String(value)}`,
  );
  return Buffer.from(`HTTP/1.1 ${status} -\r\n${lines.join("\r\n")}\r\n\r\n`);
}

/** What is done about an exchange, in place of handing it on and answering. */
export type Deal = (exchange: Exchange) => Promise<void> | void;

/** A worker's whole work: it listens, and never takes a connection. */
const DEAF = `
  const { workerData: { port, gate }, parentPort } = require("node:worker_threads");
  require("node:net").createServer().listen({ port, host: "127.0.0.1", backlog: 1 }, () => {
    parentPort.postMessage("deaf");
    setImmediate(() => Atomics.wait(new Int32Array(gate), 0, 0));
  });
`;

export class FaultProxy {
  /** What the client has sent, oldest first. */
  readonly exchanges: Exchange[] = [];
  /** What went wrong in the proxy itself. */
  readonly troubles: unknown[] = [];
  /** Decides what is done about an exchange: `undefined` lets it pass. */
  decide: (exchange: Exchange) => Deal | undefined = () => undefined;
  readonly #sandbox: string;
  readonly #server: http.Server;
  readonly #work = new Set<Promise<void>>();
  readonly #sockets = new Set<Socket>();
  #port = 0;
  #deaf: { worker: Worker; gate: SharedArrayBuffer; fillers: Socket[] } | undefined;

  private constructor(sandbox: string) {
    this.#sandbox = sandbox;
    this.#server = http.createServer((incoming) => this.#track(this.#take(incoming)));
    this.#server.on("connection", (socket: Socket) => {
      this.#sockets.add(socket);
      // The client may be gone at any time: that is what this is about.
      socket.on("error", () => undefined);
      socket.once("close", () => this.#sockets.delete(socket));
    });
  }

  static async open(sandbox: string): Promise<FaultProxy> {
    const proxy = new FaultProxy(sandbox);
    await proxy.#listen();
    return proxy;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** Refuses connections, for so long or until {@link heal}. */
  refuse(ms?: number): void {
    this.#leave();
    if (ms !== undefined) this.#track(sleep(ms).then(() => this.#return()));
  }

  /** Lets connections hang without taking them, for so long or until {@link heal}: the kernel's queue is full. */
  async deafen(ms?: number): Promise<void> {
    this.#leave();
    const gate = new SharedArrayBuffer(4);
    const worker = new Worker(DEAF, { eval: true, workerData: { port: this.#port, gate } });
    await once(worker, "message");
    const fillers = Array.from({ length: 4 }, () => connect({ port: this.#port, host: "127.0.0.1" }));
    for (const filler of fillers) filler.on("error", () => undefined);
    this.#deaf = { worker, gate, fillers };
    await sleep(50);
    if (ms !== undefined) this.#track(sleep(ms).then(() => this.#return()));
  }

  /** From here on everything is let through; what is still on its way to the sandbox has arrived. */
  async heal(): Promise<void> {
    this.decide = () => undefined;
    while (this.#work.size > 0) await Promise.all(this.#work);
    await this.#return();
  }

  async close(): Promise<void> {
    await this.#hear();
    this.#leave();
    for (const socket of this.#sockets) socket.destroy();
  }

  async #listen(): Promise<void> {
    this.#server.listen(this.#port, "127.0.0.1");
    await once(this.#server, "listening");
    ({ port: this.#port } = z.object({ port: z.number() }).parse(this.#server.address()));
  }

  /** Takes no new connections; those that stand go on. */
  #leave(): void {
    if (this.#server.listening) this.#server.close();
  }

  async #return(): Promise<void> {
    await this.#hear();
    if (!this.#server.listening) await this.#listen();
  }

  async #hear(): Promise<void> {
    if (!this.#deaf) return;
    const { worker, gate, fillers } = this.#deaf;
    this.#deaf = undefined;
    for (const filler of fillers) filler.destroy();
    Atomics.store(new Int32Array(gate), 0, 1);
    Atomics.notify(new Int32Array(gate), 0);
    await worker.terminate();
  }

  async #take(incoming: IncomingMessage): Promise<void> {
    const body = await buffer(incoming).catch(() => undefined);
    if (!body) return;
    const exchange = new Exchange(this.exchanges.length + 1, incoming, body, this.#sandbox);
    this.exchanges.push(exchange);
    const deal = this.decide(exchange);
    if (!deal) return exchange.answer(await exchange.deliver());
    exchange.hit = true;
    await deal(exchange);
  }

  #track(work: Promise<void>): void {
    const tracked = work
      .catch((error: unknown) => void this.troubles.push(error))
      .finally(() => this.#work.delete(tracked));
    this.#work.add(tracked);
  }
}
