import { DEFAULT_HOST, parseOrigin, type Origin } from "./api/origin.ts";
import type { Api } from "./api/api.ts";
import type { DeviceLogin } from "./api/device-login.ts";
import type { TransportOptions } from "./api/transport.ts";
import type { Config } from "./config/config-file.ts";
import type { Credential } from "./config/credentials.ts";
import type { Keyring } from "./config/keyring.ts";
import { resolvePaths, type Paths } from "./config/paths.ts";
import { resolveTarget, type Target } from "./config/settings.ts";
import { CliError, messageOf } from "./errors.ts";
import type { Ledger } from "./journal/ledger.ts";
import type { Host } from "./terminal/host.ts";
import { FORMATS, Output, type Format } from "./terminal/output.ts";
import { type ColorChoice } from "./terminal/paint.ts";
import { Prompter } from "./terminal/prompter.ts";

/** The options that every command takes, as commander hands them over. */
export interface CommonOptions {
  readonly profile?: string;
  readonly host?: string;
  readonly output?: Format;
  readonly json?: boolean;
  readonly fields?: string;
  readonly quiet?: boolean;
  readonly color?: ColorChoice | boolean;
  readonly utc?: boolean;
  readonly input?: boolean;
  readonly debug?: boolean;
}

/** A platform to talk to, and as whom. */
export interface Connection extends Target {
  readonly origin: Origin;
  readonly credential: Credential | undefined;
}

/** Why something is changed, for the record. */
export interface Why {
  readonly ticket: string | null;
  readonly reason: string | null;
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
  readonly output: Output;
  readonly prompter: Prompter;
  /** Aborted when the user or the system wants the tool to end. */
  readonly stop: AbortSignal;
  /** Aborted when nobody reads standard output any more. */
  readonly closed: AbortSignal;
  readonly #options: CommonOptions;
  #config: Promise<Config> | undefined;
  #connection: Promise<Connection> | undefined;
  #api: Promise<Api> | undefined;
  #keyring: Promise<Keyring> | undefined;
  #me: ReturnType<Context["me"]> | undefined;
  readonly #opened: Closable[] = [];
  #stopHandled = false;

  private constructor(host: Host, options: CommonOptions, output: Output) {
    this.host = host;
    this.stop = host.stop;
    this.closed = host.closed;
    this.paths = resolvePaths(host.env);
    this.output = output;
    const noInput = options.input === false || isOn(host.env.KILOCLAW_ADMIN_NO_INPUT);
    this.prompter = new Prompter(host, { input: !noInput });
    this.#options = options;
  }

  /**
   * @throws CliError `usage` when an option or environment variable has a value it cannot have.
   */
  static async create(host: Host, options: CommonOptions): Promise<Context> {
    const output = await Output.create(host, {
      format: options.json ? "json" : (options.output ?? formatFrom(host.env.KILOCLAW_ADMIN_OUTPUT) ?? "table"),
      quiet: options.quiet ?? false,
      fields: options.fields?.split(",").map((field) => field.trim()),
      color: options.color === false ? "never" : options.color === true ? "always" : (options.color ?? "auto"),
      utc: options.utc ?? false,
    });
    return new Context(host, options, output);
  }

  readonly config = (): Promise<Config> => {
    this.#config ??= import("./config/config-file.ts").then(({ readConfig }) => readConfig(this.paths.config));
    return this.#config;
  };

