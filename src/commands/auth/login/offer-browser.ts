import type { Context } from "../../../context.ts";
import { hasBrowser, openInBrowser } from "../../shared/browser.ts";

/**
 * Offers to open a page in the user's browser, where there is a user and a browser. A page of a sandbox of this user opens signed
 * in.
 *
 * @param over aborted when nobody needs the page any more: the question is then withdrawn.
 * @throws CliError `interrupted` on Ctrl-C.
 */
export async function offerBrowser(
  context: Pick<Context, "host" | "output" | "prompter" | "signedInPage" | "platform">,
  url: string,
  over: AbortSignal,
): Promise<void> {
  const { prompter, signedInPage, platform } = context;
  if (!hasBrowser(context)) return;
  if (!(await prompter.offer("Open the page in your browser?", { platform: await platform(), withdrawn: over })))
    return;
  await openInBrowser(context, (await signedInPage(url)) ?? url);
}
