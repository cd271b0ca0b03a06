/** Runs the command line in this process, as a user at a terminal or a script would run it as a process. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { clearLine, cursorTo, moveCursor } from "node:readline";
import { PassThrough, Writable } from "node:stream";
import { fileURLToPath } from "node:url";
import * as z from "zod";
import { admin } from "../src/contract/procedures.ts";
import { main } from "../src/main.ts";
import type { LoggedRequest } from "../src/sandbox/control-api.ts";
import type { Host, StopReason, TextSource } from "../src/terminal/host.ts";
import type { Timing } from "../src/timing.ts";
import type { TestSandbox } from "./support/sandbox.ts";
import { borrowSandbox } from "./support/shared-sandbox.ts";
import { checkShownCommands } from "./support/shown-commands.ts";
import { QUICK } from "./support/timing.ts";

/** The package's own folder. */
export const root = fileURLToPath(new URL("..", import.meta.url)).replace(/\/$/, "");

export interface RunOptions {
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Standard input; nothing unless told. Lone surrogates do not survive: it goes through UTF-8, as real input does. */
  readonly stdin?: string | Uint8Array;
  /** All three streams are a terminal. Typed keys come through {@link Running.type}. */
  readonly tty?: boolean;
  readonly columns?: number;
  readonly rows?: number;
  /** Settings and state; a directory of its own, deleted at the end, unless told. */
  readonly configDir?: string | undefined;
  /** The package's folder; this one unless told. */
  readonly root?: string;
  /** Times in place of those of {@link QUICK}. */
  readonly timing?: Partial<Timing>;
}

export interface Result {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** A command under way. */
interface Running {
  readonly done: Promise<Result>;
  /** Waits until standard output and standard error together show it; fails if the command ends without. */
  waitFor(pattern: RegExp): Promise<RegExpExecArray>;
  /** What a signal does. */
  stop(reason?: StopReason): void;
  /** What happens when nobody reads standard output any more. */
  closeOutput(): void;
  /** What happens when the user changes the terminal's size. */
  resize(columns: number, rows: number): void;
  type(keys: string): void;
}

/** A stream that keeps what is written, as a terminal or as a pipe. */
class Sink extends Writable {
  text = "";
  readonly isTTY: boolean | undefined;
  columns: number | undefined;
  rows: number | undefined;
  readonly #written: () => void;

  constructor(columns: number | undefined, rows: number, written: () => void) {
    super({ decodeStrings: false });
    this.isTTY = columns === undefined ? undefined : true;
    this.columns = columns;
    this.rows = columns === undefined ? undefined : rows;
    this.#written = written;
  }

  override _write(chunk: string | Uint8Array, _encoding: string, done: () => void): void {
    this.text += typeof chunk === "string" ? chunk : Buffer.from(chunk).toString();
    this.#written();
    done();
  }

  /** Standard streams stay open, whatever is piped to them. */
  override end(): this {
    return this;
  }

