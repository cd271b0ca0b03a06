/** What TAB offers of a platform: what lists say, in time, and nothing that a shell could take for more than a word. */
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { openDesk, run, type Desk, type RunOptions } from "../harness.ts";
import { openRewritingProxy } from "../support/rewriting-proxy.ts";

const USER = "jane@example.com";
const OTHER = "alice@example.com";
const LISTS = ["admin.kiloclawInstances.listAllCliRuns", "admin.kiloclawInstances.list", "admin/api/users"];

let desk: Desk;
let running: string;
let others: string;
beforeAll(async () => {
  desk = await openDesk();
  running = await desk.startRun(USER, "[rehearse lines=1 delay=600]");
  others = await desk.startRun(OTHER, "[rehearse lines=0]");
});
afterAll(() => desk.close());

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "kiloclaw-completion-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** What is offered, with what is shown beside it, in order. Whatever happens, it is no error. */
async function offered(words: readonly string[], options: RunOptions = {}): Promise<[string, string][]> {
  const { code, stdout, stderr } = await desk.run(["__complete", "--", "fish", ...words], {
    configDir: folder,
    ...options,
  });
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  const lines = stdout.trimEnd().split("\n");
  expect(lines.pop()).toBe(":none");
  return lines.map((line) => line.split("\t", 2) as [string, string]);
}

const values = async (words: readonly string[], options?: RunOptions) =>
  (await offered(words, options)).map(([value]) => value);

const NO_TOKEN = { KILOCLAW_ADMIN_TOKEN: "" };

describe("logged in", () => {
  it("offers run IDs, those in progress first, with user and status", async () => {
    const found = await offered(["runs", "show", ""]);
    expect(found).toContainEqual([running, `${USER} running`]);
    const states = found.map(([, about]) => about.split(" ").at(-1));
    expect(states.toSorted((a, b) => Number(b === "running") - Number(a === "running"))).toEqual(states);
    expect(new Set(states).size).toBeGreaterThan(1);
    expect(await offered(["runs", "show", running.slice(0, 9)])).toEqual([[running, `${USER} running`]]);
    expect(await values(["runs", "cancel", others, running.slice(0, 9)])).toEqual([running]);
    expect(await values(["audit", "list", `--run=${running.slice(0, 9)}`])).toEqual([`--run=${running}`]);
  });

  it("offers the runs of the user that the line names, and their latest", async () => {
    const found = await values(["runs", "show", "--user", USER, ""]);
    expect(found).toContain(running);
    expect(found).not.toContain(others);
    expect(found).toContain("@latest");
  });

  it("offers customers who have runs where a run is wanted, once one of them is typed", async () => {
    expect(await offered(["runs", "show", "jane@"])).toEqual([[USER, "this user's run"]]);
    expect(await values(["runs", "watch", "alic"])).toEqual([OTHER]);
    expect((await values(["runs", "show", ""])).filter((value) => value.includes("@"))).toEqual([]);
  });

  it("offers users by e-mail, also behind a =", async () => {
    expect(await values(["runs", "list", "-u", "jane@"])).toEqual([USER]);
    expect(await values(["runs", "list", "--user=jane@"])).toEqual([`--user=${USER}`]);
    expect(await values(["runs", "start", "-u", USER, "-u", "alice@"])).toEqual([OTHER]);
  });

  it("offers instances: of the user that is named, by ID; where a user will do, by e-mail as well", async () => {
    const { id } = await desk.sandbox.remote.instance(USER);
    expect(await offered(["runs", "start", "-u", USER, "-i", ""])).toEqual([[id, `${USER} active`]]);
    expect(await values(["instances", "show", "jane@"])).toEqual([USER]);
    expect(await values(["instances", "show", id.slice(0, -2)])).toContain(id);
  });

  it("asks for lists only, once, and changes nothing", async () => {
    const before = (await desk.requests()).length;
    for (const words of [
      ["runs", "cancel", ""],
      ["runs", "list", "-u", ""],
      ["runs", "list", "-i", ""],
      ["instances", "show", ""],
    ]) {
      await offered(words);
    }
    const asked = (await desk.requests()).slice(before);
    expect(asked.map(({ method }) => method)).not.toContain("POST");
    expect(asked.map(({ procedure }) => procedure).filter((procedure) => !LISTS.includes(procedure))).toEqual([]);
    expect(asked).toHaveLength(5);
    expect((await desk.row(others)).status).toBe("running");
  });

  it("asks nothing for what no platform knows", async () => {
    const before = (await desk.requests()).length;
    for (const words of [
      ["runs", ""],
      ["runs", "list", "--st"],
      ["-o", ""],
      ["jobs", "show", ""],
      ["--profile", ""],
    ])
      await offered(words);
    expect(await desk.requests()).toHaveLength(before);
  });
});

