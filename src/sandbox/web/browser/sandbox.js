// What the pages do more where JavaScript is on. They work without it; nothing here knows how a page is made: it is fetched
// again, and what is marked `data-live` is put in place of what is there.

const POLL_MS = 3000;
const SEARCH_MS = 300;

/** What each live part looked like when it was last put there: what a person opened since is no difference. */
const shown = new Map([...document.querySelectorAll("[data-live]")].map((part) => [part.id, part.innerHTML]));

let announced = document.querySelector("[data-announce]")?.textContent?.trim() ?? "";

/** @type {ReturnType<typeof setTimeout> | undefined} */
let timer;
/** Counts the looks: an answer that comes after a newer look began is not shown. */
let looks = 0;

/** Looks at the page again and goes on to do so while it asks for it. @param {string} address */
async function lookAgain(address) {
  clearTimeout(timer);
  const look = ++looks;
  let goOn = document.querySelector("[data-poll]") !== null;
  try {
    const response = await fetch(address, { headers: { accept: "text/html" } });
    if (response.status === 401) return stale("You are signed out. Open the page again.");
    if (!response.ok) throw new Error(`HTTP ${response.status}`);
    const fresh = new DOMParser().parseFromString(await response.text(), "text/html");
    if (look !== looks) return;
    const [field, was] = [fresh, document].map((page) => page.querySelector("textarea"));
    if (field && was) was.disabled = field.disabled;
    for (const part of fresh.querySelectorAll("[data-live]")) show(part);
    announce();
    goOn = fresh.querySelector("[data-poll]") !== null;
    document.querySelector("main")?.toggleAttribute("data-poll", goOn);
    stale("");
  } catch {
    if (look !== looks) return;
    stale(`Not refreshed since ${new Date().toLocaleTimeString()}: the sandbox does not answer.`, { once: true });
  }
  if (goOn) timer = setTimeout(() => void lookAgain(location.href), POLL_MS);
}

/** @param {string} text @param {{ once?: boolean }} [options] */
function stale(text, { once = false } = {}) {
  const place = document.getElementById("stale");
  if (!place || (once && !place.hidden)) return;
  place.textContent = text;
  place.hidden = text === "";
}

/** Puts a part in place of the one with its name; a fold stays as it was left, and what was at its end follows it. @param {Element} fresh */
function show(fresh) {
  const old = document.getElementById(fresh.id);
  const html = fresh.innerHTML;
  if (!old || shown.get(fresh.id) === html) return;
  shown.set(fresh.id, html);
  const folds = new Map([...old.querySelectorAll("details")].map(({ id, open }) => [id, open]));
  const places = new Map(
    [...old.querySelectorAll("pre")].map((box) => [box.id, isAtEnd(box) ? Infinity : box.scrollTop]),
  );
  const focused = old.contains(document.activeElement) ? document.activeElement?.id : undefined;
  old.replaceChildren(...fresh.childNodes);
  for (const fold of old.querySelectorAll("details")) fold.open = folds.get(fold.id) ?? fold.open;
  for (const box of old.querySelectorAll("pre"))
    box.scrollTop = Math.min(places.get(box.id) ?? Infinity, box.scrollHeight);
  if (focused) document.getElementById(focused)?.focus();
}

/** Says a status that has changed to whoever does not see it. */
function announce() {
  const place = document.getElementById("announced");
  const text = document.querySelector("[data-announce]")?.textContent?.trim() ?? "";
  if (!place || text === announced) return;
  announced = text;
  place.textContent = text;
}

/** @param {Element} box */
function isAtEnd(box) {
  return box.scrollHeight - box.scrollTop - box.clientHeight < 8;
}

for (const box of document.querySelectorAll("pre")) box.scrollTop = box.scrollHeight;
if (document.querySelector("[data-poll]")) timer = setTimeout(() => void lookAgain(location.href), POLL_MS);
// A page that is at rest catches up when somebody comes back to it.
document.addEventListener("visibilitychange", () => {
  if (!document.hidden && shown.size > 0) void lookAgain(location.href);
});
addEventListener("focus", () => {
  if (shown.size > 0) void lookAgain(location.href);
});

document.addEventListener("click", (event) => {
  const link = event.target instanceof Element ? event.target.closest("a[data-refresh]") : null;
  if (!(link instanceof HTMLAnchorElement)) return;
  event.preventDefault();
  // Not the link's own address: filters have changed the page's since.
  void lookAgain(location.href);
});

const prompt = document.getElementById("prompt");
const count = document.querySelector("[data-count=prompt]");
if (prompt instanceof HTMLTextAreaElement && count) {
  const tell = () => {
    count.textContent = `${prompt.value.trim().length.toLocaleString("en")} / 10,000 characters`;
  };
  prompt.addEventListener("input", tell);
  tell();
  prompt.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
    const button = document.getElementById("go");
    if (button instanceof HTMLButtonElement && !button.disabled) prompt.form?.requestSubmit(button);
  });
}

const filters = document.querySelector("form[data-filters]");
if (filters instanceof HTMLFormElement) {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let typing;
  filters.addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(() => {
      const address = new URL(filters.action);
      for (const [name, value] of new FormData(filters)) {
        if (typeof value === "string" && value !== "" && value !== "all") address.searchParams.set(name, value);
      }
      history.replaceState(null, "", address);
      void lookAgain(address.href);
    }, SEARCH_MS);
  });
}
