import { isOwnRestRefusal } from "../api/own-answer.ts";
import { whoAmI } from "../api/who-am-i.ts";
import { bodyInWords } from "../api/words.ts";
import { profile } from "../contract/rest.ts";
import { tryJson } from "../json.ts";
import { fail, FIND_OUT, ok, skipped, warn, type Check, type Finding } from "./check.ts";

const SECOND_MS = 1_000;
const MINUTE_MS = 60 * SECOND_MS;

export const PLATFORM: readonly Check[] = [
  {
    stage: "platform",
    name: "answer",
    needs: ["certificate-check", "tls"],
    limit: "answerMs",
    look: async (examined, signal) => {
      const answer = await examined.answer(signal);
      const { status, text, askedAt, answeredAt } = answer;
      const time = `${answeredAt - askedAt} ms`;
      const own = isOwnRestRefusal(answer) || profile.answer().safeParse(tryJson(text)).success;
      if (status >= 500 || status === 429) {
        const what = own ? "" : `: ${bodyInWords(text)}`;
        return fail(`it answers, with HTTP ${status} (${time})${what}`, "the platform has trouble; try again later");
      }
      if (own) return ok(`in ${time}`);
      const found = `something else than the platform answers there (HTTP ${status}, ${time}): ${bodyInWords(text)}`;
      return fail(found, FIND_OUT);
    },
  },
  {
    stage: "platform",
    name: "clock",
    needs: ["answer"],
    look: async (examined, signal) => {
      const { date, askedAt, answeredAt } = await examined.answer(signal);
      if (!date) return skipped("the platform does not say what time it is");
      // Its clock is given in whole seconds, cut off.
      const ahead = (askedAt + answeredAt) / 2 - (date.getTime() + SECOND_MS / 2);
      return clockSkew(ahead, examined.setup.host.platform);
    },
  },
  {
    stage: "platform",
    name: "admin",
    needs: ["token", "answer"],
    limit: "adminMs",
    look: async (examined, signal) => {
      const { setup } = examined;
      const [{ origin }, credential] = await Promise.all([setup.platform(), examined.credential()]);
      if (!credential) return skipped("there is no token");
      const { token } = credential;
      const { usable, email, reason } = await whoAmI(await setup.apiAs(token, origin, signal), token);
      const who = email ?? "the account";
      if (usable) return ok(`${who} is an admin`);
      return fail(reason === null ? `${who} is not accepted` : `${who}: ${reason}`, ...(await setup.advice()));
    },
  },
];

/**
 * What it means that this machine's clock is ahead of the platform's. Tokens and certificates are good between two times.
 *
 * @param aheadMs milliseconds; negative when it is behind.
 */
export function clockSkew(aheadMs: number, platform: string): Finding {
  const off = Math.abs(aheadMs);
  if (off <= 2 * SECOND_MS) return ok("right");
  const seconds = Math.round(off / SECOND_MS);
  const amount = seconds < 120 ? `${seconds} s` : seconds < 7200 ? `${Math.round(seconds / 60)} min` : hours(seconds);
  const found = `this machine's clock is ${amount} ${aheadMs > 0 ? "ahead of" : "behind"} the platform's`;
  if (off > 5 * MINUTE_MS) return fail(`${found}, too far to tell when a token expires`, setClock(platform));
  return off > 30 * SECOND_MS ? warn(found, setClock(platform)) : ok(found);
}

function hours(seconds: number): string {
  return seconds < 48 * 3600 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86_400)} days`;
}

function setClock(platform: string): string {
  switch (platform) {
    case "darwin":
      return "sudo sntp -sS time.apple.com";
    case "win32":
      return "w32tm /resync";
    default:
      return "sudo timedatectl set-ntp true";
  }
}