describe("not in time", () => {
  it("asks nothing once the time is over", async () => {
    const before = (await desk.requests()).length;
    expect(await values(["runs", "show", ""], { timing: { completionMs: 0 } })).toEqual([]);
    expect(await desk.requests()).toHaveLength(before);
  });

  it.each(["hang", "503", "html-error", "wrong-shape"] as const)(
    "offers nothing of a platform that answers with %s",
    async (fault) => {
      expect((await desk.run(["sandbox", "fault", "set", fault, "--data-dir", desk.sandbox.dataDir])).code).toBe(0);
      try {
        expect(await values(["runs", "show", ""], { timing: { completionMs: 300 } })).toEqual([]);
      } finally {
        await desk.run(["sandbox", "fault", "clear", "--data-dir", desk.sandbox.dataDir]);
      }
    },
  );
});

describe("without a token at hand", () => {
  it("offers nothing that it does not know, and never asks", async () => {
    expect(await values(["runs", "show", ""], { env: NO_TOKEN })).toEqual([]);
    // The variable is not sent to a platform that only a profile names.
    await writeFile(join(folder, "config.json"), JSON.stringify({ profiles: { own: { host: desk.sandbox.url } } }), {
      mode: 0o600,
    });
    const env = { KILOCLAW_ADMIN_HOST: "" };
    const before = (await desk.requests()).length;
    expect(await values(["--profile", "own", "runs", "show", ""], { env })).toEqual([]);
    expect(await values(["--profile", "nobody", "runs", "show", ""], { env })).toEqual([]);
    expect(await desk.requests()).toHaveLength(before);
    expect(await values(["--host", desk.sandbox.url, "runs", "show", running.slice(0, 9)], { env })).toEqual([running]);
  });

  it("does not ask the keyring", async () => {
    const stored = { tokens: {}, keyring: [desk.sandbox.url] };
    await writeFile(join(folder, "credentials.json"), JSON.stringify(stored), { mode: 0o600 });
    // Asking it would start a program of its own, and there is none.
    expect(await values(["runs", "show", ""], { env: NO_TOKEN, root: folder })).toEqual([]);
  });

  it("uses the token of the file, where that is its user's alone", async () => {
    const path = join(folder, "credentials.json");
    const stored = JSON.stringify({ tokens: { [desk.sandbox.url]: desk.sandbox.adminToken } });
    await writeFile(path, stored, { mode: 0o600 });
    expect(await values(["runs", "show", running.slice(0, 9)], { env: NO_TOKEN })).toEqual([running]);
    await rm(folder, { recursive: true });
    await mkdir(folder);
    await writeFile(path, stored, { mode: 0o644 });
    expect(await values(["runs", "show", ""], { env: NO_TOKEN })).toEqual([]);
  });

  it("offers for a minute what a completion or a list on a terminal has just shown", async () => {
    const hidden = { env: NO_TOKEN };
    await desk.run(["runs", "list", "--no-refresh"], { configDir: folder });
    expect(await readdir(folder)).toEqual([]);
    await desk.run(["runs", "list", "--no-refresh"], { configDir: folder, tty: true });
    const path = join(folder, "state", "seen.json");
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect(await offered(["runs", "show", running.slice(0, 9)], hidden)).toEqual([[running, `${USER} running`]]);
    expect(await values(["runs", "list", "-u", "jane@"], hidden)).toEqual([USER]);
    expect(await values(["runs", "list", "-u", "bob@"], hidden)).toEqual([]);
    await offered(["runs", "list", "-u", "bob@"]);
    expect(await values(["runs", "list", "-u", "bob@"], hidden)).toEqual(["bob@example.com"]);
    // Of another platform nothing is known.
    expect(
      await values(["runs", "show", ""], { env: { ...NO_TOKEN, KILOCLAW_ADMIN_HOST: "https://other.example.com" } }),
    ).toEqual([]);

    const kept = JSON.parse(await readFile(path, "utf8")) as { rows: { at: number }[] };
    const aged = { ...kept, rows: kept.rows.map((row) => ({ ...row, at: row.at - 60_000 })) };
    await writeFile(path, JSON.stringify(aged));
    expect(await values(["runs", "show", running.slice(0, 9)], hidden)).toEqual([]);
  });

  it("offers what this machine has on record itself, its jobs among it", async () => {
    const { stdout } = await desk.run(["runs", "start", "-u", "bob@example.com", "-p", "[rehearse lines=0]", "-q"], {
      configDir: folder,
    });
    const id = stdout.trim();
    const ids = await desk.run(
      [
        "runs",
        "start",
        "-u",
        "fleet01@fleet.example.com",
        "-u",
        "fleet02@fleet.example.com",
        "-p",
        "[rehearse lines=0]",
        "-q",
        "--yes",
        "--detach",
      ],
      { configDir: folder },
    );
    await rm(join(folder, "state", "seen.json"), { force: true });
    const known = await values(["runs", "show", ""], { env: NO_TOKEN });
    expect(known.toSorted()).toEqual([id, ...ids.stdout.trim().split("\n")].toSorted());
    const [latest, job] = await offered(["jobs", "show", ""], { env: NO_TOKEN });
    expect(latest?.[0]).toBe("@latest");
    const { stdout: listed } = await desk.run(["jobs", "list", "-q"], { configDir: folder });
    expect(job).toEqual([listed.trim(), expect.stringMatching(/^2 targets, \d{4}-\d\d-\d\d \d\d:\d\d UTC$/)]);
  });

  it("takes a file that is damaged, or not its user's own, for none", async () => {
    await mkdir(join(folder, "state"), { mode: 0o700 });
    const path = join(folder, "state", "seen.json");
    const row = {
      runId: running,
      instanceId: null,
      email: USER,
      userId: null,
      status: "running",
      origin: desk.sandbox.url,
      at: Date.now(),
    };
    for (const [content, mode] of [
      ["{", 0o600],
      ["{}", 0o600],
      [JSON.stringify({ format: 1, rows: [row] }), 0o666],
    ] as const) {
      await rm(path, { force: true });
      await writeFile(path, content, { mode });
      const { chmod } = await import("node:fs/promises");
      await chmod(path, mode);
      expect(await values(["runs", "show", ""], { env: NO_TOKEN })).toEqual([]);
    }
  });
});

