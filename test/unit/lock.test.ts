import { utimesSync } from "node:fs";
import { mkdir, mkdtemp, rm, utimes } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, expect, it } from "vitest";
import { withLock } from "../../src/config/lock.ts";
import { QUICK } from "../support/timing.ts";

const { lock } = QUICK;

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "kiloclaw-lock-"));
  return () => rm(directory, { recursive: true });
});

it("lets one after the other in", async () => {
  const path = join(directory, "file");
  const seen: string[] = [];
  const work = (name: string) =>
    withLock(path, lock, async () => {
      seen.push(`${name} in`);
      await new Promise(setImmediate);
      seen.push(`${name} out`);
    });
  await Promise.all(["a", "b", "c"].map(work));
  expect(seen).toHaveLength(6);
  for (let n = 0; n < 6; n += 2) expect(seen[n + 1]).toBe(seen[n]?.replace(" in", " out"));
});

it("does not wait for a place that no lock can be made in", async () => {
  // Too long a name once the lock's ending is added: a failure that does not pass.
  const patient = { ...lock, patienceMs: 600_000 };
  await expect(withLock(join(directory, "x".repeat(252)), patient, async () => undefined)).rejects.toMatchObject({
    kind: "local-state",
  });
});

const TOMORROW = () => Date.now() / 1_000 + 86_400;

it("takes over a lock that is dated in the future and that nobody renews", async () => {
  const path = join(directory, "file");
  await mkdir(`${path}.lock`);
  await utimes(`${path}.lock`, TOMORROW(), TOMORROW());
  await expect(withLock(path, { ...lock, staleMs: 200 }, async () => "in")).resolves.toBe("in");
});

it("leaves a lock alone whose holder renews it, by a clock that is ahead", async () => {
  const path = join(directory, "file");
  await mkdir(`${path}.lock`);
  const renew = () => utimesSync(`${path}.lock`, TOMORROW(), TOMORROW());
  renew();
  const renewing = setInterval(renew, 10);
  // Long enough for one that nobody renews to be taken over.
  const short = { ...lock, staleMs: 200, patienceMs: 600 };
  const began = performance.now();
  try {
    await expect(withLock(path, short, async () => "in")).rejects.toMatchObject({
      kind: "local-state",
      retryable: true,
    });
    expect(performance.now() - began).toBeGreaterThan(short.patienceMs);
  } finally {
    clearInterval(renewing);
  }
});
