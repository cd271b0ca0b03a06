/** What the sandbox's pages look like. */
import { html } from "hono/html";
import type { HtmlEscapedString } from "hono/utils/html";

export type Html = HtmlEscapedString | Promise<HtmlEscapedString>;

export const STYLE = `
:root {
  color-scheme: light dark;
  --page: #f4f5f7; --card: #fff; --text: #1c2024; --dim: #5b6570; --line: #d5dae0;
  --accent: #1d5fd1; --on-accent: #fff; --badge: #fff1cc; --on-badge: #6b4a00;
  font: 1rem/1.5 system-ui, sans-serif;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #101316; --card: #1a1e23; --text: #eceff2; --dim: #a3adb8; --line: #3a424b;
    --accent: #8ab4ff; --on-accent: #0b1930; --badge: #3d3113; --on-badge: #ffd977;
  }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--text); }
main {
  max-width: 30rem; margin: clamp(0rem, 8vh, 5rem) auto; padding: 1.75rem;
  background: var(--card); border: 1px solid var(--line); border-radius: 0.75rem;
}
header { display: flex; justify-content: space-between; align-items: center; gap: 1rem; color: var(--dim); }
.badge { padding: 0.1rem 0.6rem; border-radius: 1rem; background: var(--badge); color: var(--on-badge); font-size: 0.875rem; }
h1 { margin: 0.75rem 0 0.5rem; font-size: 1.5rem; line-height: 1.25; }
p { margin: 0.5rem 0; }
a { color: var(--accent); }
.code {
  margin: 1rem 0; padding: 0.75rem; border: 1px solid var(--line); border-radius: 0.5rem; text-align: center;
  font: 700 clamp(1.5rem, 8vw, 2.25rem)/1.2 ui-monospace, monospace; letter-spacing: 0.08em;
}
dl { display: grid; grid-template-columns: max-content 1fr; gap: 0.25rem 1rem; margin: 1rem 0; }
dt { color: var(--dim); }
dd { margin: 0; overflow-wrap: anywhere; unicode-bidi: isolate; }
label { display: block; margin: 1rem 0 0.25rem; font-weight: 600; }
input, select, button {
  width: 100%; min-height: 2.75rem; padding: 0.5rem 0.75rem; font: inherit; color: inherit;
  background: var(--card); border: 1px solid var(--dim); border-radius: 0.5rem;
}
button { font-weight: 600; cursor: pointer; }
.first { background: var(--accent); border-color: var(--accent); color: var(--on-accent); }
.decision { display: grid; grid-template-columns: 1fr 1fr; gap: 0.75rem; }
.decision, form > button { margin-top: 1.25rem; }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
footer { margin-top: 1.5rem; padding-top: 0.75rem; border-top: 1px solid var(--line); color: var(--dim); font-size: 0.875rem; }
@media (max-width: 32rem) {
  body { background: var(--card); }
  main { margin: 0; padding: 1.25rem; border: 0; border-radius: 0; }
}
`;

export const STYLE_PATH = "/sandbox.css";

/** Only what this server itself has is loaded, nothing frames the page, and its forms go nowhere else. */
export const POLICY = [
  "default-src 'none'",
  "style-src 'self'",
  "script-src 'self'",
  "connect-src 'self'",
  "img-src 'self'",
  "form-action 'self'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
].join("; ");

/** A whole page. What is put into `html` templates is escaped there. @param goOn a path to go on to at once. */
export function page(title: string, body: Html, goOn?: string): Html {
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <title>${title} · KiloClaw sandbox</title>
        <link rel="stylesheet" href="${STYLE_PATH}" />
        ${goOn === undefined ? "" : html`<meta http-equiv="refresh" content="0; url=${goOn}" />`}
      </head>
      <body>
        <main>
          <header>
            <span>KiloClaw</span>
            <span class="badge">sandbox</span>
          </header>
          <h1>${title}</h1>
          ${body}
          <footer>This is a rehearsal on this machine: its accounts and tokens are of no use anywhere else.</footer>
        </main>
      </body>
    </html>`;
}
