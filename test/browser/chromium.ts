/** A real browser, where there is one. */
import { existsSync } from "node:fs";
import { chromium, type Browser, type Page } from "playwright-core";
import * as z from "zod";

const PLACES = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

const executablePath = PLACES.find((path) => existsSync(path));

/** Whether there is a Chromium here. Where there is none, says so: left-out tests must not look like passed ones. */
export const hasChromium = executablePath !== undefined;
if (!hasChromium) {
  console.warn(`the browser tests are LEFT OUT: there is no Chromium here (${PLACES.join(", ")});
install it with: sudo apt-get install chromium`);
}

/** Starts Chromium. Close it when the tests are over. */
export function launch(): Promise<Browser> {
  return chromium.launch({
    executablePath: executablePath ?? "",
    // The sandbox of Chromium's own needs more rights than a container or root has; the pages here are our own.
    args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking"],
  });
}

const contrasts = z.array(z.object({ text: z.string(), ratio: z.number() })).min(1);

/** The contrast of each text on the page with what is behind it, as WCAG counts it. */
export async function contrastsOf(page: Page): Promise<z.output<typeof contrasts>> {
  return contrasts.parse(await page.evaluate(CONTRASTS));
}

/** Runs in the page. Text in a drawing has its colour from `fill`. */
const CONTRASTS = `(() => {
  const parts = (color) => color.match(/[\\d.]+/g).map(Number);
  const light = (color) => {
    const [r, g, b] = parts(color).map((part) => part / 255).map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    const color = element ? getComputedStyle(element).backgroundColor : "rgb(255, 255, 255)";
    return parts(color)[3] === 0 ? behind(element.parentElement) : color;
  };
  const ink = (element) => getComputedStyle(element)[element.closest("svg") ? "fill" : "color"];
  const ratio = (element) => {
    const [more, less] = [light(ink(element)), light(behind(element))].sort((a, b) => b - a);
    return (more + 0.05) / (less + 0.05);
  };
  return [...document.querySelectorAll("main *")]
    .filter((element) => !["title", "desc"].includes(element.localName))
    .filter((element) => [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim()))
    .map((element) => ({ text: element.textContent.trim().slice(0, 80), ratio: ratio(element) }));
})()`;
