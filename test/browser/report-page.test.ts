/** A job's report as somebody opens it from a ticket: in a real browser, which may run nothing. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { Browser, BrowserContextOptions } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { reportPage } from "../../src/bulk/report/page.ts";
import { makeReport } from "../../src/bulk/report/report.ts";
import { sanitizeLine } from "../../src/terminal/sanitize.ts";
import { formatDuration } from "../../src/terminal/time.ts";
import { itemOf, JOB_ID, jobOf, TEMPLATE, type MadeUpJob } from "../support/bulk-job.ts";
import { contrastsOf, hasChromium, launch } from "./chromium.ts";

const HOSTILE = `<img src="http://127.0.0.1:9/x" onerror="document.title='owned'"></td><script>document.title='owned'</script>\u202e`;
/** One long word, as no line can be broken. */
const LONG = "x".repeat(300);

describe.runIf(hasChromium)("the report's page in a browser", () => {
  let browser: Browser;
  let directory: string;
  let url: string;
  beforeAll(async () => {
    browser = await launch();
    directory = await mkdtemp(join(tmpdir(), "kiloclaw-report-"));
    const job = jobOf(80, { ticket: LONG, reason: HOSTILE });
    url = await written("report.html", {
      ...job,
      items: [
        ...job.items,
        itemOf(81, { state: "failed", exitCode: 1, problem: HOSTILE, target: { named: LONG, userEmail: LONG } }),
      ],
    });
  });
  afterAll(async () => {
    await browser.close();
    await rm(directory, { recursive: true });
  });
  afterEach(async () => {
    await Promise.all(browser.contexts().map((context) => context.close()));
  });

  const written = async (name: string, { facts, items }: MadeUpJob) => {
    const pieces = reportPage(makeReport(facts, items, TEMPLATE), { clean: sanitizeLine, duration: formatDuration });
    await writeFile(join(directory, name), [...pieces].join(""));
    return pathToFileURL(join(directory, name)).href;
  };
  const open = async (given: BrowserContextOptions = {}) => {
    const page = await (await browser.newContext({ javaScriptEnabled: false, ...given })).newPage();
    const said: string[] = [];
    // Violations of its policy are said on the console.
    page.on("console", (message) => said.push(message.text()));
    page.on("pageerror", (error) => said.push(String(error)));
    page.on("request", (request) => said.push(request.url()));
    await page.goto(url);
    return { page, said };
  };

  it.each([true, false])(
    "asks for nothing but itself, and breaks no policy; scripts allowed: %s",
    async (javaScriptEnabled) => {
      const { page, said } = await open({ javaScriptEnabled });
      expect(said).toEqual([url]);
      expect(await page.title()).toContain(JOB_ID);
      expect(await page.locator("img, script, [onerror]").count()).toBe(0);
      expect(await page.getByText(`<script>document.title='owned'</script>\\u{202e}`).first().isVisible()).toBe(true);
      // Its own style passes its own policy.
      expect(await page.evaluate("getComputedStyle(document.querySelector('table')).borderCollapse")).toBe("collapse");
    },
  );

  it.each([320, 390, 768, 1280, 1600])(
    "fits a screen %i wide, in light and in dark, and can be read",
    async (width) => {
      for (const colorScheme of ["light", "dark"] as const) {
        const { page } = await open({ viewport: { width, height: 900 }, colorScheme });
        expect(await page.evaluate("document.documentElement.scrollWidth")).toBe(width);
        expect(await page.evaluate("document.documentElement.scrollHeight")).toBeGreaterThan(900);
        expect((await contrastsOf(page)).filter(({ ratio }) => ratio < 4.5)).toEqual([]);
        // Letters in a drawing neither shrink with it nor leave it.
        const outside = await page.evaluate(`[...document.querySelectorAll("svg text")].filter((text) => {
        const [inner, outer] = [text.getBoundingClientRect(), text.closest("svg").getBoundingClientRect()];
        // What there is no room for is left out.
        if (inner.height === 0) return false;
        return inner.left < outer.left - 1 || inner.right > outer.right + 1 || inner.height < 10;
      }).map((text) => text.textContent)`);
        expect(outside).toEqual([]);
      }
    },
  );

  it.each([320, 390])("has nothing beyond the edge of a telephone's screen, %i wide", async (width) => {
    const { page } = await open({ viewport: { width, height: 844 } });
    const pushed = await page.evaluate(
      `[...document.querySelectorAll(".box")].filter((box) => box.scrollWidth > box.clientWidth).length`,
    );
    expect(pushed).toBe(0);
    expect(await page.locator(".box").count()).toBeGreaterThan(1);
  });

  it("says in words what it draws", async () => {
    const { page } = await open();
    for (const name of ["How long the runs took", "Runs in progress over time"]) {
      expect(await page.getByRole("img", { name }).isVisible()).toBe(true);
      const table = page.getByRole("table", { name });
      expect(await table.getByRole("row").count()).toBeGreaterThan(5);
    }
    expect(await page.getByRole("heading", { level: 1 }).textContent()).toBe(`Job ${JOB_ID}`);
    expect(await page.getByText(/^\d+ of 81 completed; \d+ need attention; 3 not over$/).isVisible()).toBe(true);
  });

  it("leads from a kind of failure to one of its targets", async () => {
    const { page } = await open({ viewport: { width: 1280, height: 900 } });
    const link = page.getByRole("link").first();
    const target = (await link.getAttribute("href")) ?? "";
    const ground = () => page.evaluate(`getComputedStyle(document.querySelector("${target}")).backgroundColor`);
    expect(await ground()).toBe("rgba(0, 0, 0, 0)");
    await link.click();
    await page.waitForURL(`**${target}`);
    const { y = -100 } = (await page.locator(target).boundingBox()) ?? {};
    expect(Math.abs(y)).toBeLessThan(900);
    expect(await ground()).toBe("rgb(232, 238, 249)");
  });

  it("prints black on white, in the dark too, with its table's head on each page and no row cut", async () => {
    const { page } = await open({ colorScheme: "dark" });
    await page.emulateMedia({ media: "print" });
    const style = await page.evaluate(`({
      ink: getComputedStyle(document.body).color,
      paper: getComputedStyle(document.body).backgroundColor,
      head: getComputedStyle(document.querySelector(".targets thead")).display,
      row: getComputedStyle(document.querySelector(".targets tbody tr")).breakInside,
      box: getComputedStyle(document.querySelector(".box")).overflowX,
      when: getComputedStyle(document.querySelector(".when")).whiteSpace,
    })`);
    expect(style).toEqual({
      ink: "rgb(0, 0, 0)",
      paper: "rgb(255, 255, 255)",
      head: "table-header-group",
      row: "avoid",
      box: "visible",
      when: "nowrap",
    });
    expect((await contrastsOf(page)).filter(({ ratio }) => ratio < 4.5)).toEqual([]);
    const pdf = await page.pdf({ preferCSSPageSize: true });
    expect(pdf.subarray(0, 5).toString()).toBe("%PDF-");
    const pages = pdf.toString("latin1").match(/\/Type \/Page\b/g)?.length ?? 0;
    expect(pages).toBeGreaterThan(3);
    expect(pages).toBeLessThan(20);
  });
});
