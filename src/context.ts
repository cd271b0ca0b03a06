import type { Api, ApiOptions } from "./api/api.ts";
import type { DeviceLogin } from "./api/device-login.ts";
import { isLoopback, type Origin } from "./api/origin.ts";
import type { Transport, TransportOptions } from "./api/transport.ts";
import { chooser } from "./chooser.ts";
import type { CommandLine } from "./command-line.ts";
import type { CommonOptions } from "./common-options.ts";
import type { Keyring } from "./config/keyring.ts";
import type { ConfigFolder } from "./config/lock.ts";
import { resolvePaths, type Paths } from "./config/paths.ts";
import type { SandboxPlace } from "./config/sandbox-place.ts";
import { unknownWords, type Config } from "./config/settings-table.ts";
import type { Platform, Settings } from "./config/settings.ts";
import type { Choose } from "./customers/choice.ts";
import { CliError, messageOf } from "./errors.ts";
import type { Flaw } from "./files/trust.ts";
import type { Ledger, ResumedJournal } from "./journal/ledger.ts";
import { LoginOffer, type Connection } from "./login-offer.ts";
import { meantPlatform, settingsInForce, type MeantPlatform } from "./meant-platform.ts";
import type { Host, StopReason } from "./terminal/host.ts";
import { hostOf, Output } from "./terminal/output.ts";
import { Prompter } from "./terminal/prompter.ts";
import { formatDuration } from "./terminal/time.ts";
import { Waiting } from "./terminal/waiting.ts";
import { hint, type Said } from "./typed-command.ts";

/** Why something is changed, for the record. */
export interface Why {
  readonly ticket: string | null;
  readonly reason: string | null;
}

/** What commands do for the context, which knows no command. */
export interface ContextServices {
  /** Has the user log in to the platform that is meant, with nothing on standard output. */
  readonly logIn: (context: Context) => Promise<void>;
  /** A file that opens an address signed in; `undefined` where it is of no running sandbox of this user. */
  readonly signedInPage: (context: Context, address: string) => Promise<string | undefined>;
  /** Runs a command, given by its words, in this context. */
  readonly runCommand: (context: Context, words: readonly string[]) => Promise<void>;
}

/** Makes the context that a command runs in, from the options it was called with. */
export type OpenContext = () => Promise<Context>;

/** What a context is made of, as soon as the settings are read. */
interface Parts {
  readonly output: Output;
  readonly line: CommandLine;
  readonly read: () => Promise<Settings>;
  readonly now: Promise<Settings>;
}

interface Closable {
  close(): Promise<void>;
}

/**
 * Everything a command may need, each made when it is first asked for. The composition root: the only module that knows how
 * the parts fit together. What commands call is bound to it, so that they can take the parts they need out of it.
 */
export class Context {
  readonly host: Host;
  readonly paths: Paths;
  readonly configFolder: ConfigFolder;
  readonly output: Output;
  readonly prompter: Prompter;
  /** Finds out what an ambiguous word of the command line means. */
  readonly choose: Choose;
  /** Aborted when the user or the system wants the tool to end. */
  readonly stop: AbortSignal;
  /** Aborted when nobody reads standard output any more. */
  readonly closed: AbortSignal;
  readonly #options: CommonOptions;
  readonly #readSettings: () => Promise<Settings>;
  #settings: Promise<Settings>;
  readonly #services: ContextServices;
  readonly #login: LoginOffer;
  #connection: Promise<Connection> | undefined;
  #api: Promise<Api> | undefined;
  #keyring: Promise<Keyring> | undefined;
  #me: ReturnType<Context["me"]> | undefined;
  readonly #opened: Closable[] = [];
  #goodEnds: readonly StopReason[] = [];
  #clockSaid = false;

