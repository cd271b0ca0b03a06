/** Offers a login where one is missing, and says what to do about a token that is refused. */
import type { Credential } from "./config/credentials.ts";
import type { Environment } from "./environment.ts";
import { CliError, messageOf } from "./errors.ts";
import type { MeantPlatform } from "./meant-platform.ts";
import type { Output } from "./terminal/output.ts";
import type { Prompter } from "./terminal/prompter.ts";
import { command, hint, plain, type Said } from "./typed-command.ts";

/** A platform to talk to, and as whom. */
export interface Connection extends MeantPlatform {
  readonly credential: Credential | undefined;
}

export interface LoginOfferOptions {
  /** The platform that is meant, with the token for it as it is now. */
  readonly connection: () => Promise<Connection>;
  /** Has the user log in there. From then on `connection` gives the new token. */
  readonly logIn: () => Promise<void>;
  readonly prompter: Pick<Prompter, "canAsk" | "offer">;
  readonly output: Pick<Output, "aside" | "warn">;
  readonly env: Environment;
}

/** Makes its offer once, whatever comes of it. */
export class LoginOffer {
  readonly #options: LoginOfferOptions;
  #offered = false;

  constructor(options: LoginOfferOptions) {
    this.#options = options;
  }

  /**
   * The platform with a token for it. Whoever has none, or one that has expired by what is written in it, is offered to log in first.
   *
   * @throws CliError `auth` when there is no token for it.
   */
  async loggedIn(): Promise<Connection & { readonly credential: Credential }> {
    await this.#offerMissing();
    const connection = await this.#options.connection();
    const { origin, credential, profile } = connection;
    if (credential) return { ...connection, credential };
    throw new CliError("auth", `not logged in to ${origin} (profile "${profile}")`, {
      hint: [
        hint`log in: ${command("auth login")}`,
        ...this.#variableAdvice(connection, "or put an admin's token into KILOCLAW_ADMIN_TOKEN"),
        ...(profile === "sandbox"
          ? []
          : [hint`or try everything on a sandbox: ${command("sandbox start", { "--detach": true })}`]),
      ],
    });
  }

  /** A new token in place of one that was refused; `undefined` where there is none. Never fails. */
  async renewToken(): Promise<string | undefined> {
    try {
      const { origin } = await this.#options.connection();
      if (!(await this.#offer(`The token for ${origin} is refused`))) return undefined;
      return (await this.#options.connection()).credential?.token;
    } catch (error) {
      // What was asked for has its answer, the refusal, and whoever asked knows what follows from it.
      this.#options.output.warn(`not logged in: ${messageOf(error)}`);
      return undefined;
    }
  }

  /** What to do when the platform that is meant refuses the token. */
  async advice(): Promise<readonly Said[]> {
    const connection = await this.#options.connection();
    const { credential, profile } = connection;
    if (credential?.fromEnvironment) return [(await import("./config/credentials.ts")).REPLACE_VARIABLE];
    return [
      hint`log in as an admin: ${command("auth login")}`,
      ...(credential ? [] : this.#variableAdvice(connection)),
      // One that runs refuses to be started.
      ...(profile === "sandbox"
        ? [
            hint`or restart the sandbox, which makes a new token: ${command("sandbox stop")}; ${command("sandbox start", { "--detach": true })}`,
          ]
        : []),
    ];
  }

  /** What went wrong; a refused token comes with what to do about it here, which the call that was refused cannot know. */
  async explained(failure: unknown): Promise<unknown> {
    const { ApiError } = await import("./api/api-error.ts");
    if (!(failure instanceof ApiError) || failure.kind !== "auth") return failure;
    const [{ expiredWords }, { origin, credential }] = await Promise.all([
      import("./api/token.ts"),
      this.#options.connection(),
    ]);
    // Device login asks without a token.
    if (!credential) return failure;
    const next = [hint`see why: ${command("auth status")}`, ...(await this.advice())];
    if (failure.httpStatus !== 401) return new CliError("auth", failure.message, { hint: next, cause: failure });
    // The platform has one message for whatever is wrong with a token; the token may know better.
    const expired = expiredWords(credential.token);
    const refused = expired ? `the token for ${origin} ${expired}` : `${origin} refuses the token: ${failure.message}`;
    return new CliError("auth", refused, { hint: next, cause: failure });
  }

  /** What to do to use KILOCLAW_ADMIN_TOKEN here; `simply` where nothing else is needed. */
  #variableAdvice({ origin, takesVariable }: Connection, ...simply: string[]): readonly Said[] {
    if (takesVariable) return simply;
    const why = this.#options.env.KILOCLAW_ADMIN_TOKEN?.trim()
      ? "KILOCLAW_ADMIN_TOKEN is not sent to a platform that only a profile names; name it"
      : "or put an admin's token into KILOCLAW_ADMIN_TOKEN, and name its platform";
    return [hint`${plain(why)}: export KILOCLAW_ADMIN_HOST=${origin}`];
  }

  async #offerMissing(): Promise<void> {
    const { origin, credential } = await this.#options.connection();
    const { expiredWords } = await import("./api/token.ts");
    const expired = credential && expiredWords(credential.token);
    if (!credential) await this.#offer(`Not logged in to ${origin}`);
    // A no: the platform's clock is the one that counts.
    else if (expired) await this.#offer(`The token for ${origin} ${expired}`);
  }

  /** Offers to log in, where there is a user to ask and a login would be used. */
  async #offer(why: string): Promise<boolean> {
    const { connection, prompter, output, logIn } = this.#options;
    const { credential, ...platform } = await connection();
    if (!prompter.canAsk || credential?.fromEnvironment || this.#offered) return false;
    this.#offered = true;
    return output.aside(async () => {
      if (!(await prompter.offer(`${why}. Log in now?`, { platform }))) return false;
      await logIn();
      return true;
    });
  }
}
