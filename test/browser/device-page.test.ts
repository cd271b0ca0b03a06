/** Logging in as a person does it: the command line on one side, a real browser on the other. */
import { once } from "node:events";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { Browser, BrowserContextOptions, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import * as z from "zod";
import { begin, run } from "../harness.ts";
import { openSandbox, type TestSandbox } from "../support/sandbox.ts";
import { contrastsOf, hasChromium, launch } from "./chromium.ts";

const URL_SHOWN = /http:\S+\/device-auth\?code=(\S+)/;

const title = (page: Page) => page.getByRole("heading", { level: 1 }).textContent();

/** What the keyboard is on is this, and looks like it. */
const expectFocus = async (page: Page, role: "combobox" | "button", name: string) => {
  await page.getByRole(role, { name }).and(page.locator(":focus-visible")).waitFor();
  expect(await page.evaluate("getComputedStyle(document.activeElement).outlineStyle")).toBe("solid");
};

describe.runIf(hasChromium)("the approval page", () => {
  let sandbox: TestSandbox;
  let browser: Browser;
  let configDir: string;
  beforeAll(async () => {
    [sandbox, browser] = await Promise.all([openSandbox(), launch()]);
  });
  afterAll(async () => {
    await browser.close();
    await sandbox.stop();
  });
  beforeEach(async () => {
    configDir = await mkdtemp(join(tmpdir(), "kiloclaw-browser-"));
  });
  afterEach(async () => {
    vi.useRealTimers();
    await Promise.all(browser.contexts().map((context) => context.close()));
    await rm(configDir, { recursive: true });
  });

  const options = () => ({ configDir, env: { KILOCLAW_ADMIN_HOST: sandbox.url } });
  /** A login that waits, and the page that it names. */
  const login = async () => {
    const command = begin(["auth", "login", "--interval", "50ms", "--insecure-storage"], options());
    const [url, code = ""] = await command.waitFor(URL_SHOWN);
    return { command, url, code };
  };
  /** Opens an address as somebody who has the key does. */
  const visit = async (page: Page, url: string) => {
    await page.goto(url);
    await page.getByLabel("Key of this sandbox").fill(sandbox.remote.key);
    await page.getByRole("button", { name: "Continue" }).click();
    await page.waitForURL(/\/s\//);
  };
  const open = async (url: string, given: BrowserContextOptions = {}) => {
    const page = await (await browser.newContext(given)).newPage();
    page.setDefaultTimeout(10_000);
    await visit(page, url);
    return page;
  };
  const newCode = async (headers: Record<string, string> = {}) => {
    const response = await fetch(`${sandbox.url}/api/device-auth/codes`, { method: "POST", headers });
    return z.object({ code: z.string(), verificationUrl: z.string() }).parse(await response.json());
  };

  it("approved, without JavaScript: the command line is logged in", async () => {
    const { command, url, code } = await login();
    const page = await open(url, { javaScriptEnabled: false });
    expect(await title(page)).toBe("Sign in a device");
    expect(await page.getByText(code, { exact: true }).count()).toBe(1);
    expect(await page.getByText("kiloclaw-admin/0.0.0-test").isVisible()).toBe(true);
    expect(await page.getByText("127.0.0.1").isVisible()).toBe(true);
    await page.getByLabel("Sign in as").selectOption("otto.oncall@kilocode.ai");
    await page.getByRole("button", { name: "Approve" }).click();
    expect(await title(page)).toBe("Approved");
    expect(await page.getByText("otto.oncall@kilocode.ai").isVisible()).toBe(true);
    expect(await command.done).toMatchObject({ code: 0, stdout: expect.stringContaining("otto.oncall@kilocode.ai") });
    const after = await run(["whoami", "--json"], options());
    expect(JSON.parse(after.stdout)).toMatchObject([{ usable: true, email: "otto.oncall@kilocode.ai" }]);
  });

  it("denied: the command line ends with 4", async () => {
    const { command, url } = await login();
    const page = await open(url);
    await page.getByRole("button", { name: "Deny" }).click();
    expect(await title(page)).toBe("Denied");
    expect((await command.done).code).toBe(4);
    await visit(page, url);
    expect(await page.getByText("It was denied.").isVisible()).toBe(true);
    expect(await readdir(configDir)).toEqual([]);
  });

  it("approved by one who is not an admin: 4, and nothing is stored", async () => {
    const { command, url } = await login();
    const page = await open(url);
    await page.getByLabel("Sign in as").selectOption("plain@example.com");
    await page.getByRole("button", { name: "Approve" }).click();
    expect(await page.getByText("not an admin").isVisible()).toBe(true);
    const { code, stderr } = await command.done;
    expect(code).toBe(4);
    expect(stderr).toContain("not logged in as plain@example.com");
    expect(await readdir(configDir)).toEqual([]);
  });

  it("is worked with the keyboard alone, from the typed code to the approval", async () => {
    const { command, code } = await login();
    const page = await (await browser.newContext()).newPage();
    const isFocused = page.locator(":focus");
    await page.goto(`${sandbox.url}/device-auth`);
    await page.getByLabel("Key of this sandbox").and(isFocused).waitFor();
    await page.keyboard.type(sandbox.remote.key);
    await page.keyboard.press("Enter");
    await page.getByLabel("Code that the device shows").and(isFocused).waitFor();
    // The field is where typing goes; the code need not be typed as it is shown.
    await page.keyboard.type(code.toLowerCase().replace("-", " "));
    await page.keyboard.press("Enter");
    await page.getByText(code, { exact: true }).waitFor();
    await page.keyboard.press("Tab");
    await expectFocus(page, "combobox", "Sign in as");
    await page.keyboard.type("plain");
    await page.keyboard.press("Tab");
    await expectFocus(page, "button", "Approve");
    await page.keyboard.press("Tab");
    await expectFocus(page, "button", "Deny");
    await page.keyboard.press("Shift+Tab");
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "Approved" }).waitFor();
    expect(await page.getByText("plain@example.com").isVisible()).toBe(true);
    expect((await command.done).code).toBe(4);
  });

  it.each([true, false])(
    "opens signed in from a file with a ticket, once; with JavaScript: %s",
    async (javaScriptEnabled) => {
      const { code, verificationUrl } = await newCode({ "x-forwarded-for": "10.0.0.2" });
      const file = await sandbox.remote.openingFile(verificationUrl.slice(sandbox.url.length));
      const content = await readFile(file, "utf8");
      const page = await (await browser.newContext({ javaScriptEnabled })).newPage();
      page.setDefaultTimeout(10_000);
      await page.goto(pathToFileURL(file).href);
      if (!javaScriptEnabled) await page.getByRole("button", { name: "Open the sandbox" }).click();
      await page.getByText(code, { exact: true }).waitFor();
      await page.getByRole("button", { name: "Deny" }).click();
      expect(await title(page)).toBe("Denied");

      const copy = join(configDir, "copy.html");
      await writeFile(copy, content);
      await page.goto(pathToFileURL(copy).href);
      if (!javaScriptEnabled) await page.getByRole("button", { name: "Open the sandbox" }).click();
      await page.getByText("The link was used, or is too old.").waitFor();
    },
  );

  it("cannot be worked by another site's page, which uses up no codes either", async () => {
    const cookies: Array<string | undefined> = [];
    const evil = createServer(({ headers }, response) => {
      cookies.push(headers.cookie);
      response.setHeader("content-type", "text/html").end("<h1>evil</h1>");
    });
    evil.listen(0, "127.0.0.1");
    await once(evil, "listening");
    const { port } = z.object({ port: z.number() }).parse(evil.address());
    try {
      const page = await open(sandbox.url);
      await page.goto(`http://127.0.0.1:${port}/`);
      for (let number = 0; number < 6; number += 1) {
        await page.evaluate(
          `fetch("${sandbox.url}/api/device-auth/codes", { method: "POST", mode: "no-cors", credentials: "include" })`,
        );
      }
      // Nor is it sent the session's cookie, though that one is for every port of this machine.
      expect(cookies.length).toBeGreaterThan(0);
      expect(cookies.filter((cookie) => cookie !== undefined)).toEqual([]);
      expect((await newCode()).code).toMatch(/-/);
    } finally {
      evil.close();
    }
  });

  it("of a code that nobody shows: says so and asks again", async () => {
    const page = await open(`${sandbox.url}/device-auth?code=ZZZZ-ZZZZ`);
    expect(await title(page)).toBe("This code cannot be used");
    expect(await page.getByText("No device shows it").isVisible()).toBe(true);
    expect(await page.getByRole("button", { name: "Approve" }).count()).toBe(0);
    const { code } = await newCode();
    await page.getByLabel("Code that the device shows").fill(code);
    await page.getByRole("button", { name: "Continue" }).click();
    await page.getByRole("button", { name: "Deny" }).click();
    expect(await title(page)).toBe("Denied");
  });

  it("of a code whose time is over: says so, also to those who decide too late", async () => {
    const [late, unseen] = [await newCode(), await newCode()];
    const page = await open(late.verificationUrl);
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 601_000 });
    await page.getByRole("button", { name: "Approve" }).click();
    for (const { verificationUrl } of [late, unseen]) {
      expect(await title(page)).toBe("This code cannot be used");
      expect(await page.getByText("its ten minutes are over").isVisible()).toBe(true);
      await visit(page, verificationUrl);
    }
  });

  it("shows what a program says about itself as text, and not more than fits", async () => {
    const claim = `<img src=x onerror="document.title='owned'"></dd><script>document.title='owned'</script>`;
    const { verificationUrl } = await newCode({
      "user-agent": `${claim}${"x".repeat(5_000)}`,
      "x-forwarded-for": "<b>10.9.8.7</b>",
    });
    const refused: string[] = [];
    const page = await open(sandbox.url);
    page.on("console", (message) => refused.push(message.text()));
    page.on("request", (request) => refused.push(request.url()));
    const address = page.url() + verificationUrl.slice(sandbox.url.length + 1);
    await page.goto(address);
    // Nothing but the page and its style was asked for, and the style passes the page's policy.
    expect(refused).toEqual([address, `${sandbox.url}/sandbox.css`]);
    expect(await page.evaluate("getComputedStyle(document.querySelector('main')).maxWidth")).toBe("480px");
    expect(await page.title()).toBe("Sign in a device · KiloClaw sandbox");
    expect(await page.locator("dd img, script, dd b").count()).toBe(0);
    expect(await page.getByText(claim).isVisible()).toBe(true);
    expect(await page.getByText("<b>10.9.8.7</b>").isVisible()).toBe(true);
    expect(await page.getByRole("button", { name: "Deny" }).isVisible()).toBe(true);
    expect(await page.content()).not.toContain("x".repeat(200));
    await page.getByRole("button", { name: "Deny" }).click();
  });

  it.each([320, 390, 1280])("fits a screen %i wide, in light and in dark, and can be read", async (width) => {
    const { verificationUrl } = await newCode({ "x-forwarded-for": "10.0.0.1", "user-agent": "x".repeat(160) });
    for (const colorScheme of ["light", "dark"] as const) {
      const page = await open(verificationUrl, { viewport: { width, height: 800 }, colorScheme });
      expect(await page.evaluate("document.documentElement.scrollWidth")).toBe(width);
      const { height = 0 } = (await page.getByRole("button", { name: "Approve" }).boundingBox()) ?? {};
      expect(height).toBeGreaterThanOrEqual(44);
      expect((await contrastsOf(page)).filter(({ ratio }) => ratio < 4.5)).toEqual([]);
      await page.context().close();
    }
    await fetch(`${sandbox.url}/api/device-auth/codes/${verificationUrl.split("=")[1]}`, {
      method: "DELETE",
      headers: { authorization: `Bearer ${sandbox.adminToken}` },
    });
  });
});
