/** The sandbox's pages in a real browser, with JavaScript and without, beside the command line and other browsers. */
import { readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { Browser, BrowserContextOptions, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import * as z from "zod";
import { run } from "../harness.ts";
import { Calls } from "../support/sandbox-calls.ts";
import { openSandbox, type TestSandbox } from "../support/sandbox.ts";
import { hasChromium, launch } from "./chromium.ts";

const ADA = "ada.admin@kilocode.ai";
const OTTO = "otto.oncall@kilocode.ai";
const JANE = "jane@example.com";
const ERIN = "erin.org@example.com";
const JANES_ID = "c0000000-0000-4000-8000-000000000015";
const JANES_INSTANCE = "d0000000-0000-4000-8000-000000000027";
const ORGANIZATION = "e0000000-0000-4000-8000-00000000000e";
const LONG = "[rehearse lines=1000 interval=0.2]";

const require = createRequire(import.meta.url);
const axeSource = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
const axeResult = z.object({
  passes: z.array(z.unknown()).min(10),
  violations: z.array(z.object({ id: z.string(), nodes: z.array(z.object({ html: z.string() })) })),
});

const button = (page: Page, name: string) => page.getByRole("button", { name });
const status = (page: Page, word: string) => page.locator("#run .status", { hasText: word }).waitFor();

const start = async (page: Page, prompt = LONG) => {
  await page.getByLabel(/What is to be repaired|The problem/).fill(prompt);
  await button(page, "Start").click();
};

describe.runIf(hasChromium)("the sandbox's pages", () => {
  let sandbox: TestSandbox;
  let browser: Browser;
  let calls: Calls;
  let configDir: string;
  /** What the browsers complained about: scripts and styles that were refused, errors. */
  let complaints: string[] = [];
  beforeAll(async () => {
    [sandbox, browser] = await Promise.all([openSandbox(), launch()]);
    calls = new Calls(sandbox, sandbox.adminToken);
    configDir = await mkdtemp(join(tmpdir(), "kiloclaw-site-"));
  });
  afterEach(async () => {
    await Promise.all(browser.contexts().map((context) => context.close()));
    await sandbox.remote.clearFaults();
    for (const run of await runsOf()) if (run.status === "running") await calls.cancel(JANES_ID, run.id);
    const [complaint] = complaints;
    complaints = [];
    if (complaint !== undefined) throw new Error(`a browser complained: ${complaint}`);
  });
  afterAll(async () => {
    await browser.close();
    await sandbox.stop();
    await rm(configDir, { recursive: true });
  });

  const cli = (...argv: string[]) =>
    run(argv, {
      configDir,
      env: { KILOCLAW_ADMIN_HOST: sandbox.url, KILOCLAW_ADMIN_TOKEN: sandbox.adminToken },
    });
  const runsOf = async () => {
    const { data } = await calls.query("admin.kiloclawInstances.listKiloCliRuns", { userId: JANES_ID, limit: 50 });
    return (data as { runs: Array<{ id: string; prompt: string; status: string }> }).runs;
  };

  /** A browser of its own that has given the key and chosen an account. */
  const signIn = async (email: string, path = "/", options: BrowserContextOptions = {}): Promise<Page> => {
    const page = await (await browser.newContext(options)).newPage();
    page.on("pageerror", (error) => complaints.push(String(error)));
    page.on("dialog", (dialog) => complaints.push(`dialog: ${dialog.message()}`));
    page.on("console", (message) => {
      // What a page's own status is, is the tests' business.
      const isOwn = !message.text().startsWith("Failed to load resource");
      if (message.type() === "error" && isOwn) complaints.push(message.text());
    });
    await page.goto(`${sandbox.url}${path}`);
    await page.getByLabel("Key of this sandbox").fill(sandbox.remote.key);
    await button(page, "Continue").click();
    await page.getByLabel("Sign in as").selectOption({ label: email });
    await button(page, "Continue").click();
    await page.getByRole("navigation", { name: "Main" }).waitFor();
    return page;
  };
  const onInstance = (email = ADA, options: BrowserContextOptions = {}) =>
    signIn(email, `/admin/kiloclaw/${JANES_INSTANCE}`, options);

  it("are opened signed in by a file of its owner's", async () => {
    const page = await (await browser.newContext()).newPage();
    await page.goto(pathToFileURL(await sandbox.remote.openingFile(`/admin/kiloclaw/${JANES_INSTANCE}`)).href);
    await page.getByRole("heading", { name: JANE }).waitFor();
    expect(await page.getByText(ADA).first().isVisible()).toBe(true);
    await button(page, "Sign out").click();
    await page.getByRole("heading", { name: "Signed out" }).waitFor();
    await page.goBack();
    await page.reload();
    await page.getByLabel("Key of this sandbox").waitFor();
  });

  describe.each([true, false])("with JavaScript: %s", (javaScriptEnabled) => {
    /** Waits until it is there; without JavaScript somebody has to ask for the page again and again. */
    const appears = async (page: Page, selector: string, hasText: string | RegExp) => {
      const found = page.locator(selector, { hasText });
      if (javaScriptEnabled) return found.waitFor();
      while (!(await found.isVisible())) await page.getByRole("link", { name: "Refresh" }).click();
    };

    it("an admin starts a run, follows and cancels it; the customer sees it, and not whose it is", async () => {
      const admin = await onInstance(ADA, { javaScriptEnabled });
      await start(admin);
      await status(admin, "Running");
      await appears(admin, "#output", "step 2/");
      const customer = await signIn(JANE, "/claw", { javaScriptEnabled });
      await customer.getByRole("link", { name: "Go to the run" }).click();
      await status(customer, "Running");
      expect(await customer.content()).not.toContain(ADA);
      await button(admin, "Cancel run").click();
      await admin.getByText("The run was cancelled").waitFor();
      await appears(customer, "p", "The run was cancelled");
      expect(await button(customer, "Cancel run").count()).toBe(0);
    });

    it("a customer recovers the instance; the admin meets that run, and what was typed is kept", async () => {
      const admin = await onInstance(OTTO, { javaScriptEnabled });
      const customer = await signIn(JANE, "/claw", { javaScriptEnabled });
      await customer.getByRole("link", { name: "Recover with Kilo" }).click();
      await start(customer);
      await status(customer, "Running");
      await start(admin, "typed for nothing");
      await admin.getByText("A run is in progress already. Nothing more was started.").waitFor();
      await status(admin, "Running");
      expect(await admin.getByLabel("What is to be repaired").inputValue()).toBe("typed for nothing");
      await button(customer, "Cancel run").click();
      await customer.getByText("The run was cancelled").waitFor();
      await appears(admin, "#run .status", "Cancelled");
    });

    it("a member of an organization recovers the instance there", async () => {
      const member = await signIn(ERIN, `/organizations/${ORGANIZATION}/claw`, { javaScriptEnabled });
      await member.getByRole("link", { name: "Recover with Kilo" }).click();
      await start(member, "[rehearse lines=2 interval=0.1]");
      await status(member, "Running");
      await appears(member, "p", "The run has completed");
      await member.getByRole("link", { name: "Back to the instance" }).click();
      expect(await member.getByText("started by you").first().isVisible()).toBe(true);
    });

    it("two browsers and the command line start at once: one run, which all see", async () => {
      const before = (await runsOf()).length;
      const [admin, customer] = await Promise.all([
        onInstance(ADA, { javaScriptEnabled }),
        signIn(JANE, "/claw/recover", { javaScriptEnabled }),
      ]);
      const [, , command] = await Promise.all([
        start(admin),
        start(customer),
        cli("runs", "start", "-u", JANE, "-p", LONG, "--yes"),
      ]);
      await Promise.all([status(admin, "Running"), status(customer, "Running")]);
      const runs = await runsOf();
      expect(runs).toHaveLength(before + 1);
      expect([0, 6]).toContain(command.code);
      expect(customer.url()).toContain(`/claw/kilo-cli-run/${runs[0]?.id}`);
    });

    it("a run of the command line is seen, and cancelled from either side", async () => {
      const admin = await onInstance(ADA, { javaScriptEnabled });
      expect((await cli("runs", "start", "-u", JANE, "-p", LONG, "--yes")).code).toBe(0);
      // At rest a page does not ask; it does when somebody comes back to it.
      if (javaScriptEnabled) await admin.evaluate("dispatchEvent(new Event('focus'))");
      await appears(admin, "#run .status", "Running");
      expect((await cli("runs", "cancel", JANE, "--yes")).code).toBe(0);
      await appears(admin, "#run .status", "Cancelled");
      await start(admin);
      await status(admin, "Running");
      await button(admin, "Cancel run").click();
      await status(admin, "Cancelled");
      const shown = await cli("runs", "show", JANE, "--json");
      expect(JSON.parse(shown.stdout)).toMatchObject({ status: "cancelled" });
    });

    it("runs are searched, filtered and shown, and the address says what is seen", async () => {
      const page = await signIn(ADA, "/admin/kiloclaw?tab=cli-runs", { javaScriptEnabled });
      await page.getByLabel("Search").fill("dave");
      if (!javaScriptEnabled) await button(page, "Search").click();
      await page.getByRole("heading", { name: "3 runs" }).waitFor();
      await page.getByLabel("Status").selectOption("failed");
      if (!javaScriptEnabled) await button(page, "Search").click();
      await page.getByRole("heading", { name: "1 run", exact: true }).waitFor();
      await page.getByRole("link", { name: /my_messages/ }).click();
      await page.locator("#detail", { hasText: "boom" }).waitFor();
      const address = page.url();
      expect(address).toMatch(/\?tab=cli-runs&search=dave&status=failed&.*run=91000000/);
      await page.goto("about:blank");
      await page.goto(address);
      await page.locator("#detail", { hasText: "boom" }).waitFor();
      expect(await page.getByLabel("Search").inputValue()).toBe("dave");
    });
  });

  it("are asked again every three seconds while a run is running, and not otherwise", async () => {
    const page = await onInstance();
    await page.clock.install();
    let asked = 0;
    const next = () => page.waitForResponse((response) => response.url() === page.url());
    await start(page, "[rehearse lines=20 interval=0.2]");
    await status(page, "Running");
    page.on("request", (request) => {
      if (request.url() === page.url()) asked += 1;
    });
    const from = performance.now();
    await next();
    await next();
    // The first comes three seconds after the page, the second three seconds after its answer.
    expect(performance.now() - from).toBeGreaterThan(5_000);
    await status(page, "Completed");
    const until = asked;
    expect(await page.locator("[data-poll]").count()).toBe(0);
    await page.clock.runFor(60_000);
    expect(asked).toBe(until);
  });

  it("leave alone what is typed and how it is folded, and follow the end of the output", async () => {
    const page = await onInstance();
    const fold = page.getByText("Output", { exact: true });
    await start(page, "[rehearse lines=400 interval=0.02]");
    await page.locator("#output", { hasText: "step 100/" }).waitFor();
    const box = `document.getElementById("output")`;
    expect(await page.evaluate(`${box}.scrollHeight - ${box}.scrollTop - ${box}.clientHeight`)).toBeLessThan(8);
    await page.getByLabel("What is to be repaired").fill("the next thing");
    await status(page, "Completed");
    // It opened by itself, and stays open at the end.
    expect(await page.locator("#output").isVisible()).toBe(true);
    expect(await page.getByLabel("What is to be repaired").inputValue()).toBe("the next thing");
    await start(page, "[rehearse lines=20 interval=0.2]");
    await status(page, "Running");
    await fold.click();
    await status(page, "Completed");
    expect(await page.locator("#output").isVisible()).toBe(false);
  });

  it("count what is typed as the platform does, and start with Ctrl+Enter", async () => {
    const page = await onInstance();
    await page.getByLabel("What is to be repaired").fill("  👍 ok ");
    expect(await page.locator("#count").textContent()).toBe("5 / 10,000 characters");
    await page.getByLabel("What is to be repaired").fill(LONG);
    await page.keyboard.press("Control+Enter");
    await status(page, "Running");
  });

  it("say so when the sandbox does not answer, and go on when it does", async () => {
    const page = await onInstance();
    await start(page);
    await status(page, "Running");
    await page.route(page.url(), (route) => route.abort());
    await page.getByText("the sandbox does not answer").waitFor();
    await page.unroute(page.url());
    await page.getByText("the sandbox does not answer").waitFor({ state: "hidden" });
    expect(await page.locator("#run .status").textContent()).toContain("Running");
  });

  it("show hostile text as text", async () => {
    const page = await onInstance();
    await start(
      page,
      `</textarea><script>alert(1)</script><img src=x onerror=alert(1)> [rehearse lines=3 interval=0 ansi=1]`,
    );
    await status(page, "Completed");
    await page.getByText("Output", { exact: true }).click();
    expect(await page.locator("blockquote").textContent()).toContain("<script>alert(1)</script>");
    expect(await page.locator("main script, main img").count()).toBe(0);
    expect(await page.locator("#output .ansi-green").count()).toBeGreaterThan(0);
    expect(await page.locator("#output").textContent()).toContain(String.raw`\u{1b}]0;owned`);
  });

  it("can be used by the keyboard alone", async () => {
    const page = await onInstance();
    await page.keyboard.press("Tab");
    expect(await page.evaluate("document.activeElement.textContent")).toBe("Skip to the content");
    await page.getByLabel("What is to be repaired").focus();
    await page.keyboard.type(LONG);
    await page.keyboard.press("Tab");
    expect(await page.evaluate("getComputedStyle(document.activeElement).outlineStyle")).toBe("solid");
    await page.keyboard.press("Enter");
    await status(page, "Running");
  });

  it("have no faults that axe finds, and fit every width, light and dark", async () => {
    const admin = await onInstance(ADA, { bypassCSP: true });
    await start(admin, "[rehearse lines=1000 interval=1 ansi=1]");
    await status(admin, "Running");
    const customer = await signIn(JANE, "/claw", { bypassCSP: true });
    const seen = await signIn(OTTO, "/", { bypassCSP: true });
    const stranger = await (await browser.newContext({ bypassCSP: true })).newPage();
    const history = "/admin/kiloclaw?tab=cli-runs&run=91000000-0000-4000-8000-000000000001";
    const pages: ReadonlyArray<readonly [Page, string]> = [
      [stranger, "/"],
      [seen, "/"],
      [seen, "/account"],
      [seen, "/admin/kiloclaw"],
      [seen, history],
      [seen, `/admin/kiloclaw/${JANES_INSTANCE}`],
      [customer, "/claw"],
      [customer, "/claw/recover"],
      [customer, "/admin/kiloclaw"],
      [await signIn("ivan.stopped@example.com", "/", { bypassCSP: true }), "/claw/recover"],
      [await signIn(ERIN, "/", { bypassCSP: true }), `/organizations/${ORGANIZATION}/claw`],
    ];
    for (const [page, path] of pages) {
      const root = /^.*\/s\/[^/]+/.exec(page.url())?.[0] ?? sandbox.url;
      await page.goto(`${root}${path}`);
      await page.evaluate(axeSource);
      for (const colorScheme of ["light", "dark"] as const) {
        await page.emulateMedia({ colorScheme });
        for (const width of [320, 390, 1280, 2000]) {
          await page.setViewportSize({ width, height: 900 });
          const { violations } = axeResult.parse(await page.evaluate("axe.run()"));
          expect([path, colorScheme, width, violations]).toEqual([path, colorScheme, width, []]);
          expect([path, width, await page.evaluate("document.documentElement.scrollWidth")]).toEqual([
            path,
            width,
            width,
          ]);
        }
      }
    }
  });

  it("load their style and one script", async () => {
    const page = await signIn(ADA);
    const loaded: string[] = [];
    page.on("request", (request) => loaded.push(new URL(request.url()).pathname));
    await page.goto(`${page.url()}admin/kiloclaw`);
    expect(loaded.slice(1)).toEqual(["/sandbox.css", "/sandbox.js"]);
  });
});
