/** A page that signs its owner's browser in: a file, so that no secret is in a program's arguments, where others see it. */
import { createHash, randomUUID } from "node:crypto";
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { html, raw } from "hono/html";
import { TICKET_PATH } from "./pages/site.ts";
import type { Sessions } from "./sessions.ts";

const SCRIPT = "document.forms[0].submit()";
const SCRIPT_HASH = createHash("sha256").update(SCRIPT).digest("base64");

/**
 * Writes a file, for its owner's eyes only, that posts a ticket and goes on to a page. It is deleted when the ticket is used or
 * its time is over.
 *
 * @param folder a directory of the owner's own.
 * @param next path and query of the page.
 * @param userId whom the browser is signed in as.
 * @returns where the file is.
 */
export async function writeOpeningFile(
  folder: string,
  { sessions, origin, next, userId }: { sessions: Sessions; origin: string; next: string; userId: string },
): Promise<string> {
  const file = join(folder, `open-${randomUUID()}.html`);
  const ticket = sessions.issueTicket(userId, () => rm(file, { force: true }).catch(() => undefined));
  const policy = `default-src 'none'; script-src 'sha256-${SCRIPT_HASH}'; form-action ${origin}`;
  const content = await html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta http-equiv="content-security-policy" content="${policy}" />
        <meta name="referrer" content="no-referrer" />
        <title>KiloClaw sandbox</title>
      </head>
      <body>
        <form method="post" action="${origin}${TICKET_PATH}">
          <input type="hidden" name="ticket" value="${ticket}" />
          <input type="hidden" name="next" value="${next}" />
          <button>Open the sandbox</button>
        </form>
        ${raw(`<script>${SCRIPT}</script>`)}
      </body>
    </html>`;
  await writeFile(file, String(content), { mode: 0o600, flag: "wx" });
  return file;
}