  /** Which platform is meant. Looks at no token. */
  readonly target = async (): Promise<Target & { readonly origin: Origin }> => {
    const target = resolveTarget(this.#options, this.host.env, await this.config(), DEFAULT_HOST);
    return { ...target, origin: parseOrigin(target.host, target.hostSource) };
  };

  /** Which platform is meant, and with which token. Works without a token, and without asking anybody. */
  readonly connection = (): Promise<Connection> => {
    this.#connection ??= this.#connect();
    return this.#connection;
  };

  /**
   * The platform, logged in.
   *
   * @throws CliError `auth` when there is no token for it.
   */
  readonly api = (): Promise<Api> => {
    this.#api ??= this.#openApi();
    return this.#api;
  };

  /** The platform as a token that is being tried out sees it. */
  readonly apiAs = async (token: string): Promise<Api> => {
    const [{ Api }, { origin }] = await Promise.all([import("./api/api.ts"), this.target()]);
    return this.#closing(new Api(this.#transportTo(origin, token)));
  };

  /** The platform's device login, which needs no token. */
  readonly deviceLogin = async (): Promise<DeviceLogin> => {
    const [{ DeviceLogin }, { origin }] = await Promise.all([import("./api/device-login.ts"), this.target()]);
    return this.#closing(new DeviceLogin(this.#transportTo(origin, undefined)));
  };

  /** The system's keyring. Slow; nothing is asked of it here. */
  readonly keyring = (): Promise<Keyring> => {
    const { root, nodePath, env } = this.host;
    this.#keyring ??= import("./config/keyring.ts").then(({ Keyring }) => new Keyring({ root, nodePath, env }));
    return this.#keyring;
  };

  /** What to type to log in to the platform that is meant. */
  get loginCommand(): string {
    const { host, profile } = this.#options;
    return [
      "kiloclaw-admin auth login",
      ...(profile === undefined ? [] : [`--profile ${profile}`]),
      ...(host === undefined ? [] : [`--host ${host}`]),
    ].join(" ");
  }

  /** Who we are to the platform, to recognise our own rows. The e-mail address is `null` when it cannot be asked. */
  readonly me = (): Promise<{ userId: string | undefined; email: string | null }> => {
    this.#me ??= this.#askWhoIAm();
    return this.#me;
  };

  async #askWhoIAm(): Promise<{ userId: string | undefined; email: string | null }> {
    const [api, { credential }, { readClaims }, { profile }] = await Promise.all([
      this.api(),
      this.connection(),
      import("./api/token.ts"),
      import("./contract/rest.ts"),
    ]);
    try {
      const { user } = await api.get(profile);
      return { userId: user.id, email: user.email };
    } catch {
      return { userId: credential && readClaims(credential.token)?.userId, email: null };
    }
  }

  /** Where what this command changes is written down. */
  readonly ledger = async (action: string, why: Why): Promise<Ledger> => {
    const [{ Ledger }, { origin, profile }, me] = await Promise.all([
      import("./journal/ledger.ts"),
      this.target(),
      this.me(),
    ]);
    const { version: tool, pid } = this.host;
    const adminId = me.userId ?? null;
    return this.#closing(new Ledger(this.paths.state, { action, profile, origin, adminId, ...why, tool, pid }));
  };

  /** Says that being stopped is how this command ends well: the exit code is then its own. */
  handleStop(): void {
    this.#stopHandled = true;
  }

  get stopHandled(): boolean {
    return this.#stopHandled;
  }

  async close(): Promise<void> {
    await this.#api?.catch(() => undefined);
    for (const opened of this.#opened) {
      // The command is over, and has said what it had to say.
      await opened.close().catch((error: unknown) => this.output.warn(messageOf(error)));
    }
  }

  async #connect(): Promise<Connection> {
    const target = await this.target();
    const { findCredential } = await import("./config/credentials.ts");
    const { config } = this.paths;
    return { ...target, credential: await findCredential(config, target.origin, this.host.env, this.keyring) };
  }

  async #openApi(): Promise<Api> {
    const { origin, credential, profile } = await this.connection();
    if (!credential) {
      throw new CliError("auth", `not logged in to ${origin} (profile "${profile}")`, {
        hint: [
          `log in: ${this.loginCommand}`,
          "or put an admin's token into KILOCLAW_ADMIN_TOKEN",
          ...(profile === "sandbox" ? [] : ["or try everything on a sandbox: kiloclaw-admin sandbox start"]),
        ],
      });
    }
    const { Api } = await import("./api/api.ts");
    return this.#closing(new Api(this.#transportTo(origin, credential.token)));
  }

  #closing<T extends Closable>(opened: T): T {
    this.#opened.push(opened);
    return opened;
  }

  #transportTo(origin: Origin, token: string | undefined): TransportOptions {
    const { env, stderr, version } = this.host;
    const debug = this.#options.debug ?? isOn(env.KILOCLAW_ADMIN_DEBUG);
    return {
      origin,
      token,
      userAgent: `kiloclaw-admin/${version}`,
      env,
      signal: this.stop,
      onExchange: debug
        ? ({ method, path, outcome, ms, bytes }) =>
            stderr.write(`debug: ${method} ${path} -> ${outcome} (${ms.toFixed(0)} ms, ${bytes} characters)\n`)
        : undefined,
    };
  }
}

function isOn(value: string | undefined): boolean {
  return value !== undefined && value !== "" && value !== "0" && value !== "false";
}

function formatFrom(value: string | undefined): Format | undefined {
  if (!value) return undefined;
  const format = FORMATS.find((known) => known === value);
  if (format) return format;
  throw new CliError("usage", `KILOCLAW_ADMIN_OUTPUT is "${value}"; it can be ${FORMATS.join(", ")}`);
}
