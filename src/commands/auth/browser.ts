import type { Context } from "../../context.ts";

/**
 * Offers to open a page in the user's browser, where there is a user and a browser.
 *
 * @param over aborted when nobody needs the page any more: the question is then withdrawn.
 * @throws CliError `interrupted` on Ctrl-C.
 */
export async function offerBrowser(
  { host, output, prompter, target }: Pick<Context, "host" | "output" | "prompter" | "target">,
  url: string,
  over: AbortSignal,
): Promise<void> {
  const { DISPLAY, WAYLAND_DISPLAY, WSL_DISTRO_NAME } = host.env;
  if (host.platform === "linux" && !DISPLAY && !WAYLAND_DISPLAY && !WSL_DISTRO_NAME) return;
  if (!(await prompter.offer("Open the page in your browser?", { place: await target(), withdrawn: over }))) return;
  const failed = () => output.warn("the browser cannot be started; open the page yourself");
  try {
    const { default: open } = await import("open");
    const browser = await open(url);
    browser.once("error", failed);
  } catch {
    failed();
  }
}
