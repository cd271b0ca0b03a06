/** The platform's own pages: their addresses, and the browser that they are opened in. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openDesk, type Desk } from "../harness.ts";

let desk: Desk;
beforeAll(async () => {
  desk = await openDesk({ extraUsers: 5 });
});
afterAll(() => desk.close());

const instance = (n: number) => `d0000000-0000-4000-8000-${String(n).padStart(12, "0")}`;

describe("--print", () => {
  it.each([
    [["instances", "open", instance(6)], `/admin/kiloclaw/${instance(6)}`],
    [["instances", "open", "jane@example.com"], `/admin/kiloclaw/${instance(27)}`],
    // Of an instance that was destroyed, and of none at all.
    [["runs", "open", "91000000-0000-4000-8000-000000000001"], "/admin/kiloclaw?tab=cli-runs"],
    [["runs", "open", "frank.none@example.com"], "/admin/kiloclaw?tab=cli-runs"],
  ])("%j: %s", async (argv, page) => {
    const { code, stdout } = await desk.run([...argv, "--print"]);
    expect({ code, stdout }).toEqual({ code: 0, stdout: `${desk.sandbox.url}${page}\n` });
    expect(JSON.parse((await desk.run([...argv, "--json"])).stdout)).toEqual({ url: `${desk.sandbox.url}${page}` });
  });

  it("of a run is its instance's page", async () => {
    const customer = desk.customer();
    const id = await desk.startRun(customer, "[rehearse lines=0]");
    const { id: on } = await desk.sandbox.remote.instance(customer);
    for (const name of [id, id.slice(0, 8), customer]) {
      expect((await desk.run(["runs", "open", name, "--print"])).stdout).toBe(
        `${desk.sandbox.url}/admin/kiloclaw/${on}\n`,
      );
    }
  });

  it("guesses nothing", async () => {
    expect((await desk.run(["instances", "open", "gina.multi@example.com"])).code).toBe(5);
    expect((await desk.run(["runs", "open", "00000000-0000-4000-8000-0000000000aa"])).code).toBe(5);
  });
});

it("prints the address where there is no browser", async () => {
  const { code, stdout, stderr } = await desk.run(["instances", "open", instance(6)], {
    env: { DISPLAY: "", WAYLAND_DISPLAY: "", WSL_DISTRO_NAME: "" },
  });
  expect({ code, stdout }).toEqual({ code: 0, stdout: `${desk.sandbox.url}/admin/kiloclaw/${instance(6)}\n` });
  expect(stderr).toContain("no browser here; open the page yourself");
});

describe("a stopped machine", () => {
  const PAGE = `kiloclaw-admin instances open ${instance(9)}`;

  it("has its page as the next step of a start", async () => {
    const { code, stderr } = await desk.run(["runs", "start", "-u", "ivan.stopped@example.com", "-p", "x"]);
    expect(code).toBe(6);
    expect(stderr).toContain(`start the machine first, on its page: ${PAGE}`);
  });

  it("has it as the next step of a diagnosis", async () => {
    const { stdout } = await desk.run(["runs", "diagnose", "ivan.stopped@example.com", "--json"]);
    const { next } = JSON.parse(stdout) as { next: { command: string }[] };
    expect(next[0]?.command).toBe(PAGE);
  });

  it("has it at the end of a job", async () => {
    const users = ["ivan.stopped@example.com", desk.customer()].flatMap((user) => ["-u", user]);
    const { stderr } = await desk.run(["runs", "start", ...users, "-p", "[rehearse lines=0]", "--yes"]);
    expect(stderr).toContain("start a stopped machine, on its page: kiloclaw-admin instances open INSTANCE");
  });
});
