/** The sandbox's pages for admins and customers, as a browser without JavaScript sees them; and what attacks come to. */
import { request } from "node:http";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { Calls } from "../support/sandbox-calls.ts";
import { fromOwnPage, hiddenFields, Visitor } from "../support/sandbox-pages.ts";
import type { TestSandbox } from "../support/sandbox.ts";
import { borrowSandbox } from "../support/shared-sandbox.ts";

const ORGANIZATION = "e0000000-0000-4000-8000-00000000000e";
const person = (number: number) => `c0000000-0000-4000-8000-${String(number).padStart(12, "0")}`;
const instance = (number: number) => `d0000000-0000-4000-8000-${String(number).padStart(12, "0")}`;
const JANE = person(15);
const CAROL = person(3);
const ALICE = person(1);
const LONG = "[rehearse lines=1000 interval=1]";
const EVIL = `<script>alert("1")</script><img src=x onerror=alert(1)>`;

let sandbox: TestSandbox;
let calls: Calls;
let ada: Visitor;
let jane: Visitor;
beforeAll(async () => {
  sandbox = await borrowSandbox();
  calls = new Calls(sandbox, sandbox.adminToken);
  ada = await Visitor.as(sandbox, "ada.admin@kilocode.ai");
  jane = await Visitor.as(sandbox, "jane@example.com");
});
afterEach(() => sandbox.remote.clearFaults());
afterAll(() => sandbox.stop());

const text = async (response: Response | Promise<Response>) => (await response).text();
const runsOf = async (userId: string) => {
  const { data } = await calls.query("admin.kiloclawInstances.listKiloCliRuns", { userId });
  return (data as { runs: Array<{ id: string; prompt: string; status: string }> }).runs;
};
const historic = (run: number) =>
  text(ada.get(`/admin/kiloclaw?tab=cli-runs&run=91000000-0000-4000-8000-00000000000${run}`));
/** Starts a run that goes on, does something, and cancels it. */
const during = async <T>(userId: string, work: (runId: string) => Promise<T>): Promise<T> => {
  const { id } = await calls.started(userId, LONG);
  try {
    return await work(id);
  } finally {
    await calls.cancel(userId, id);
  }
};
/** Where a form's answer leads, without the session's place. */
const leadsTo = (response: Response) => (response.headers.get("location") ?? "").replace(/^\/s\/[^/]+/, "");

describe("an account", () => {
  test("is asked for first, and the page that was asked for follows", async () => {
    const visitor = await Visitor.of(sandbox);
    const page = await text(visitor.get("/admin/kiloclaw?tab=cli-runs&search=jane"));
    expect(page).toContain('<label for="account">');
    expect(page).not.toContain("blocked@example.com");
    const account = "a0000000-0000-4000-8000-000000000001";
    const chosen = await visitor.post("/account", {
      ...hiddenFields(page),
      next: "/admin/kiloclaw?tab=cli-runs&search=jane",
      account,
    });
    expect([chosen.status, leadsTo(chosen)]).toEqual([303, "/admin/kiloclaw?tab=cli-runs&search=jane"]);
    expect(await text(visitor.get("/"))).toContain("ada.admin@kilocode.ai");
  });

  test.each(["blocked@example.com", "blocked.admin@kilocode.ai", "nobody@example.com"])(
    "%s cannot be chosen",
    async (account) => {
      const visitor = await Visitor.of(sandbox);
      const form = hiddenFields(await text(visitor.get("/account")));
      expect((await visitor.post("/account", { ...form, account })).status).toBe(400);
      expect(await text(visitor.get("/admin/kiloclaw"))).toContain('<label for="account">');
    },
  );

  test("is signed out for good", async () => {
    const visitor = await Visitor.as(sandbox, "otto.oncall@kilocode.ai");
    const form = hiddenFields(await text(visitor.get("/")));
    expect((await visitor.post("/sign-out", form)).status).toBe(200);
    expect((await visitor.get("/")).status).toBe(401);
  });
});

