/** The sandbox that the files of a worker take turns with: to start one takes longer than most files. It ends with the worker. */
import { join } from "node:path";
import { expect, inject } from "vitest";
import { openSandbox, type TestSandbox } from "./sandbox.ts";

// Files of one worker run one after another in one process, and share its modules.
let kept: Promise<TestSandbox> | undefined;
let borrower: string | undefined;

/**
 * Lends the worker's sandbox as if it were new: no runs and no faults but those of the seed, and so many more users. Only its
 * log of requests goes on. A test that stops sandboxes, or looks into their directories, has `openSandbox`.
 *
 * @returns it; `stop` gives it back, with nothing going on in it any more.
 */
export async function borrowSandbox(extraUsers = 0): Promise<TestSandbox> {
  const { testPath } = expect.getState();
  if (testPath === undefined || borrower === testPath) throw new Error(`${testPath} has the worker's sandbox already`);
  borrower = testPath;
  kept ??= openSandbox({ dataDir: join(inject("temporary"), String(process.pid)) });
  const borrowed = await kept;
  await borrowed.sandbox.reset(extraUsers);
  return {
    ...borrowed,
    stop: async () => {
      borrower = undefined;
      await borrowed.sandbox.reset(0);
    },
  };
}
