/**
 * How long the tool waits for what, in milliseconds: every time that somebody who tries it out would have to sit through. Who waits
 * is handed the part that it needs. `terminal/timing.ts` has the real ones; a test hands in its own.
 */
export interface Timing {
  /** For a connection to the platform, or for the proxy to make one. */
  readonly connectMs: number;
  /** Before a question that was not answered is asked again: any part of this, of twice as much the next time. */
  readonly retryMs: number;
  /** For the system's keyring to answer. */
  readonly keyringMs: number;
  readonly lock: LockTiming;
}

/** How processes take turns at a file. */
export interface LockTiming {
  /** A lock that was not renewed for this long belongs to a process that was killed. */
  readonly staleMs: number;
  readonly renewMs: number;
  /** How long to wait for whoever holds it: a keyring may take its time. */
  readonly patienceMs: number;
  /** Between tries to have it. */
  readonly pauseMs: number;
}