  private constructor(
    host: Host,
    options: CommonOptions,
    services: ContextServices,
    { output, line, ...settings }: Parts,
  ) {
    this.host = host;
    this.#readSettings = settings.read;
    this.#settings = settings.now;
    this.stop = host.stop;
    this.closed = host.closed;
    this.paths = resolvePaths(host.env);
    this.configFolder = { directory: this.paths.config, lock: host.timing.lock };
    this.output = output;
    this.prompter = new Prompter(host, output, options);
    this.choose = chooser({ prompter: this.prompter, platform: this.platform, line });
    this.#options = options;
    this.#services = services;
    this.#login = new LoginOffer({
      connection: this.connection,
      logIn: async () => {
        await services.logIn(this);
        this.#connection = undefined;
      },
      prompter: this.prompter,
      output,
      env: host.env,
    });
  }

  /**
   * @throws CliError `usage` when an option or environment variable has a value it cannot have.
   */
  static async create(
    host: Host,
    options: CommonOptions,
    services: ContextServices,
    line: CommandLine,
  ): Promise<Context> {
    const { config } = resolvePaths(host.env);
    const [{ configPath, NO_CONFIG, readConfig }] = await Promise.all([
      import("./config/config-file.ts"),
      // Of use only at the end, when an upgrade may have replaced the files.
      import("./terminal/error-report.ts"),
    ]);
    const sources = { flags: options.flags, env: host.env, path: configPath(config) };
    const flaws: Flaw[] = [];
    const read = async () =>
      settingsInForce({ ...sources, config: await readConfig(config, (flaw) => flaws.push(flaw)) });
    const now = read();
    // A file that cannot be used ends the commands that need it, when they do; the others go on with the defaults.
    const usable = await now.catch(() => settingsInForce({ ...sources, config: NO_CONFIG }));
    const output = await Output.create(host, {
      format: usable.get("output").value,
      quiet: options.quiet,
      fields: options.fields,
      jq: options.jq,
      color: usable.get("color").value,
      utc: usable.get("utc").value,
      bom: usable.get("csvBom").value,
      platformFlags: options.platformFlags,
    });
    for (const { path, what, remedy } of flaws.splice(0)) output.warn(`${path}: ${what}; run: ${remedy}`);
    for (const key of usable.unknownKeys) output.warn(`${unknownWords(key)} of ${sources.path} has no effect`);
    return new Context(host, options, services, { output, line, read, now });
  }

  /**
   * The settings in force, each with its source.
   *
   * @throws CliError `local-state` when the file cannot be used.
   */
  readonly settings = (): Promise<Settings> => this.#settings;

  /** Reads the settings anew, after their file was mended. */
  readonly rereadSettings = (): void => {
    this.#settings = this.#readSettings();
  };

  /**
   * What the settings file says.
   *
   * @throws CliError `local-state` when the file cannot be used.
   */
  readonly config = async (): Promise<Config> => (await this.#settings).config;

  /** Which platform is meant. Looks at no token. */
  readonly platform = async (): Promise<MeantPlatform> => {
    const meant = meantPlatform(await this.#settings);
    const sandbox = await this.sandboxAt(meant.origin);
    return { ...meant, sandbox: sandbox?.id };
  };

  /** The sandbox of this user that an origin leads to, by our own files; `undefined` where it leads to none. */
  readonly sandboxAt = async (origin: string): Promise<SandboxPlace | undefined> => {
    const { protocol, hostname, port } = new URL(origin);
    if (protocol !== "http:" || !isLoopback(hostname)) return undefined;
    const { sandboxOnPort } = await import("./config/sandbox-place.ts");
    return sandboxOnPort(this.paths.sandbox, Number(port || 80));
  };

  /**
   * The platforms of all profiles, the one that is meant as {@link platform} has it. Where that was named on the command line,
   * it is the only one.
   */
  readonly platforms = async (): Promise<readonly Platform[]> => {
    const [meant, settings] = await Promise.all([this.platform(), this.settings()]);
    if (this.#options.flags.profile || this.#options.flags.host) return [meant];
    return settings.profiles.map((profile) => (profile === meant.profile ? meant : settings.of(profile).platform()));
  };

  /** Which platform is meant, and with which token. Works without a token, and without asking anybody. */
  readonly connection = (): Promise<Connection> => {
    this.#connection ??= this.#connect();
    return this.#connection;
  };

  /**
   * The platform, logged in. Without a token, whoever sits at a terminal is offered to log in first.
   *
   * @throws CliError `auth` when there is no token for it.
   */
  readonly api = (): Promise<Api> => {
    this.#api ??= this.#openApi();
    return this.#api;
  };

  /** A platform as a token that is being tried out sees it; reads end when `signal` is aborted. */
  readonly apiAs = async (token: string, origin: Origin, signal: AbortSignal = this.stop): Promise<Api> => {
    const { Api } = await import("./api/api.ts");
    return this.#closing(new Api({ ...this.#transportTo(origin, token), signal }));
  };

  /** The platform's device login, which needs no token. */
  readonly deviceLogin = async (): Promise<DeviceLogin> => {
    const [{ DeviceLogin }, { origin }] = await Promise.all([import("./api/device-login.ts"), this.platform()]);
    return this.#closing(new DeviceLogin(this.#transportTo(origin, undefined)));
  };

  /** The way to the platform, without a token. */
  readonly transport = async (): Promise<Transport> => {
    const [{ Transport }, { origin }] = await Promise.all([import("./api/transport.ts"), this.platform()]);
    return this.#closing(new Transport(this.#transportTo(origin, undefined)));
  };

  /** The system's keyring. Slow; nothing is asked of it here. */
  readonly keyring = (): Promise<Keyring> => {
    const { root, nodePath, env, timing } = this.host;
    this.#keyring ??= import("./config/keyring.ts").then(({ Keyring }) => new Keyring({ root, nodePath, env, timing }));
    return this.#keyring;
  };

  /** What to do when the platform that is meant refuses the token. */
  readonly advice = (): Promise<readonly Said[]> => this.#login.advice();

  /** What went wrong, with what to do about it here. */
  readonly explained = async (failure: unknown): Promise<unknown> => {
    const explained = await this.#login.explained(failure);
    const { platformFails } = await import("./api/api-error.ts");
    if (!(explained instanceof CliError) || !platformFails(explained)) return explained;
    const statusPage = (await this.#settings).get("statusPage").value;
    if (statusPage === undefined) return explained;
    const { kind, message, hints, retryable, silent, sent } = explained;
    return new CliError(kind, message, {
      hint: [...hints, hint`see what its operators say: ${statusPage}`],
      retryable,
      silent,
      ...(sent === undefined ? {} : { sent }),
      cause: explained,
    });
  };

  /** A file that opens an address in a browser signed in; `undefined` where it is of no running sandbox of this user. */
  readonly signedInPage = (address: string): Promise<string | undefined> => this.#services.signedInPage(this, address);

  /**
   * Runs another command inside this one, as if its words had been typed, until `stop`. What it opens is closed with it.
   *
   * @throws what the command throws.
   */
  readonly runInside = async (words: readonly string[], stop: AbortSignal): Promise<void> => {
    const before = this.#opened.length;
    // What commands call is bound to this context; how it ends is not for a command inside it to say.
    const inside: unknown = Object.create(this, { stop: { value: stop }, handleStop: { value: () => undefined } });
    try {
      await this.#services.runCommand(inside as Context, words);
    } finally {
      await this.#closeAll(this.#opened.splice(before));
    }
  };

  /** Who we are to the platform, to recognise our own rows. The e-mail address is `null` when it cannot be asked. */
  readonly me = (): Promise<{ userId: string | undefined; email: string | null }> => {
    this.#me ??= this.#askWhoIAm();
    return this.#me;
  };

  /** Who we are by the token alone, where there is one: for what needs neither login nor network. */
  readonly meByToken = async (): Promise<{ userId: string | undefined }> => {
    const [{ credential }, { readClaims }] = await Promise.all([this.connection(), import("./api/token.ts")]);
    return { userId: credential && readClaims(credential.token)?.userId };
  };

  async #askWhoIAm(): Promise<{ userId: string | undefined; email: string | null }> {
    const [api, { readClaims }, { profile }] = await Promise.all([
      this.api(),
      import("./api/token.ts"),
      import("./contract/rest.ts"),
    ]);
    // Not before: it may be a login that makes the connection.
    const { credential } = await this.connection();
    try {
      const { user } = await api.get(profile);
      return { userId: user.id, email: user.email };
    } catch {
      return { userId: credential && readClaims(credential.token)?.userId, email: null };
    }
  }

  /**
   * Where what this command changes is written down: a journal of its own, or the one that it goes on with.
   *
   * @param who asks, if it is known without a login.
   */
  readonly ledger = async (
    action: string,
    why: Why,
    resumed?: ResumedJournal,
    who?: { readonly userId: string | undefined },
  ): Promise<Ledger> => {
    const [{ Ledger }, { origin, profile, sandbox }, me] = await Promise.all([
      import("./journal/ledger.ts"),
      this.platform(),
      who ?? this.me(),
    ]);
    const { version: tool, pid, timing } = this.host;
    const adminId = me.userId ?? null;
    const adminEmail = "email" in me ? me.email : null;
    return this.#closing(
      new Ledger(
        this.paths.state,
        { action, profile, origin, sandbox, adminId, adminEmail, ...why, tool, pid },
        { timing, resumed, onSlow: () => this.output.busy("reading this machine's journal") },
      ),
    );
  };

  /** Says that being stopped like this is how this command ends well: the exit code is then its own. */
  handleStop(...reasons: readonly StopReason[]): void {
    this.#goodEnds = reasons;
  }

  endsWellOn(reason: unknown): boolean {
    return this.#goodEnds.some((good) => good === reason);
  }

  async close(): Promise<void> {
    await this.#api?.catch(() => undefined);
    await this.#closeAll(this.#opened);
  }

  async #closeAll(opened: readonly Closable[]): Promise<void> {
    for (const one of opened) {
      // The command is over, and has said what it had to say.
      await one.close().catch((error: unknown) => this.output.warn(messageOf(error)));
    }
  }

  async #connect(): Promise<Connection> {
    const platform = await this.platform();
    const { findCredential } = await import("./config/credentials.ts");
    const { env } = this.host;
    const credential = await findCredential(this.paths.config, platform, env, this.keyring);
    if (env.KILOCLAW_ADMIN_TOKEN?.trim() && credential && !credential.fromEnvironment) {
      this.output.note(`KILOCLAW_ADMIN_TOKEN is not sent to ${platform.origin}, which has a token of its own`);
    }
    return { ...platform, credential };
  }

  async #openApi(): Promise<Api> {
    const connection = await this.#login.loggedIn();
    this.output.announce(connection);
    const { Api } = await import("./api/api.ts");
    const { origin, credential } = connection;
    const api = new Api({
      ...this.#transportTo(origin, credential.token),
      renewToken: () => this.#login.renewToken(),
      onAnswer: await this.#noting(origin),
    });
    this.output.countAgesBy(() => api.clock.now());
    return this.#closing(api);
  }

  /** Keeps what is on a person's screen, for the word that is typed next. */
  async #noting(origin: Origin): Promise<ApiOptions["onAnswer"]> {
    if (!this.host.stderr.isTTY) return undefined;
    const { SeenRows } = await import("./completion/seen.ts");
    return this.#closing(new SeenRows(this.paths.state, origin)).note;
  }

  /** Once: times are given and shown by the platform's clock, and whoever looks at this machine's would be misled. */
  #sayClockOff(aheadMs: number): void {
    if (this.#clockSaid) return;
    this.#clockSaid = true;
    const off = formatDuration(Math.round(Math.abs(aheadMs) / 60_000) * 60_000);
    this.output.note(
      `the platform's clock is ${off} ${aheadMs > 0 ? "ahead of" : "behind"} this machine's; ages and --since go by the platform's`,
    );
  }

  #closing<T extends Closable>(opened: T): T {
    this.#opened.push(opened);
    return opened;
  }

  #transportTo(origin: Origin, token: string | undefined): TransportOptions {
    const { env, stderr, version, timing } = this.host;
    const { debug } = this.#options;
    const show = (text: string | undefined) => this.output.wait(text);
    return {
      origin,
      token,
      userAgent: `kiloclaw-admin/${version}`,
      env,
      timing,
      signal: this.stop,
      waiting: stderr.isTTY ? new Waiting({ host: hostOf(origin), stepMs: timing.wordlessMs, show }) : undefined,
      onClockOff: (aheadMs) => this.#sayClockOff(aheadMs),
      onExchange: debug
        ? ({ method, path, outcome, ms, bytes }) =>
            stderr.write(`debug: ${method} ${path} -> ${outcome} (${ms.toFixed(0)} ms, ${bytes} characters)\n`)
        : undefined,
    };
  }
}
