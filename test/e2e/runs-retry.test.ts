/** A run that failed is started again: as a start of its own, linked to the first. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openDesk, type Desk } from "../harness.ts";
import { openRewritingProxy } from "../support/rewriting-proxy.ts";
import { BRIEF_SEARCH } from "../support/timing.ts";

let desk: Desk;
beforeAll(async () => {
  desk = await openDesk({ extraUsers: 20 });
});
afterAll(() => desk.close());

const FAILS = "the gateway [rehearse lines=1 exit=3]";

/** A failed run of a customer whom nobody has had to do with. */
async function failed(prompt = FAILS): Promise<{ id: string; user: string; hint: string }> {
  const user = desk.customer();
  const { code, stderr } = await desk.run(["runs", "start", "-u", user, "-p", prompt, "--watch"]);
  expect(code).toBe(3);
  const [row] = await desk.rows(user);
  if (!row) throw new Error("no run");
  return { id: row.id, user, hint: stderr };
}

const show = async (id: string) =>
  JSON.parse((await desk.run(["runs", "show", id, "--json"])).stdout) as {
    retryOf: string | null;
    retriedAs: string[];
    prompt: string;
  };

describe("runs retry", () => {
  it("is the next step of a failed run, and starts another with the same prompt; both know of each other", async () => {
    const { id, user, hint } = await failed();
    expect(hint).toContain(`kiloclaw-admin runs retry ${id}\n`);
    const { code, stdout, stderr } = await desk.run(["runs", "retry", id, "-q", "--ticket", "INC-1"]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const again = stdout.trim();
    const rows = await desk.rows(user);
    expect(rows.map((row) => [row.id, row.prompt])).toEqual([
      [again, FAILS],
      [id, FAILS],
    ]);
    expect(await show(again)).toMatchObject({ retryOf: id, retriedAs: [], prompt: FAILS });
    expect(await show(id)).toMatchObject({ retryOf: null, retriedAs: [again] });
    const shown = await desk.run(["runs", "show", id]);
    expect(shown.stderr).toContain(`retried as: kiloclaw-admin runs show ${again}\n`);
    expect(shown.stderr).not.toContain("runs retry");
    const audit = await desk.run(["audit", "log", "--run", again, "--json"]);
    expect(JSON.parse(audit.stdout)).toMatchObject([{ action: "start", ticket: "INC-1", runId: again }]);
  });

  it("asks for something else with --prompt, and follows it with --watch", async () => {
    const { id, user } = await failed();
    const other = "free the disk [rehearse lines=1]";
    const { code } = await desk.run(["runs", "rerun", id, "-p", other, "--watch"]);
    expect(code).toBe(0);
    expect((await desk.rows(user)).map(({ prompt }) => prompt)).toEqual([other, FAILS]);
  });

  it("sends nothing where the run is still in progress: 6", async () => {
    const user = desk.customer();
    const id = await desk.startRun(user, "[rehearse lines=500 interval=1]");
    const { code, stderr } = await desk.run(["runs", "retry", id]);
    expect(code).toBe(6);
    expect(stderr).toContain(`run ${id} is still in progress; nothing was sent`);
    expect(await desk.rows(user)).toHaveLength(1);
  });

  it("names a newer run of the prompt: off a terminal 6 unless --again, on one it asks", async () => {
    const { id, user } = await failed();
    const newer = (await desk.run(["runs", "retry", id, "-q"])).stdout.trim();
    const refused = await desk.run(["runs", "retry", id, "--json"]);
    expect(refused.code).toBe(6);
    expect(JSON.parse(refused.stderr)).toMatchObject({ error: { kind: "conflict", sent: false } });
    expect(refused.stderr).toContain(newer);
    const asked = desk.begin(["runs", "retry", id], { tty: true });
    await asked.waitFor(/Start another one\?/);
    asked.type("n\r");
    expect((await asked.done).code).toBe(130);
    expect(await desk.rows(user)).toHaveLength(2);
    await expect.poll(async () => (await desk.run(["runs", "retry", id, "--again", "-q"])).code).toBe(0);
    expect(await desk.rows(user)).toHaveLength(3);
  });

  it("takes several, one after the other, and says which were not retried: 9", async () => {
    const [first, second] = [await failed(), await failed()];
    const running = await desk.startRun(desk.customer(), "[rehearse lines=500 interval=1]");
    const { code, stdout, stderr } = await desk.run(["runs", "retry", first.id, running, second.id, "-q"]);
    expect(code).toBe(9);
    expect(stderr).toContain(`retry of run ${running}: run ${running} is still in progress`);
    const newest = await Promise.all([first, second].map(async ({ user }) => (await desk.rows(user))[0]?.id));
    expect(stdout.trim().split("\n")).toEqual(newest);
  });

  it("of several, never denies one whose outcome is unknown: 7, with what to do about it", async () => {
    const [lost, other] = [await failed(), await failed()];
    const fault = { name: "insert-failure", procedure: "startKiloCliRun", user: lost.user, count: 1 } as const;
    await desk.sandbox.remote.setFault(fault);
    const { code, stdout, stderr } = await desk.run(["runs", "retry", lost.id, other.id, "-q"], {
      timing: BRIEF_SEARCH,
    });
    expect(code).toBe(7);
    expect(stderr).toContain("1 of 2 runs retried");
    expect(stderr).toContain("kiloclaw-admin runs reconcile");
    expect(stderr).not.toMatch(/not (?:retried|started|tried)|nothing was (?:sent|started)/);
    expect(stdout.trim()).toBe((await desk.rows(other.user))[0]?.id);
  });

  it("of several, ends with 9, not 4, where the token is refused after one was sent; with 4 before", async () => {
    let starts = 0;
    let allowed = 1;
    let isStart = false;
    const proxy = await openRewritingProxy(desk.sandbox.url, {
      request: (path) => {
        isStart = path.includes("startKiloCliRun");
        if (isStart) starts += 1;
        return path;
      },
      authorization: (header) => (isStart && starts > allowed ? "Bearer none" : header),
    });
    try {
      const [first, second, third] = [await failed(), await failed(), await failed()];
      const env = { KILOCLAW_ADMIN_HOST: proxy.url };
      const after = await desk.run(["runs", "retry", first.id, second.id, third.id, "-q"], { env });
      expect(after.code).toBe(9);
      expect(after.stdout.trim()).toBe((await desk.rows(first.user))[0]?.id);
      expect(after.stderr).toContain("1 of 3 runs retried, 1 not tried");
      allowed = 0;
      expect((await desk.run(["runs", "retry", second.id, third.id], { env })).code).toBe(4);
      for (const { user } of [second, third]) expect(await desk.rows(user)).toHaveLength(1);
    } finally {
      await proxy.close();
    }
  });

  it("names an instance that was destroyed: 5, nothing sent", async () => {
    const [row] = (await desk.rows("dave.destroyed@example.com")).filter(({ status }) => status === "failed");
    if (!row) throw new Error("the seed has no such run");
    const { code, stderr } = await desk.run(["runs", "retry", row.id]);
    expect(code).toBe(5);
    expect(stderr).toMatch(/instance \S+ was destroyed at/);
  });

  it("sends nothing while a start on the instance is open: 7", async () => {
    const { id, user } = await failed();
    await desk.sandbox.remote.setFault({ name: "insert-failure", procedure: "startKiloCliRun", count: 1 });
    const orphan = await desk.run(["runs", "retry", id, "-p", "[rehearse lines=300 interval=1]"], {
      timing: BRIEF_SEARCH,
    });
    expect(orphan.code).toBe(7);
    const { code, stderr } = await desk.run(["runs", "retry", id]);
    expect(code).toBe(7);
    expect(stderr).toMatch(/an earlier start on the instance of .* may have happened; nothing was sent now/);
    expect(await desk.rows(user)).toHaveLength(1);
  });

  it("shows what it would do with --dry-run, and refuses what makes no sense", async () => {
    const { id, user } = await failed();
    const dry = await desk.run(["runs", "retry", id, "--dry-run"]);
    expect(dry).toMatchObject({ code: 0, stdout: "" });
    expect(dry.stderr).toContain("dry run: nothing was sent");
    for (const argv of [
      [id, id, "--watch"],
      [id, id, "--json"],
      [id, id, "--on-conflict", "attach"],
      [id, "-p", ""],
      ["jane", "x"],
    ]) {
      expect((await desk.run(["runs", "retry", ...argv])).code).toBe(2);
    }
    expect(await desk.rows(user)).toHaveLength(1);
  });
});
