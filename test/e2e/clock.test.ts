/** A platform whose clock is not this machine's: what is compared with its times is counted by its clock. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { openDesk, type Desk } from "../harness.ts";
import { openRewritingProxy } from "../support/rewriting-proxy.ts";

const HOUR_MS = 3_600_000;
const TIMESTAMP = /(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d)(?=(?:\.\d+)?(?:Z|\+00))/g;

let desk: Desk;
let id: string;
let proxy: Awaited<ReturnType<typeof openRewritingProxy>> | undefined;
beforeAll(async () => {
  desk = await openDesk({ extraUsers: 1 });
  id = await desk.startRun("fleet01@fleet.example.com", "[rehearse lines=2 interval=600]");
});
afterEach(async () => {
  await proxy?.close();
  proxy = undefined;
});
afterAll(() => desk.close());

/** The sandbox, with everything that it says of time moved by so much. */
async function platformAhead(ms: number): Promise<Desk["run"]> {
  const moved = (text: string) => {
    const at = new Date(`${text.replace(" ", "T")}Z`);
    return new Date(at.getTime() + ms).toISOString().slice(0, 19).replace("T", text.charAt(10));
  };
  const { url } = (proxy = await openRewritingProxy(desk.sandbox.url, {
    answer: (body) => body.replaceAll(TIMESTAMP, moved),
    date: (at) => new Date(at.getTime() + ms),
  }));
  return (argv, options = {}) => desk.run(argv, { ...options, env: { KILOCLAW_ADMIN_HOST: url, ...options.env } });
}

describe.each([
  ["2h 00m behind", -2 * HOUR_MS],
  ["2h 00m ahead of", 2 * HOUR_MS],
])("a platform whose clock is %s this machine's", (words, ms) => {
  it("lists what was started since, by its clock, and says once that the clocks differ", async () => {
    const run = await platformAhead(ms);
    const { code, stdout, stderr } = await run(["runs", "list", "--since", "1h", "--json", "--no-refresh"]);
    expect(code).toBe(0);
    const rows = JSON.parse(stdout) as { id: string; startedAt: string }[];
    expect(rows.map((row) => row.id)).toContain(id);
    for (const { startedAt } of rows) expect(Date.parse(startedAt)).toBeGreaterThan(Date.now() + ms - HOUR_MS - 60_000);
    expect(stderr.match(/clock is 2h 00m /g)).toHaveLength(1);
    expect(stderr).toContain(`the platform's clock is ${words} this machine's`);
  });

  it("counts ages by it, and picks what is to be cancelled, with the moment in UTC", async () => {
    const run = await platformAhead(ms);
    const dry = await run(["runs", "cancel", "--running", "--since", "30m", "--dry-run"]);
    expect(dry.code).toBe(0);
    expect(dry.stderr).toContain(id);
    expect(dry.stderr).toMatch(/started by\s+ada\.admin@kilocode\.ai, (?:just now|\d+s ago|\dm ago)/);
    const [, since = ""] = /^since\s+(\S+Z)$/m.exec(dry.stderr) ?? [];
    expect(Math.abs(Date.parse(since) - (Date.now() + ms - HOUR_MS / 2))).toBeLessThan(60_000);

    const { stdout } = await run(["runs", "diagnose", id, "--interval", "100ms", "--json"]);
    const { evidence } = JSON.parse(stdout) as { evidence: { ageMs: number } };
    expect(evidence.ageMs).toBeGreaterThanOrEqual(0);
    expect(evidence.ageMs).toBeLessThan(HOUR_MS);
  });
});

it("a platform that does not say what time it is cannot be asked for what was so long ago, but for a date", async () => {
  const { url } = (proxy = await openRewritingProxy(desk.sandbox.url, { date: () => undefined }));
  const env = { KILOCLAW_ADMIN_HOST: url };
  const ago = await desk.run(["runs", "cancel", "--running", "--since", "1h", "--yes"], { env });
  expect(ago.code).toBe(11);
  expect(ago.stderr).toContain("does not say what time it is");
  expect((await desk.row(id)).status).toBe("running");
  const user = desk.customer();
  const start = ["runs", "start", "-u", user, "-p", "[rehearse lines=1]", "--unless-started-since"];
  const relative = await desk.run([...start, "1h"], { env });
  expect(relative.code).toBe(11);
  expect(relative.stderr).toContain("does not say what time it is");
  expect(await desk.rows(user)).toEqual([]);
  expect((await desk.run([...start, "2026-01-01T09:30Z", "-q"], { env })).code).toBe(0);
  expect(await desk.rows(user)).toHaveLength(1);
  expect((await desk.run(["runs", "list", "--since", "2026-01-01", "-q", "--no-refresh"], { env })).stdout).toContain(
    id,
  );
});

it("says nothing of clocks that agree", async () => {
  const { stderr } = await desk.run(["runs", "list", "--since", "1h", "--json", "--no-refresh"]);
  expect(stderr).toBe("");
});
