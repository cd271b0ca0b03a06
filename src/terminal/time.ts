const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/**
 * A length of time for people: `850ms`, `12s`, `4m 05s`, `2h 10m`, `3d 4h`.
 *
 * @param apart lengths that differ by so many milliseconds are to look different: `2.1s` with 100, `2h 10m 30s` with a second.
 */
export function formatDuration(ms: number, apart = Infinity): string {
  if (ms < SECOND) return `${Math.max(0, Math.round(ms))}ms`;
  if (ms < MINUTE) return seconds(ms, apart);
  if (ms < HOUR) {
    const rest = ms % MINUTE;
    return `${Math.floor(ms / MINUTE)}m ${rest < 10 * SECOND ? "0" : ""}${seconds(rest, apart)}`;
  }
  if (ms < DAY) {
    const hours = `${Math.floor(ms / HOUR)}h ${two(Math.floor((ms % HOUR) / MINUTE))}m`;
    return apart < MINUTE ? `${hours} ${two(Math.floor((ms % MINUTE) / SECOND))}s` : hours;
  }
  const days = `${Math.floor(ms / DAY)}d ${Math.floor((ms % DAY) / HOUR)}h`;
  return apart < HOUR ? `${days} ${two(Math.floor((ms % HOUR) / MINUTE))}m` : days;
}

/** Less than a minute, with as many decimals as are needed. */
function seconds(ms: number, apart: number): string {
  const decimals = apart >= SECOND ? 0 : apart >= 100 ? 1 : apart >= 10 ? 2 : 3;
  const factor = 10 ** decimals;
  // Cut off, as all else is: 59.96 s are no minute.
  return `${(Math.floor(Number(((ms / SECOND) * factor).toFixed(6))) / factor).toFixed(decimals)}s`;
}

function two(n: number): string {
  return String(n).padStart(2, "0");
}

/** How long ago `then` was, seen from `now`: `just now`, `40s ago`, `2m ago`, `3h ago`, `5d ago`. */
export function formatAgo(then: Date, now: Date): string {
  const ms = now.getTime() - then.getTime();
  if (ms < SECOND) return "just now";
  if (ms < MINUTE) return `${Math.floor(ms / SECOND)}s ago`;
  if (ms < HOUR) return `${Math.floor(ms / MINUTE)}m ago`;
  if (ms < DAY) return `${Math.floor(ms / HOUR)}h ago`;
  return `${Math.floor(ms / DAY)}d ago`;
}

/** The time of day where the user is, as in `19:35`; with the day, where that is not today's: `2026-11-25 19:35`. */
export function localTime(instant: Date, now: Date): string {
  const time = `${two(instant.getHours())}:${two(instant.getMinutes())}`;
  return localDay(instant) === localDay(now) ? time : `${localDay(instant)} ${time}`;
}

function localDay(instant: Date): string {
  return `${instant.getFullYear()}-${two(instant.getMonth() + 1)}-${two(instant.getDate())}`;
}

const UNITS = { ms: 1, s: SECOND, m: MINUTE, h: HOUR, d: DAY, w: 7 * DAY } as const;

/**
 * Reads `90s`, `15m`, `2h`, `1d`, `2w`, `500ms`, also joined (`1h30m`). A bare number counts seconds.
 *
 * @returns milliseconds, or `undefined` when the text is not a length of time.
 */
export function parseDuration(text: string): number | undefined {
  if (/^\d+(\.\d+)?$/.test(text)) return Number(text) * SECOND;
  if (!/^(\d+(\.\d+)?(ms|s|m|h|d|w))+$/.test(text)) return undefined;
  let total = 0;
  for (const [, amount, unit] of text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|d|w)/g)) {
    total += Number(amount) * UNITS[unit as keyof typeof UNITS];
  }
  return total;
}
