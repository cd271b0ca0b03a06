/** `audit export`: what an auditor gets, and that it is the same each time. */
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { openDesk, type Desk } from "../harness.ts";

const LONG = "[rehearse lines=1 delay=60]";
const ADA = "a0000000-0000-4000-8000-000000000001";

let desk: Desk;
let configDir: string;
let begun: string;
beforeAll(async () => {
  desk = await openDesk({ extraUsers: 100 });
});
afterAll(() => desk.close());
beforeEach(async () => {
  configDir = await mkdtemp(join(tmpdir(), "kiloclaw-export-"));
  begun = new Date().toISOString();
  return () => rm(configDir, { recursive: true });
});

const customer = () => desk.customer();
const cli = (...argv: string[]) => desk.run(argv, { configDir });
const start = async (user: string, ...more: string[]) =>
  (await cli("runs", "start", "-u", user, "-p", LONG, "-q", ...more)).stdout.trim();
const exported = (...more: string[]) => cli("audit", "export", "--since", begun, ...more);

const HEADER =
  "at,action,state,result,runId,instanceId,userId,userEmail,adminId,adminEmail,ticket,reason,decision,endedAt,settledBy," +
  "settledTicket,settledReason,code,promptLength,promptSha256,verified,verdict,detail,auditId,auditAt,origin,op,journal," +
  "record,recordHash,endHash,procedure,playbook,playbookSha256";

describe("audit export", () => {
  it("joins what the journal says with the platform's own record, and what the journal has not", async () => {
    const [user, other] = [customer(), customer()];
    const run = await start(user, "--ticket", "INC-7", "--reason", "gateway down");
    await cli("runs", "cancel", run, "--yes");
    const elsewhere = await desk.startRun(other, LONG);
    const { code, stdout } = await exported("-o", "json");
    expect(code).toBe(0);
    const accounts = JSON.parse(stdout) as Record<string, unknown>[];
    expect(accounts).toMatchObject([
      {
        action: "start",
        state: "settled",
        result: "started",
        runId: run,
        userEmail: user,
        adminId: ADA,
        adminEmail: "ada.admin@kilocode.ai",
        ticket: "INC-7",
        reason: "gateway down",
        promptLength: LONG.length,
        verified: true,
        origin: desk.sandbox.url,
        record: 0,
      },
      { action: "cancel", result: "cancelled", runId: run, userEmail: user, verified: true },
      {
        action: "start",
        runId: elsewhere,
        userEmail: other,
        adminEmail: "ada.admin@kilocode.ai",
        verified: false,
        verdict: "not-in-journal",
        op: null,
        recordHash: null,
      },
    ]);
    // The references lead to the records.
    const [first] = accounts;
    const folder = join(configDir, "state", "journal");
    const name = (await readdir(folder, { recursive: true })).find((path) => path.endsWith(String(first?.journal)));
    const records = (await readFile(join(folder, name ?? ""), "utf8")).split("\n");
    const hashes = records.slice(0, 2).map((line) => (JSON.parse(line) as { hash: string }).hash);
    expect([first?.recordHash, first?.endHash]).toEqual(hashes);
    const audit = await desk.audit(String(first?.userId));
    expect(accounts.slice(0, 2).map(({ auditId }) => auditId)).toEqual(audit.map(({ id }) => id).toReversed());
  });

  it("is CSV with the same columns each time, the same bytes about the same past, and no formula", async () => {
    await start(customer(), "--reason", '@SUM("a", 1)', "--ticket=-1");
    const { code, stdout } = await exported("-o", "csv");
    expect(code).toBe(0);
    const [header, line] = stdout.split("\n");
    expect(header).toBe(HEADER);
    expect(line).toMatch(/^\d{4}-\d{2}-\d{2}T[\d:.]+Z,start,settled,started,/);
    expect(line).toContain(`,'-1,"'@SUM(""a"", 1)",`);
    const until = ["--until", new Date().toISOString()];
    await start(customer());
    expect((await exported("-o", "csv", ...until)).stdout).toBe(stdout);
    expect((await exported("-q")).stdout.trim().split("\n")).toHaveLength(2);
  });

  it("is not for the screen, and empty where there is nothing", async () => {
    const { code, stdout, stderr } = await exported();
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toContain("kiloclaw-admin audit export --output csv");
    expect((await exported("-o", "csv")).stdout).toBe(`${HEADER}\n`);
    expect((await exported("--json")).stdout).toBe("[]\n");
  });

  it("finds somebody by e-mail in the log, asking the platform only for that", async () => {
    const user = customer();
    const run = await start(user);
    await start(customer());
    expect((await cli("audit", "log", "--user", user, "--json", "--fields", "runId")).stdout).toContain(run);
    const before = (await desk.requests()).length;
    const [{ userId }] = JSON.parse((await cli("audit", "log", "--json", "--run", run)).stdout) as [{ userId: string }];
    expect((await cli("audit", "log", "--user", userId, "-q")).stdout.trim().split("\n")).toHaveLength(1);
    expect(await desk.requests()).toHaveLength(before);
    expect((await cli("audit", "log", "--user", "nobody@example.com")).code).toBe(5);
  });
});