  // What programs that redraw call on a terminal's stream.
  readonly clearLine = (direction: -1 | 0 | 1) => clearLine(this, direction);
  readonly cursorTo = (x: number, y?: number) => cursorTo(this, x, y);
  readonly moveCursor = (dx: number, dy: number) => moveCursor(this, dx, dy);
}

/** What is typed, a byte at a time; what comes behind the key that ends it all stays in the stream. */
function takeKeys(stdin: PassThrough, typed: (byte: Uint8Array) => void, interrupt: () => void): () => void {
  const released = new AbortController();
  const read = () => {
    for (let byte: Buffer | null; !released.signal.aborted && (byte = stdin.read(1) as Buffer | null) !== null;) {
      if (byte[0] === 3) interrupt();
      else typed(byte);
    }
  };
  stdin.on("readable", read);
  return () => {
    released.abort();
    stdin.off("readable", read);
  };
}

/** Starts `kiloclaw-admin …argv` and hands it back while it runs. */
export function begin(argv: readonly string[], options: RunOptions = {}): Running {
  const waiting = new Set<() => void>();
  const written = () => {
    for (const look of waiting) look();
  };
  const columns = options.tty ? (options.columns ?? 120) : undefined;
  const stdout = new Sink(columns, options.rows ?? 40, written);
  const stderr = new Sink(columns, options.rows ?? 40, written);
  const resized = new Set<() => void>();
  const stdin = Object.assign(new PassThrough(), { isTTY: options.tty ?? false, setRawMode: () => undefined });
  if (options.stdin !== undefined) stdin.write(options.stdin);
  if (!options.tty) stdin.end();
  const stopping = new AbortController();
  const closing = new AbortController();

  let ended: Result | undefined;
  const work = async (): Promise<Result> => {
    const own = options.configDir === undefined ? await mkdtemp(join(tmpdir(), "kiloclaw-config-")) : undefined;
    const configDir = options.configDir ?? own;
    try {
      const code = await main(argv, {
        // A pager would have this process's own terminal: none unless told.
        env: { KILOCLAW_ADMIN_CONFIG_DIR: configDir, PAGER: "", ...options.env },
        stdin: stdin as TextSource,
        stdout,
        stderr,
        cwd: tmpdir(),
        pid: process.pid,
        platform: process.platform,
        nodePath: process.execPath,
        nodeVersion: process.version,
        root: options.root ?? root,
        version: "0.0.0-test",
        timing: { ...QUICK, ...options.timing },
        ranForMs: () => 0,
        stop: stopping.signal,
        closed: closing.signal,
        lendTerminal: (work) => work(),
        onResize: (listener) => void resized.add(listener),
        isPiped: false,
        onSuspend: () => undefined,
        takeKeys: (typed) => takeKeys(stdin, typed, () => stopping.abort("SIGINT")),
        onExit: () => undefined,
      } satisfies Host);
      ended = { code, stdout: stdout.text, stderr: stderr.text };
      await checkShownCommands(argv, ended);
      return ended;
    } finally {
      // Its process is gone, and with it whatever it had begun and left to itself.
      stopping.abort();
      closing.abort();
      written();
      if (own !== undefined) await rm(own, { recursive: true, force: true });
    }
  };
  const done = work();
  done.catch(() => undefined);

  return {
    done,
    waitFor: (pattern) =>
      new Promise((resolve, reject) => {
        const look = () => {
          const match = pattern.exec(stdout.text) ?? pattern.exec(stderr.text);
          if (!match && !ended) return;
          waiting.delete(look);
          if (match) resolve(match);
          else reject(new Error(`ended without ${pattern}: ${JSON.stringify(ended, null, 2)}`));
        };
        waiting.add(look);
        look();
      }),
    stop: (reason = "SIGINT") => stopping.abort(reason),
    closeOutput: () => closing.abort(),
    resize: (wide, high) => {
      for (const sink of [stdout, stderr]) Object.assign(sink, { columns: wide, rows: high });
      for (const listener of resized) listener();
    },
    type: (keys) => void stdin.write(keys),
  };
}

/** Runs `kiloclaw-admin …argv` to its end. */
export function run(argv: readonly string[], options: RunOptions = {}): Promise<Result> {
  return begin(argv, options).done;
}

/** A support person's desk: the command line, logged in to a sandbox. */
export interface Desk {
  readonly sandbox: TestSandbox;
  readonly configDir: string;
  readonly env: Readonly<Record<string, string>>;
  run(argv: readonly string[], options?: RunOptions): Promise<Result>;
  begin(argv: readonly string[], options?: RunOptions): Running;
  /** A customer whom nobody has had to do with yet, by e-mail. */
  customer(): string;
  /** Keeps the admin's token in the file, as a login does: for profiles, which never get that of the environment. */
  logIn(): Promise<void>;
  /** Starts a run as a colleague would: past the command line under test. `of`: an instance ID, or its owner's e-mail. */
  startRun(of: string, prompt: string, token?: string): Promise<string>;
  /** The platform's row of a run: what is recorded, without asking the machine. */
  row(runId: string): Promise<Row>;
  rows(search?: string): Promise<Row[]>;
  /** The platform's audit records about a user, newest first. */
  audit(userId: string): Promise<AuditRow[]>;
  /** The requests since the desk was opened; those for one procedure, by its last word. */
  requests(procedure?: string): Promise<LoggedRequest[]>;
  close(): Promise<void>;
}

export type Row = z.output<typeof admin.listAllCliRuns.output>["runs"][number];
type AuditRow = z.output<typeof admin.adminAuditLogs.output>[number];

/**
 * Opens a desk on the worker's sandbox, which is as new, with so many more customers than the seed has. Close it when the tests
 * of the file are over.
 */
export async function openDesk({ extraUsers = 0 }: { readonly extraUsers?: number } = {}): Promise<Desk> {
  const sandbox = await borrowSandbox(extraUsers);
  const mark = (await sandbox.remote.requests()).at(-1)?.number ?? 0;
  let customers = 0;
  const configDir = await mkdtemp(join(tmpdir(), "kiloclaw-desk-"));
  const env = { KILOCLAW_ADMIN_HOST: sandbox.url, KILOCLAW_ADMIN_TOKEN: sandbox.adminToken };
  const equip = (given: RunOptions = {}): RunOptions => ({ configDir, ...given, env: { ...env, ...given.env } });
  const call = async <T extends z.ZodType>(
    procedure: { path: string; kind: string; output: T },
    input: object,
    token = sandbox.adminToken,
  ): Promise<z.output<T>> => {
    const url = `${sandbox.url}/api/trpc/${procedure.path}`;
    const headers = { authorization: `Bearer ${token}`, "content-type": "application/json", connection: "close" };
    const response =
      procedure.kind === "query"
        ? await fetch(`${url}?input=${encodeURIComponent(JSON.stringify(input))}`, { headers })
        : await fetch(url, { method: "POST", headers, body: JSON.stringify(input) });
    const body: unknown = await response.json();
    const answer = z.object({ result: z.object({ data: z.unknown() }) }).safeParse(body);
    if (!answer.success) throw new Error(`${procedure.path}: ${JSON.stringify(body)}`);
    return procedure.output.parse(answer.data.result.data);
  };
  /** All rows, newest first, so many at a time. */
  async function* pages(limit: number, search?: string): AsyncGenerator<Row[]> {
    for (let offset = 0; ; offset += limit) {
      const page = { limit, offset, ...(search === undefined ? {} : { search }) };
      const { runs, pagination } = await call(admin.listAllCliRuns, page);
      yield runs;
      if (runs.length === 0 || offset + limit >= pagination.total) return;
    }
  }

  return {
    sandbox,
    configDir,
    env,
    run: (argv, given) => run(argv, equip(given)),
    begin: (argv, given) => begin(argv, equip(given)),
    logIn: () =>
      writeFile(
        join(configDir, "credentials.json"),
        JSON.stringify({ tokens: { [sandbox.url]: sandbox.adminToken } }),
        { mode: 0o600 },
      ),
    startRun: async (of, prompt, token) => {
      const { id: instanceId } = await sandbox.remote.instance(of);
      const { user_id: userId } = await call(admin.get, { id: instanceId });
      return (await call(admin.startKiloCliRun, { userId, instanceId, prompt }, token)).id;
    },
    rows: async (search) => {
      const found: Row[] = [];
      for await (const page of pages(100, search)) found.push(...page);
      return found;
    },
    row: async (runId) => {
      // A run that a test looks for is one of the newest.
      for await (const page of pages(10)) {
        const found = page.find(({ id }) => id === runId);
        if (found) return found;
      }
      throw new Error(`there is no row ${runId}`);
    },
    audit: (userId) => call(admin.adminAuditLogs, { userId, limit: 50 }),
    requests: async (procedure) => {
      const logged = await sandbox.remote.requests();
      // A log that has lost its beginning proves nothing about what was not sent.
      if ((logged[0]?.number ?? 0) > mark + 1)
        throw new Error("the log of requests does not reach back to the opening");
      return logged.filter(
        (request) =>
          request.number > mark && (procedure === undefined || request.procedure.split(".").at(-1) === procedure),
      );
    },
    customer: () => {
      customers += 1;
      if (customers > extraUsers) throw new Error("all customers of this desk are taken");
      return `user${String(customers).padStart(4, "0")}@load.example.com`;
    },
    close: async () => {
      await sandbox.stop();
      await rm(configDir, { recursive: true, force: true });
    },
  };
}
