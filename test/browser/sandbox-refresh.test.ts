/** What the sandbox's pages do with an answer that comes while something else is on them. */
import { EventEmitter, once } from "node:events";
import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { Visitor } from "../support/sandbox-pages.ts";
import { openSandbox, type TestSandbox } from "../support/sandbox.ts";
import { hasChromium, launch } from "./chromium.ts";

describe.runIf(hasChromium)("a page of the sandbox", () => {
  let sandbox: TestSandbox;
  let browser: Browser;
  beforeAll(async () => {
    [sandbox, browser] = await Promise.all([openSandbox(), launch()]);
  });
  afterEach(async () => {
    await Promise.all(browser.contexts().map((context) => context.close()));
    await sandbox.remote.clearFaults();
  });
  afterAll(async () => {
    await browser.close();
    await sandbox.stop();
  });

  const open = async (email: string, path: string): Promise<Page> => {
    const { place, cookie } = await Visitor.as(sandbox, email);
    const context = await browser.newContext();
    const [name = "", value = ""] = cookie.split("=");
    await context.addCookies([{ name, value, domain: "127.0.0.1", path: place, sameSite: "Strict" }]);
    const page = await context.newPage();
    page.setDefaultTimeout(10_000);
    await page.goto(`${sandbox.url}${place}${path}`);
    return page;
  };

  it("lets the customer type as soon as the machine runs again", async () => {
    const user = "c0000000-0000-4000-8000-000000000015";
    await sandbox.remote.setFault({ name: "instance-status", value: "restarting", user });
    const page = await open("jane@example.com", "/claw/recover");
    await page.getByText("The machine is restarting").waitFor();
    expect(await page.getByLabel("The problem").isDisabled()).toBe(true);
    await sandbox.remote.clearFaults();
    await page.getByText("The machine is restarting").waitFor({ state: "detached" });
    await page.getByLabel("The problem").fill("[rehearse lines=1 interval=0]");
    await page.getByRole("button", { name: "Start" }).click();
    await page.waitForURL(/\/claw\/kilo-cli-run\//);
  });

  it("refreshes the list that its filters show now", async () => {
    const page = await open("ada.admin@kilocode.ai", "/admin/kiloclaw?tab=cli-runs");
    await page.getByLabel("Search").fill("dave");
    await page.getByRole("heading", { name: "3 runs" }).waitFor();
    const answered = page.waitForResponse(/search=dave/);
    await page.getByRole("link", { name: "Refresh" }).click();
    await answered;
    expect(page.url()).toContain("search=dave");
    expect(await page.getByRole("heading", { level: 2 }).first().textContent()).toBe("3 runs");
  });

  it("does not show the answer to an older search in place of a newer one's", async () => {
    const page = await open("ada.admin@kilocode.ai", "/admin/kiloclaw?tab=cli-runs");
    const gate = new EventEmitter();
    const released = once(gate, "release");
    await page.route(/search=bob/, async (route) => {
      const response = await route.fetch();
      await released;
      await route.fulfill({ response });
    });
    const older = page.waitForRequest(/search=bob/);
    await page.getByLabel("Search").fill("bob");
    await older;
    await page.getByLabel("Search").fill("dave");
    await page.getByRole("heading", { name: "3 runs" }).waitFor();
    const late = page.waitForResponse(/search=bob/);
    gate.emit("release");
    await (await late).finished();
    // An answer to something that was asked after it: the page has dealt with what came before.
    await page.evaluate("fetch(location.href).then((response) => response.text())");
    expect(await page.locator("#results .email").allTextContents()).toEqual(
      Array(3).fill("dave.destroyed@example.com"),
    );
  });
});
