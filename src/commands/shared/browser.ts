import type { Context } from "../../context.ts";

type Needs = Pick<Context, "host" | "output">;

/** Whether there is a browser to open. */
export function hasBrowser({ host }: Pick<Context, "host">): boolean {
  const { DISPLAY, WAYLAND_DISPLAY, WSL_DISTRO_NAME } = host.env;
  return host.platform !== "linux" || Boolean(DISPLAY || WAYLAND_DISPLAY || WSL_DISTRO_NAME);
}

/** Opens an address or a file in the user's browser, and says so where that cannot be done. */
export async function openInBrowser({ output }: Pick<Needs, "output">, what: string): Promise<void> {
  const failed = () => output.warn("the browser cannot be started; open the page yourself");
  try {
    const { default: open } = await import("open");
    const browser = await open(what);
    browser.once("error", failed);
  } catch {
    failed();
  }
}