describe("what a platform makes up", () => {
  const HOSTILE = [
    "$(touch owned)@example.com",
    "`touch owned`@example.com",
    `jane'"@example.com`,
    "jane\t@example.com",
    "jane@example.com\n:file",
    "\u001b]0;owned\u0007@example.com",
    "-rf@example.com",
    "jane@example.com;id",
    "jáne@example.com",
  ];

  it.each(HOSTILE)("is not offered: %j", async (address) => {
    const proxy = await openRewritingProxy(desk.sandbox.url, {
      answer: (body) =>
        body.replaceAll(JSON.stringify(USER), JSON.stringify(address)).replaceAll('"active"', JSON.stringify(address)),
    });
    try {
      const env = { KILOCLAW_ADMIN_HOST: proxy.url };
      const id = running.slice(0, 9);
      const [known] = await offered(["runs", "show", id], { env });
      expect(known?.[0]).toBe(running);
      expect(known?.[1]).toMatch(/^[\w -]*running$/);
      const users = await offered(["runs", "list", "-u", ""], { env });
      expect(users.length).toBeGreaterThan(3);
      for (const [value, description = ""] of [...users, ...(await offered(["instances", "show", ""], { env }))]) {
        expect(value).toMatch(/^[A-Za-z0-9][A-Za-z0-9._+@-]*$/);
        expect(description).toMatch(/^[A-Za-z0-9._+@ -]*$/);
      }
      expect(await readFile(join(folder, "state", "seen.json"), "utf8")).not.toContain("owned");
    } finally {
      await proxy.close();
    }
  });
});

describe("completion", () => {
  it.each(["bash", "zsh", "fish", "powershell"])("prints the script for %s, and where to put it", async (shell) => {
    const printed = await run(["completion", shell]);
    expect(printed).toMatchObject({ code: 0, stderr: "" });
    expect(printed.stdout).toContain("kiloclaw-admin __complete -- ");
    const told = await run(["completion", "install"], {
      env: { SHELL: shell === "powershell" ? "/usr/bin/pwsh" : `/bin/${shell}`, HOME: folder },
    });
    expect(told).toMatchObject({ code: 0, stderr: "" });
    expect(told.stdout).toContain(`kiloclaw-admin completion ${shell} > `);
    expect((await run(["completion", "install", shell], { env: { HOME: folder } })).stdout).toBe(told.stdout);
    // It is only told: nothing is there that was not there before.
    expect(await readdir(folder)).toEqual([]);
  });

  it("asks for the shell where it cannot be told", async () => {
    for (const SHELL of [undefined, "", "/bin/tcsh"]) {
      const { code, stderr } = await run(["completion", "install"], { env: { SHELL } });
      expect(code).toBe(2);
      expect(stderr).toContain("kiloclaw-admin completion install zsh");
    }
    expect((await run(["completion", "bash", "zsh"])).code).toBe(2);
    expect((await run(["completion", "tcsh"])).code).toBe(2);
  });
});
