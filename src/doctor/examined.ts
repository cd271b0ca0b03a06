import type { Answer } from "../api/transport.ts";
import { proxyFor } from "../api/wire/proxy.ts";
import type { Credential } from "../config/credentials.ts";
import { profile } from "../contract/rest.ts";
import { Route } from "./route.ts";
import type { Setup } from "./setup.ts";

/** An answer of the platform, and when it was asked and answered on this machine's clock, in milliseconds. */
export interface TimedAnswer extends Answer {
  readonly askedAt: number;
  readonly answeredAt: number;
}

const MAX_BYTES = 2 ** 20;

/** What is examined, with what several checks look at found out once. */
export class Examined {
  readonly setup: Setup;
  #route: Promise<Route> | undefined;
  #answer: Promise<TimedAnswer> | undefined;
  #token: string | undefined;

  constructor(setup: Setup) {
    this.setup = setup;
  }

  /** The way to the platform. */
  route(): Promise<Route> {
    this.#route ??= this.setup.platform().then(({ origin }) => {
      const { env, nodePath } = this.setup.host;
      return new Route({ origin, proxy: proxyFor(origin, env), env, nodePath });
    });
    return this.#route;
  }

  /** A first answer, to a question without a token. */
  answer(signal: AbortSignal): Promise<TimedAnswer> {
    this.#answer ??= this.#ask(signal);
    return this.#answer;
  }

  /**
   * The token that would be used, and where it comes from.
   *
   * @throws CliError
   */
  async credential(): Promise<Credential | undefined> {
    const { credential } = await this.setup.connection();
    this.#token = credential?.token;
    return credential;
  }

  /** The token, if anybody has looked at it yet. */
  get token(): string | undefined {
    return this.#token;
  }

  async #ask(signal: AbortSignal): Promise<TimedAnswer> {
    const transport = await this.setup.transport();
    const askedAt = Date.now();
    const answer = await transport.exchange({
      method: profile.method,
      path: profile.path,
      procedure: profile.path,
      signal,
      timeoutMs: 60_000,
      maxBytes: MAX_BYTES,
    });
    return { ...answer, askedAt, answeredAt: Date.now() };
  }
}
