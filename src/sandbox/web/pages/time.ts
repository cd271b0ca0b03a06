/** When and how long, as the pages say it. */
import { html } from "hono/html";
import { parseTimestamp } from "../../../contract/timestamp.ts";
import type { Html } from "./page.ts";

/** How long ago, with the moment itself for whoever points at it. @param text a timestamp of the platform. */
export function ago(text: string | null): Html {
  const at = text === null ? undefined : parseTimestamp(text);
  if (!at) return html`–`;
  return html`<time datetime="${at.toISOString()}" title="${moment(at)}">${since(at)}</time>`;
}

/** The moment, in UTC. */
export function clock(text: string | null): Html {
  const at = text === null ? undefined : parseTimestamp(text);
  return at ? html`<time datetime="${at.toISOString()}">${moment(at)}</time>` : html`–`;
}

/** How long a run took, or takes until now; nothing where that is not known. */
export function duration(from: string | null, to: string | null): string {
  const [start, end] = [from, to].map((text) => (text === null ? undefined : parseTimestamp(text)));
  if (!start) return "–";
  return span(Math.max(0, (end ?? new Date()).getTime() - start.getTime()));
}

const moment = (at: Date) => `${at.toISOString().slice(0, 19).replace("T", " ")} UTC`;

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

function since(at: Date): string {
  const ms = Math.max(0, Date.now() - at.getTime());
  if (ms < MINUTE) return `${Math.floor(ms / SECOND)} s ago`;
  if (ms < HOUR) return `${Math.floor(ms / MINUTE)} min ago`;
  if (ms < DAY) return `${Math.floor(ms / HOUR)} h ago`;
  return `${Math.floor(ms / DAY)} d ago`;
}

function span(ms: number): string {
  if (ms < SECOND) return "under 1 s";
  if (ms < MINUTE) return `${Math.floor(ms / SECOND)} s`;
  if (ms < HOUR) return `${Math.floor(ms / MINUTE)} min ${Math.floor((ms % MINUTE) / SECOND)} s`;
  if (ms < DAY) return `${Math.floor(ms / HOUR)} h ${Math.floor((ms % HOUR) / MINUTE)} min`;
  return `${Math.floor(ms / DAY)} d ${Math.floor((ms % DAY) / HOUR)} h`;
}
