/** What one shift leaves to the next. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openDesk, type Desk, type Result } from "../harness.ts";
import { BRIEF_SEARCH } from "../support/timing.ts";

const LONG = "[rehearse lines=600 interval=0.2]";

let desk: Desk;
let otto: string;
beforeAll(async () => {
  desk = await openDesk({ extraUsers: 20 });
  otto = await desk.sandbox.remote.token("otto.oncall@kilocode.ai");
});
afterAll(() => desk.close());

interface Point {
  readonly kind: string;
  readonly userEmail: string | null;
  readonly runId: string | null;
  readonly jobId: string | null;
  readonly op: string | null;
  readonly by: string | null;
  readonly ticket: string | null;
  readonly detail: string;
  readonly next: string;
}
const points = (result: Result) => JSON.parse(result.stdout) as Point[];
const open = async (...more: string[]) => {
  const result = await desk.run(["handoff", "--json", ...more]);
  expect(result.code).toBe(0);
  return points(result);
};

describe("handoff", () => {
  it("names the team's runs in progress and those that failed, each with the command to go on with", async () => {
    const [busy, broken, fixed] = [desk.customer(), desk.customer(), desk.customer()];
    const running = await desk.startRun(busy, LONG, otto);
    const argv = ["runs", "start", "-u", broken, "-p", "[rehearse lines=1 exit=3] disk\nis full", "--ticket", "INC-7"];
    expect((await desk.run([...argv, "--watch", "--interval", "50ms"])).code).toBe(3);
    const [failed] = await desk.rows(broken);
    // Of two on one instance the newer one counts.
    expect(
      (
        await desk.run([
          "runs",
          "start",
          "-u",
          fixed,
          "-p",
          "[rehearse lines=1 exit=3]",
          "--watch",
          "--interval",
          "50ms",
        ])
      ).code,
    ).toBe(3);
    expect(
      (await desk.run(["runs", "start", "-u", fixed, "-p", "[rehearse lines=1]", "--watch", "--interval", "50ms"]))
        .code,
    ).toBe(0);
    const found = await open();
    expect(found.find(({ runId }) => runId === running)).toMatchObject({
      kind: "running",
      userEmail: busy,
      by: "otto.oncall@kilocode.ai",
      ticket: null,
      next: `kiloclaw-admin runs watch ${running}`,
    });
    expect(found.filter(({ userEmail }) => userEmail === broken)).toMatchObject([
      {
        kind: "failed",
        runId: failed?.id,
        by: "ada.admin@kilocode.ai",
        ticket: "INC-7",
        detail: "exit code 3: [rehearse lines=1 exit=3] disk is full",
        next: `kiloclaw-admin runs retry ${failed?.id}`,
      },
    ]);
    expect(found.filter(({ userEmail }) => userEmail === fixed)).toEqual([]);
    expect((await open("--ticket", "INC-7")).map(({ runId }) => runId)).toEqual([failed?.id]);
    // What has failed before is another shift's; what is in progress is everybody's.
    const later = await open("--since", new Date(Date.now() + 3_000).toISOString());
    expect(later.some(({ kind }) => kind === "failed")).toBe(false);
    expect(later.some(({ runId }) => runId === running)).toBe(true);

    const retried = await desk.run(["runs", "retry", failed?.id ?? "", "-p", LONG, "-q"]);
    expect(retried.code).toBe(0);
    const after = (await open()).filter(({ userEmail }) => userEmail === broken);
    expect(after).toMatchObject([{ kind: "running", runId: retried.stdout.trim() }]);
  });

  it("names the starts and the jobs of this machine that are not finished", async () => {
    const user = desk.customer();
    await desk.sandbox.remote.setFault({ name: "insert-failure", count: 1 });
    const lost = await desk.run(["runs", "start", "-u", user, "-p", LONG], { timing: BRIEF_SEARCH });
    await desk.sandbox.remote.clearFaults();
    expect(lost.code).toBe(7);
    const users = [desk.customer(), desk.customer()].flatMap((one) => ["-u", one]);
    const job = desk.begin(["runs", "start", ...users, "-p", LONG, "--yes", "--wait", "--max-running", "1"]);
    const [, id = ""] = await job.waitFor(/^job ([\da-f-]{36})$/m);
    const [working] = (await open()).filter(({ jobId }) => jobId === id);
    expect(working).toMatchObject({ kind: "job", next: `kiloclaw-admin jobs watch ${id}` });
    job.stop();
    await job.done;
    const found = await open();
    expect(found.filter(({ jobId }) => jobId === id)).toMatchObject([
      { kind: "job", by: "ada.admin@kilocode.ai", next: `kiloclaw-admin jobs resume ${id}` },
    ]);
    const [start] = found.filter(({ kind }) => kind === "open-start");
    expect(start).toMatchObject({ by: "ada.admin@kilocode.ai", next: `kiloclaw-admin runs reconcile ${start?.op}` });
    // The most urgent first.
    expect(found[0]?.kind).toBe("open-start");
  });

  it("is a page for the terminal, the chat and the browser, and nothing in it is taken for markup", async () => {
    const user = desk.customer();
    const id = await desk.startRun(user, `${LONG} <b>@here</b> \`rm -rf /\` \u001b[31mred`);
    const shown = await desk.run(["handoff"], { tty: true, columns: 80 });
    expect(shown.stdout).toMatch(/^\d+ runs in progress$/m);
    expect(shown.stdout).toContain(`→ kiloclaw-admin runs watch ${id}`);
    expect(shown.stdout).not.toContain("\u001b[31mred");

    const chat = await desk.run(["handoff", "--markdown"]);
    expect(chat.stdout).toMatch(/^# Handoff, /);
    const line = chat.stdout.split("\n").find((one) => one.includes("@here"));
    expect(line).toMatch(/^ {2}`[^`]*<b>@here<\/b> 'rm -rf \/'[^`]*`$/);

    const path = join(desk.configDir, "handoff.html");
    expect((await desk.run(["handoff", "--html", path])).code).toBe(0);
    const page = await readFile(path, "utf8");
    expect(page).toContain("&lt;b&gt;@here&lt;/b&gt;");
    expect(page).toContain("default-src 'none'");
    const again = await desk.run(["handoff", "--html", path]);
    expect(again.code).toBe(2);
    expect((await desk.run(["handoff", "--html", path, "--force"])).code).toBe(0);
  });

  it("shows what this machine has where the platform does not answer, and exits with 11", async () => {
    await desk.sandbox.remote.setFault({ name: "500", procedure: "listAllCliRuns" });
    const result = await desk.run(["handoff", "--json"]).finally(() => desk.sandbox.remote.clearFaults());
    expect(result.code).toBe(11);
    expect(points(result).map(({ kind }) => kind)).toContain("job");
    expect(points(result).every(({ runId }) => runId === null)).toBe(true);
  });
});
