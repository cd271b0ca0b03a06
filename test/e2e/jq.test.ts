import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openDesk, type Desk } from "../harness.ts";

let desk: Desk;
beforeAll(async () => {
  desk = await openDesk({ extraUsers: 10 });
});
afterAll(() => desk.close());

describe("--jq", () => {
  it("filters a list as a whole, in place of a format", async () => {
    const ids = await desk.run(["runs", "list", "--limit", "5", "-q"]);
    const { code, stdout } = await desk.run(["runs", "list", "--limit", "5", "--jq", ".[].id"]);
    expect({ code, stdout }).toEqual({ code: 0, stdout: ids.stdout });
    for (const format of ["json", "jsonl"]) {
      const of = format === "json" ? "length" : ".status | length > 0";
      const counted = await desk.run(["runs", "list", "--limit", "5", "-o", format, "--jq", of]);
      expect(counted.stdout).toBe(format === "json" ? "5\n" : "true\n".repeat(5));
    }
    const picked = await desk.run(["runs", "list", "--limit", "1", "--fields", "id", "--jq", ".[] | keys"]);
    expect(picked.stdout).toBe('["id"]\n');
  });

  it("filters each event of a watch", async () => {
    const id = await desk.startRun(desk.customer(), "[rehearse lines=2 interval=0]");
    const status = 'select(.type == "end").run.status';
    expect(await desk.run(["runs", "watch", id, "--interval", "50ms", "--jq", status])).toMatchObject({
      code: 0,
      stdout: "completed\n",
    });
  });

  it("goes before the format of the settings", async () => {
    const env = { KILOCLAW_ADMIN_OUTPUT: "csv" };
    expect((await desk.run(["runs", "list", "--jq", "type"], { env })).stdout).toBe("array\n");
  });

  it("takes a bare value for a text", async () => {
    expect((await desk.run(["config", "get", "color", "--jq", "ascii_upcase"])).stdout).toBe("AUTO\n");
  });

  it("does not drive a terminal, and lays out objects on one", async () => {
    const id = await desk.startRun(desk.customer(), "[rehearse lines=1 interval=0] \u001b]0;owned\u0007");
    const { stdout } = await desk.run(["runs", "show", id, "--jq", ".prompt, {id}"], { tty: true });
    expect(stdout).not.toContain("\u001b]");
    expect(stdout).toContain(`{\n  "id": "${id}"\n}\n`);
  });

  it("that is no expression is a usage error, before anything is sent", async () => {
    const before = (await desk.requests()).length;
    const { code, stdout, stderr } = await desk.run([
      "runs",
      "start",
      "--user",
      desk.customer(),
      "-p",
      "[rehearse]",
      "--jq",
      ".id |",
    ]);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(JSON.parse(stderr)).toMatchObject({
      error: { kind: "usage", message: expect.stringContaining("syntax error"), exitCode: 2 },
    });
    expect(await desk.requests()).toHaveLength(before);
  });

  it.each(["-q", "-ocsv", "-otable", "-oid"])("refuses %s beside it", async (format) => {
    const { code, stderr } = await desk.run(["runs", "list", "--jq", ".", format]);
    expect(code).toBe(2);
    expect(stderr).toContain("--jq filters JSON");
  });

  it("that fails after a start loses no run ID, and is no success", async () => {
    const user = desk.customer();
    const argv = ["runs", "start", "--user", user, "-p", "[rehearse lines=1 interval=0]", "--jq", ".id.nothing"];
    const { code, stdout, stderr } = await desk.run(argv);
    const [row] = await desk.rows(user);
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr).toContain("--jq: Cannot index string");
    expect(stderr).toContain(`the run: ${row?.id}`);
  });

  it("changes no exit code but 0 when it fails", async () => {
    const id = await desk.startRun(desk.customer(), "[rehearse lines=1 interval=0 exit=7]");
    const { code, stderr } = await desk.run(["runs", "watch", id, "--interval", "50ms", "--jq", ".type.nothing"]);
    expect(code).toBe(3);
    // Of many events, once.
    expect(stderr.match(/--jq: Cannot index string/g)).toHaveLength(1);
  });
});
