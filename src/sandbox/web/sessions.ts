import { callAfter } from "../../async/wait.ts";
import { newSecret, same } from "./secrets.ts";

/** How long a ticket is good for. */
const TICKET_MS = 60_000;

/** Those that were opened last are kept. */
const MAX_SESSIONS = 100;

/**
 * One browser that has proven itself. It takes both values: a cookie is sent to every port of this machine, so that another
 * user's server could receive it; the path is not, and the cookie is bound to it.
 */
export interface Session {
  readonly cookie: string;
  /** Comes first in the path of every page. */
  readonly place: string;
  /** Comes with every form of its pages. */
  readonly formToken: string;
  /** The account that its pages are seen as, once one is chosen. */
  userId: string | undefined;
}

/** Who may see the sandbox's pages: browsers that sent its key, or a ticket that its owner's command line asked for. */
export class Sessions {
  /** Has the sandbox's ID: two sandboxes on one machine do not overwrite each other's. */
  readonly cookieName: string;
  readonly #key: string;
  readonly #byPlace = new Map<string, Session>();
  /** What to do when a ticket is used up or its time is over. */
  readonly #tickets = new Map<string, { readonly end: () => Promise<void>; readonly userId: string }>();

  constructor({ id, key }: { id: string; key: string }) {
    this.cookieName = `kiloclaw-sandbox-${id}`;
    this.#key = key;
  }

  /**
   * A ticket that opens one session, within {@link TICKET_MS}.
   *
   * @param userId the account that is chosen already.
   * @param gone called once, when it opens no session any more; must not reject.
   */
  issueTicket(userId: string, gone: () => Promise<void>): string {
    const ticket = newSecret();
    const end = () => {
      timer.cancel();
      this.#tickets.delete(ticket);
      return gone();
    };
    const timer = callAfter(TICKET_MS, () => void end(), { ref: false });
    this.#tickets.set(ticket, { end, userId });
    return ticket;
  }

  /** Ends every ticket. */
  async endTickets(): Promise<void> {
    await Promise.all([...this.#tickets.values()].map(({ end }) => end()));
  }

  withTicket(ticket: string): Session | undefined {
    const issued = this.#tickets.get(ticket);
    void issued?.end();
    return issued && this.#open(issued.userId);
  }

  withKey(key: string): Session | undefined {
    return same(key, this.#key) ? this.#open() : undefined;
  }

  /** The session of a request. @param cookies its `Cookie` header. */
  find(place: string, cookies: string): Session | undefined {
    const session = this.#byPlace.get(place);
    const given = cookies.split(/; */).find((pair) => pair.startsWith(`${this.cookieName}=`));
    return session && given && same(given.slice(this.cookieName.length + 1), session.cookie) ? session : undefined;
  }

  /** Signs a browser out. */
  close(session: Session): void {
    this.#byPlace.delete(session.place);
  }

  #open(userId?: string): Session {
    const session = { cookie: newSecret(), place: newSecret(), formToken: newSecret(), userId };
    this.#byPlace.set(session.place, session);
    for (const oldest of this.#byPlace.keys()) {
      if (this.#byPlace.size <= MAX_SESSIONS) break;
      this.#byPlace.delete(oldest);
    }
    return session;
  }
}