describe("what is refused", () => {
  const ADMIN_PAGES = ["/admin/kiloclaw", "/admin/kiloclaw?tab=cli-runs", `/admin/kiloclaw/${instance(27)}`];

  test.each(ADMIN_PAGES)("a customer's session on %s", async (path) => {
    const response = await jane.get(path);
    expect(response.status).toBe(403);
    expect(await response.text()).not.toContain("bob@example.com");
  });

  test("a customer's session starts nothing as an admin, on no page and by no procedure", async () => {
    const before = await runsOf(ALICE);
    const token = hiddenFields(await text(jane.get("/"))).token ?? "";
    expect((await jane.post(`/admin/kiloclaw/${instance(1)}`, { token, prompt: LONG })).status).toBe(403);
    const response = await fetch(`${sandbox.url}/api/trpc/admin.kiloclawInstances.startKiloCliRun`, {
      method: "POST",
      headers: { cookie: jane.cookie, "content-type": "application/json", ...fromOwnPage(sandbox) },
      body: JSON.stringify({ userId: ALICE, prompt: LONG }),
    });
    expect(response.status).toBe(401);
    expect(await runsOf(ALICE)).toEqual(before);
  });

  test.each([
    ["another site", { origin: "https://evil.example", "sec-fetch-site": "cross-site" }],
    ["another port", { origin: "http://127.0.0.1:9", "sec-fetch-site": "same-site" }],
    ["a sandboxed frame", { origin: "null", "sec-fetch-site": "cross-site" }],
  ])("a form of %s, although it has the cookie and the token", async (_, headers) => {
    const path = `/admin/kiloclaw/${instance(1)}`;
    const { token = "" } = hiddenFields(await text(ada.get(path)));
    const before = await runsOf(ALICE);
    expect((await ada.post(path, { token, prompt: LONG }, headers)).status).toBe(403);
    expect(await runsOf(ALICE)).toEqual(before);
  });

  test("a form without the token, or with another session's", async () => {
    const path = `/admin/kiloclaw/${instance(1)}`;
    const { token = "" } = hiddenFields(await text(jane.get("/")));
    const before = await runsOf(ALICE);
    for (const given of [{}, { token }, { token: "" }]) {
      expect((await ada.post(path, { ...given, prompt: LONG })).status).toBe(403);
    }
    expect((await ada.post("/sign-out", {})).status).toBe(403);
    expect(await runsOf(ALICE)).toEqual(before);
  });

  test.each([
    ["https://evil.example/x", "/"],
    ["//evil.example/x", "/"],
    [String.raw`/\evil.example`, "/"],
    ["javascript:alert(1)", "/"],
    ["http://[", "/"],
    ["/claw\r\nset-cookie: x=1", "/clawset-cookie:%20x=1"],
    ["/../../claw", "/claw"],
  ])("another site to go on to: %j leads to %s", async (next, page) => {
    const form = hiddenFields(await text(jane.get("/account")));
    const response = await jane.post("/account", { ...form, next, account: JANE });
    expect(response.status).toBe(303);
    expect(response.headers.get("location")).toBe(`${jane.place}${page}`);
  });

  test("a name that was made to point here", async () => {
    const status = await new Promise((resolve, reject) => {
      const options = { headers: { host: "evil.example", cookie: ada.cookie } };
      request(`${sandbox.url}${ada.place}/admin/kiloclaw`, options, (response) => {
        response.resume();
        resolve(response.statusCode);
      })
        .on("error", reject)
        .end();
    });
    expect(status).toBe(421);
  });

  test("another customer's run: not seen, not cancelled", async () => {
    await during(CAROL, async (runId) => {
      const path = `/claw/kilo-cli-run/${runId}`;
      const { token = "" } = hiddenFields(await text(jane.get("/")));
      expect((await jane.get(path)).status).toBe(404);
      expect((await jane.get(`${path}/output`)).status).toBe(404);
      expect((await jane.post(path, { token, cancel: runId })).status).toBe(404);
      expect((await calls.status(CAROL, runId)).status).toBe("running");
    });
  });

  test("an organization's pages to those who are no members", async () => {
    for (const path of ["", "/recover", `/kilo-cli-run/${instance(1)}`]) {
      const response = await jane.get(`/organizations/${ORGANIZATION}/claw${path}`);
      expect(response.status).toBe(403);
      expect(await response.text()).toContain("You do not have access to this organization");
    }
    expect((await jane.get("/organizations/x/claw")).status).toBe(403);
  });

  test("markup in a prompt, an output and an address: it is text, whoever looks", async () => {
    const { id } = await calls.started(JANE, `${EVIL} [rehearse lines=1 interval=0 ansi=1]`);
    await calls.statusWhen(JANE, id, ({ status }) => status !== "running");
    const pages = [
      [ada, `/admin/kiloclaw/${instance(27)}`],
      [ada, `/admin/kiloclaw?tab=cli-runs&run=${id}&search=${encodeURIComponent(EVIL)}`],
      [ada, `/admin/kiloclaw?search=${encodeURIComponent(EVIL)}`],
      [jane, "/claw"],
      [jane, `/claw/kilo-cli-run/${id}`],
    ] as const;
    for (const [visitor, path] of pages) {
      const page = await text(visitor.get(path));
      expect(page).toContain("&lt;script&gt;");
      expect(page.match(/<script/g)).toEqual(["<script"]);
      expect(page).not.toContain("<img");
      // oxlint-disable-next-line no-control-regex -- none of them may be left
      expect(page).not.toMatch(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/);
    }
    const output = await jane.get(`/claw/kilo-cli-run/${id}/output`);
    expect(output.headers.get("content-type")).toMatch(/^text\/plain/);
    expect(output.headers.get("x-content-type-options")).toBe("nosniff");
  });
});

