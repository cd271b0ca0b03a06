/** A job's process, seen and called off by another one. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { openDesk, root, type Desk } from "../harness.ts";
import { eventually } from "../support/eventually.ts";

const LONG = "drill [rehearse lines=600 interval=0.2]";

let desk: Desk;
beforeAll(async () => {
  desk = await openDesk({ extraUsers: 20 });
});
afterAll(() => desk.close());

async function working(users: readonly string[]) {
  const argv = ["runs", "start", ...users.flatMap((user) => ["-u", user]), "-p", LONG, "--yes", "--max-running", "2"];
  const child = spawn(process.execPath, [join(root, "bin", "kiloclaw-admin.js"), ...argv, "--wait"], {
    env: { PATH: process.env.PATH, HOME: desk.configDir, KILOCLAW_ADMIN_CONFIG_DIR: desk.configDir, ...desk.env },
    stdio: "ignore",
  });
  const ended = once(child, "exit") as Promise<[code: number | null, signal: string | null]>;
  await eventually(async () => expect(await rowsOf(users)).toHaveLength(2));
  return { child, ended };
}
const rowsOf = async (users: readonly string[]) => (await Promise.all(users.map((user) => desk.rows(user)))).flat();
const customers = (count: number) => Array.from({ length: count }, () => desk.customer());

it("ends by itself when the job is cancelled", async () => {
  const users = customers(5);
  const { ended } = await working(users);
  const { code } = await desk.run(["jobs", "cancel", "@latest", "--yes"]);
  expect(code).toBe(0);
  expect(await ended).toEqual([9, null]);
  expect((await rowsOf(users)).map(({ status }) => status)).toEqual(["cancelled", "cancelled"]);
});

it("is said to have died when it was killed; the job can be cancelled all the same, and a watch ends", async () => {
  const users = customers(5);
  const { child, ended } = await working(users);
  const watched = desk.run(["jobs", "watch", "@latest"]);
  child.kill("SIGKILL");
  await ended;
  expect((await watched).code).toBe(9);
  expect((await desk.run(["jobs", "list"])).stdout).toContain("stopped: its process died");
  expect((await desk.run(["jobs", "show", "@latest"])).stdout).toContain("stopped: its process died");
  const { code } = await desk.run(["jobs", "cancel", "@latest", "--yes"]);
  expect(code).toBe(0);
  expect((await rowsOf(users)).map(({ status }) => status)).toEqual(["cancelled", "cancelled"]);
});
