import { writeSync } from "node:fs";

/** Writes text or bytes as they are. */
export type Say = (text: string | Uint8Array) => void;

const RETRY_MS = 5;

/**
 * A writer on a file descriptor that returns when everything is written. What two such writers write keeps its order, and
 * nothing is lost when the process exits right after.
 *
 * @throws EPIPE when nobody reads any more.
 */
export function writer(descriptor: number): Say {
  return (text) => {
    let rest = Buffer.from(text);
    while (rest.length > 0) rest = rest.subarray(writeSome(descriptor, rest));
  };
}

function writeSome(descriptor: number, bytes: Buffer): number {
  try {
    return writeSync(descriptor, bytes);
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "EAGAIN")) throw error;
    // Somebody made the pipe non-blocking and it is full: wait for its reader.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, RETRY_MS);
    return 0;
  }
}