describe("an admin", () => {
  test("finds runs by search, status and who started them; all of it is in the address", async () => {
    const page = await text(ada.get("/admin/kiloclaw?tab=cli-runs&search=dave&status=failed&initiatedBy=user"));
    expect(page).toContain("1 run<");
    expect(page).toContain("Why does 100% of my_messages fail?");
    expect(page).toContain("exit 1");
    expect(page).toMatch(/value="failed" selected/);
    const [, selected = ""] = /class="row"[^>]*href="([^"]+)"/.exec(page) ?? [];
    expect(selected).toContain("search=dave&amp;status=failed&amp;initiatedBy=user&amp;run=91000000");
    const detail = await text(ada.get(selected.replaceAll("&amp;", "&").replace(/^\/s\/[^/]+/, "")));
    expect(detail).toContain("boom");
    expect(detail).toContain(instance(4));
  });

  test("turns pages of 25, and sees who started a run", async () => {
    const page = await text(ada.get("/admin/kiloclaw?tab=cli-runs&page=2"));
    expect(page.match(/class="row"/g)).toHaveLength(25);
    expect(page).toContain("Page 2 of");
    expect(page).toContain("by otto.oncall@kilocode.ai");
  });

  test("is shown which list it is, whatever of it is seen", async () => {
    const page = await text(ada.get("/admin/kiloclaw?tab=cli-runs&search=orphan&page=1"));
    expect(page.match(/<a href="[^"]*" aria-current="page">[^<]*/g)).toEqual([
      expect.stringMatching(/\?tab=cli-runs" aria-current="page">Runs$/),
    ]);
  });

  test("takes an address with nonsense in it for one without", async () => {
    const page = await ada.get("/admin/kiloclaw?tab=cli-runs&page=-1&status=x&run=1");
    expect(page.status).toBe(200);
    expect(await page.text()).toContain("Page 1 of");
  });

  test("gets a page, not a statement of the database, where the platform cannot answer", async () => {
    const response = await ada.get("/admin/kiloclaw?search=%00");
    expect(response.status).toBe(502);
    const page = await response.text();
    expect(page).toContain("The platform cannot answer");
    expect(page).not.toMatch(/select/i);
  });

  test("is told why there is no output", async () => {
    expect(await historic(3)).toContain("appears here when the run completes");
    expect(await historic(4)).toContain("No output recorded");
  });

  test("starts a run, meets it with a second start, and cancels it", async () => {
    const path = `/admin/kiloclaw/${instance(27)}`;
    const before = (await runsOf(JANE)).length;
    const started = await ada.fillIn(path, { prompt: ` first\r\nline ${LONG}\r\n` });
    expect([started.status, leadsTo(started)]).toEqual([303, path]);
    const [run] = await runsOf(JANE);
    expect(run).toMatchObject({ prompt: `first\nline ${LONG}`, status: "running" });
    const second = await ada.fillIn(path, { prompt: "typed for nothing" });
    expect(second.status).toBe(409);
    const met = await second.text();
    expect(met).toContain("A run is in progress already. Nothing more was started.");
    expect(met).toContain("first\nline");
    expect(met).toContain("typed for nothing");
    expect(await runsOf(JANE)).toHaveLength(before + 1);
    const page = await text(ada.get(path));
    expect(page).toMatch(/<details id="output-of-[\da-f-]+" open/);
    expect(page).toContain("data-poll");
    expect(page).toContain("CLI run started on instance");
    expect((await ada.fillIn(path, { cancel: run?.id ?? "" })).status).toBe(303);
    const cancelled = await text(ada.get(path));
    expect(cancelled).toContain("The run was cancelled");
    expect(cancelled).not.toContain("data-poll");
    expect(cancelled).toContain("CLI run cancelled");
  });

  test.each([
    ["not running", instance(9), 409, "The machine is not running, so nothing was started."],
    ["too old", instance(8), 412, "needs a redeploy"],
  ])("is told that nothing was started: %s", async (_, id, status, said) => {
    const response = await ada.fillIn(`/admin/kiloclaw/${id}`, { prompt: "x" });
    expect(response.status).toBe(status);
    expect(await response.text()).toContain(said);
  });

  test("is told that it is not known whether it started, and keeps what was typed", async () => {
    await sandbox.remote.setFault({ name: "worker", value: "lost-answer", user: JANE });
    const response = await ada.fillIn(`/admin/kiloclaw/${instance(27)}`, { prompt: "[rehearse lines=1 interval=0]" });
    expect(response.status).toBe(502);
    const page = await response.text();
    expect(page).toContain("It is not known whether a run was started");
    expect(page).toContain("[rehearse lines=1 interval=0]</textarea");
    await sandbox.remote.clearFaults();
  });

  test("does not send an empty prompt, or one that is too long", async () => {
    for (const prompt of ["", "  \r\n ", "x".repeat(10_001)]) {
      const response = await ada.fillIn(`/admin/kiloclaw/${instance(1)}`, { prompt });
      expect(response.status).toBe(400);
      expect(await response.text()).toContain("A prompt has 1 to 10,000 characters");
    }
  });

  test("sees a status that cannot be read as what it is", async () => {
    await during(ALICE, async () => {
      await sandbox.remote.setFault({ name: "worker", value: "500", user: ALICE });
      const page = await text(ada.get(`/admin/kiloclaw/${instance(1)}`));
      expect(page).toContain("Its status cannot be read just now (KiloClaw API error (500))");
      expect(page).toContain("Running");
      await sandbox.remote.clearFaults();
    });
  });

  test("sees that the outcome of a lost run is unknown, not that it failed", async () => {
    const { id } = await calls.started(ALICE, LONG);
    await sandbox.remote.setFault({ name: "controller-restart", count: 1, user: ALICE });
    expect(await text(ada.get(`/admin/kiloclaw/${instance(1)}`))).toContain("Outcome unknown");
    const list = await text(ada.get(`/admin/kiloclaw?tab=cli-runs&search=${instance(1)}&run=${id}`));
    expect(list.match(/Outcome unknown/g)).toHaveLength(2);
  });

  test("starts nothing on a destroyed instance, and on none that does not exist", async () => {
    expect(await text(ada.get(`/admin/kiloclaw/${instance(4)}`))).not.toContain("<textarea");
    for (const id of ["x", instance(99)]) expect((await ada.get(`/admin/kiloclaw/${id}`)).status).toBe(404);
  });

  test("starts the longest prompt, in a script whose characters take nine bytes each in a form", async () => {
    const command = "[rehearse lines=1 interval=0]";
    const prompt = `${"界".repeat(10_000 - command.length)}${command}`;
    expect((await ada.fillIn(`/admin/kiloclaw/${instance(27)}`, { prompt })).status).toBe(303);
    const [run] = await runsOf(JANE);
    expect(run?.prompt).toBe(prompt);
    await calls.statusWhen(JANE, run?.id ?? "", ({ status }) => status !== "running");
  });

  test("gets the last 256 KiB of an output, and all of it by a link", async () => {
    const { id } = await calls.started(CAROL, "[rehearse lines=1 interval=0 bytes=400000]");
    const { output } = await calls.statusWhen(CAROL, id, ({ status }) => status !== "running");
    const page = await text(ada.get(`/admin/kiloclaw/${instance(3)}`));
    expect(page.length).toBeLessThan(350_000);
    const [, all = ""] = /The last 256 KiB of it. <a href="([^"]+)"/.exec(page) ?? [];
    expect(await text(ada.get(all.replace(/^\/s\/[^/]+/, "")))).toBe(output);
  });
});

