import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parse, parseAllDocuments } from "yaml";
import { openDesk, type Desk } from "../harness.ts";

let desk: Desk;
beforeAll(async () => {
  desk = await openDesk({ extraUsers: 10 });
});
afterAll(() => desk.close());

describe("-o yaml", () => {
  it("says of a list and of one row what JSON says", async () => {
    const list = ["runs", "list", "--no-refresh", "--limit", "5"];
    const rows: unknown = JSON.parse((await desk.run([...list, "--json"])).stdout);
    const { code, stdout } = await desk.run([...list, "-o", "yaml"]);
    expect({ code, rows: parse(stdout) as unknown }).toEqual({ code: 0, rows });
    const [{ id = "" } = {}] = rows as { id?: string }[];
    const show = ["runs", "show", id, "--no-refresh", "--fields", "id,prompt"];
    const row: unknown = JSON.parse((await desk.run([...show, "--json"])).stdout);
    expect(parse((await desk.run([...show, "-o", "yaml"])).stdout)).toEqual(row);
    expect(parse((await desk.run([...list, "-S", "nothing-is-like-this", "-o", "yaml"])).stdout)).toEqual([]);
  });

  it("writes a document an event", async () => {
    const argv = ["runs", "start", "--user", desk.customer(), "-p", "[rehearse lines=2 interval=0]", "--watch"];
    const { code, stdout } = await desk.run([...argv, "--interval", "50ms", "-o", "yaml"]);
    expect(code).toBe(0);
    const events = parseAllDocuments(stdout).map((document) => document.toJS() as { type: string });
    expect(events[0]).toMatchObject({ type: "start" });
    expect(events.at(-1)).toMatchObject({ type: "end", run: { status: "completed" } });
  });

  it("has errors that are YAML, too", async () => {
    const { code, stderr } = await desk.run(["runs", "show", "12345678-0000-4000-8000-000000000000", "-o", "yaml"]);
    expect(parse(stderr)).toMatchObject({ error: { kind: "not-found", exitCode: code } });
    expect(await desk.run(["runs", "list", "-o", "yaml", "--jq", "."])).toMatchObject({ code: 2 });
  });
});
