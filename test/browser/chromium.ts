/** A real browser, where there is one. */
import { existsSync } from "node:fs";
import { chromium, type Browser } from "playwright-core";

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
