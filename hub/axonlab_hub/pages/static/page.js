// Keeps pages up to date. A job's: the service answers as soon as something has happened. Lists: asked now and then.
"use strict";

const PAUSE_MS = 400;
const AGAIN_MS = 3000;
const WAIT_S = 20;
const LIST_MS = 3000;

const pause = (ms) => new Promise((done) => setTimeout(done, ms));

function localTimes(root) {
  for (const time of root.querySelectorAll("time")) {
    const at = new Date(time.dateTime);
    time.title = time.textContent;
    time.textContent = at.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
  }
}

// Sections that say the same stay as they are, and with them focus, selection and scrolling.
function bringUpToDate(live, fresh) {
  const said = new Map([...fresh.querySelectorAll(":scope > section")].map((part) => [part.id, part]));
  for (const part of [...live.children]) {
    if (!said.has(part.id)) part.remove();
  }
  let before = null;
  for (const part of said.values()) {
    localTimes(part);
    const old = document.getElementById(part.id);
    let stays = old;
    if (!old) {
      stays = part;
      if (before) before.after(part);
      else live.prepend(part);
    } else if (old.innerHTML !== part.innerHTML) {
      const log = old.querySelector("pre");
      const atEnd = !log || log.scrollTop + log.clientHeight >= log.scrollHeight - 8;
      const top = log ? log.scrollTop : 0;
      const focused = old.contains(document.activeElement) && log === document.activeElement;
      old.replaceChildren(...part.childNodes);
      const now = old.querySelector("pre");
      if (now) {
        now.scrollTop = atEnd ? now.scrollHeight : top;
        if (focused) now.focus({ preventScroll: true });
      }
    }
    before = stays;
  }
}

function showState(live, state, over) {
  if (live.dataset.state !== state) document.getElementById("announce").textContent = `The job is ${state}.`;
  live.dataset.state = state;
  for (const form of document.querySelectorAll("form[data-while]")) form.hidden = (form.dataset.while === "over") !== over;
}

async function follow(live) {
  let after = live.dataset.after;
  while (live.dataset.over !== "yes") {
    try {
      const answer = await fetch(`${live.dataset.address}?after=${after}&wait=${WAIT_S}`, { cache: "no-store" });
      if (answer.status === 401 || answer.status === 403 || answer.status === 404) {
        location.reload(); // the server says in words what has changed
        return;
      }
      if (!answer.ok) throw new Error(String(answer.status));
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("live");
      bringUpToDate(live, fresh);
      after = fresh.dataset.after;
      showState(live, fresh.dataset.state, fresh.dataset.over === "yes");
      live.dataset.over = fresh.dataset.over;
      delete document.body.dataset.away;
      await pause(PAUSE_MS);
    } catch {
      document.body.dataset.away = "yes"; // the service or the network: it comes back
      await pause(AGAIN_MS);
    }
  }
}

// A list: the service says whether it has changed; nobody asks while nobody looks.
async function keepFresh(list) {
  let known = "";
  for (;;) {
    await pause(LIST_MS);
    if (document.hidden) await new Promise((seen) => document.addEventListener("visibilitychange", seen, { once: true }));
    try {
      const answer = await fetch(list, { cache: "no-store", headers: { "If-None-Match": known } });
      if (answer.status === 401 || answer.status === 403 || answer.status === 404) {
        location.reload(); // the server says in words what has changed
        return;
      }
      if (answer.ok) {
        known = answer.headers.get("ETag");
        const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
        for (const part of fresh.querySelectorAll("section[id]")) replaceList(document.getElementById(part.id), part);
      } else if (answer.status !== 304) throw new Error(String(answer.status));
      delete document.body.dataset.away;
    } catch {
      document.body.dataset.away = "yes";
    }
  }
}

function replaceList(old, part) {
  localTimes(part);
  if (old.innerHTML === part.innerHTML) return;
  const link = old.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
  old.replaceChildren(...part.childNodes);
  if (link) [...old.querySelectorAll("a")].find((one) => one.getAttribute("href") === link)?.focus({ preventScroll: true });
}

localTimes(document);
const list = document.querySelector("section[data-address]");
if (list) keepFresh(list.dataset.address);
const live = document.getElementById("live");
if (live) {
  const log = live.querySelector("pre");
  if (log) log.scrollTop = log.scrollHeight;
  follow(live);
}