describe("a customer", () => {
  test("goes straight to the run in progress, an admin's too, and does not see whose it is", async () => {
    await during(JANE, async (runId) => {
      const recover = await jane.get("/claw/recover");
      expect(new URL(recover.url).pathname).toMatch(new RegExp(`/claw/kilo-cli-run/${runId}$`));
      const page = await recover.text();
      expect(page).toContain("an admin");
      expect(page).not.toContain("ada.admin");
      expect(page).not.toContain("a0000000-0000-4000-8000-000000000001");
      const { token = "" } = hiddenFields(page);
      const second = await jane.post("/claw/recover", { token, prompt: "again" });
      expect([second.status, leadsTo(second)]).toEqual([303, `/claw/kilo-cli-run/${runId}?met`]);
      expect(await text(jane.get(leadsTo(second)))).toContain("Nothing more was started.");
    });
  });

  test("starts a run, sees it, and cancels it", async () => {
    expect(await text(jane.get("/claw"))).toContain("Recover with Kilo");
    const started = await jane.fillIn("/claw/recover", { prompt: LONG });
    const path = leadsTo(started);
    const page = await text(jane.get(path));
    expect(page).toContain("Running");
    const runId = path.split("/").pop() ?? "";
    expect(leadsTo(await jane.fillIn(path, { cancel: runId }))).toBe(path);
    expect(await text(jane.get(path))).toContain("The run was cancelled");
    expect(await text(jane.get("/claw"))).toContain("started by you");
  });

  test("sees what is on record of a run whose status cannot be read", async () => {
    await during(JANE, async (runId) => {
      await sandbox.remote.setFault({ name: "worker", value: "500", user: JANE });
      for (const path of [`/claw/kilo-cli-run/${runId}`, "/claw"]) {
        const page = await jane.get(path);
        expect(page.status).toBe(200);
        expect(await page.text()).toContain("Running");
      }
      expect(await text(jane.get(`/claw/kilo-cli-run/${runId}`))).toContain("cannot be read just now");
      expect(await text(jane.get("/claw"))).toContain("Whether the machine runs is not known just now");
      const failed = await jane.fillIn(`/claw/kilo-cli-run/${runId}`, { cancel: runId });
      expect(await failed.text()).toContain("It is not known whether the run was cancelled");
      await sandbox.remote.clearFaults();
    });
  });

  test("is told how a run ended", async () => {
    const { id } = await calls.started(JANE, "[rehearse lines=1 interval=0 exit=3]");
    await calls.statusWhen(JANE, id, ({ status }) => status !== "running");
    expect(await text(jane.get(`/claw/kilo-cli-run/${id}`))).toContain("The run has failed with exit code 3");
  });

  test("waits while the machine restarts, and starts nothing before", async () => {
    await sandbox.remote.setFault({ name: "instance-status", value: "restarting", user: JANE });
    for (const path of ["/claw", "/claw/recover"]) {
      const page = await text(jane.get(path));
      expect(page).toContain("The machine is restarting");
      expect(page).toContain("data-poll");
    }
    expect(await text(jane.get("/claw/recover"))).toMatch(/<button[^>]*disabled/);
    const response = await jane.fillIn("/claw/recover", { prompt: "x" });
    expect(response.status).toBe(409);
  });

  test("is told that the instance needs a redeploy", async () => {
    const heidi = await Visitor.as(sandbox, "heidi.old@example.com");
    const response = await heidi.fillIn("/claw/recover", { prompt: "x" });
    expect(response.status).toBe(412);
    expect(await response.text()).toContain("needs a redeploy");
  });

  test("without a subscription is told so", async () => {
    const frank = await Visitor.as(sandbox, "frank.none@example.com");
    expect(await text(frank.get("/claw"))).toContain("You have no instance here.");
    const response = await frank.fillIn("/claw/recover", { prompt: "x" });
    expect(response.status).toBe(403);
    expect(await response.text()).toContain("requires an active subscription");
  });

  test("without an instance in his organization is told so, and that nothing was started", async () => {
    const path = `/organizations/${ORGANIZATION}/claw`;
    expect(await text(ada.get(path))).toContain("You have no instance here.");
    const response = await ada.fillIn(`${path}/recover`, { prompt: "x" });
    expect(response.status).toBe(403);
    expect(await response.text()).toContain(
      "No active KiloClaw instance found for this organization. Nothing was started.",
    );
  });

  test("of an organization has the same pages there", async () => {
    const erin = await Visitor.as(sandbox, "erin.org@example.com");
    const path = `/organizations/${ORGANIZATION}/claw`;
    expect(await text(erin.get("/"))).toContain(path);
    expect(await text(erin.get(path))).toContain(instance(5));
    const started = leadsTo(await erin.fillIn(`${path}/recover`, { prompt: LONG }));
    expect(started).toMatch(new RegExp(`^${path}/kilo-cli-run/`));
    const gina = await Visitor.as(sandbox, "Gina.Multi@Example.com");
    expect((await gina.get(started)).status).toBe(404);
    expect((await erin.fillIn(started, { cancel: started.split("/").pop() ?? "" })).status).toBe(303);
    expect(await text(erin.get(started))).toContain("The run was cancelled");
  });
});

test("each page is at most 50 kB, and asks for its style and one script only", async () => {
  for (const [visitor, path] of [
    [ada, "/"],
    [ada, "/admin/kiloclaw"],
    [ada, "/admin/kiloclaw?tab=cli-runs&run=91000000-0000-4000-8000-000000000001"],
    [ada, `/admin/kiloclaw/${instance(6)}`],
    [jane, "/claw"],
    [jane, "/claw/recover"],
  ] as const) {
    const page = await text(visitor.get(path));
    expect(Buffer.byteLength(page)).toBeLessThan(50_000);
    expect(page.match(/(?:src|<link[^>]*href)="[^"]*"/g)).toEqual([
      '<link rel="stylesheet" href="/sandbox.css"',
      'src="/sandbox.js"',
    ]);
    expect(page).not.toMatch(/<[^>]* (?:style|on\w+)=/);
  }
});

test("what people look at is in no log of calls, and no fault strikes it", async () => {
  await sandbox.remote.setFault({ name: "503" });
  const before = (await sandbox.remote.requests()).length;
  expect((await ada.get("/admin/kiloclaw")).status).toBe(200);
  expect((await sandbox.remote.requests()).length).toBe(before);
});
