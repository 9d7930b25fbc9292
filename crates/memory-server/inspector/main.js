// The page: navigation, the list of entities, the keyboard, and the token.

import { api, forgetToken, hasToken, onTokenNeeded } from "./api.js";
import { caches } from "./caches.js";
import { ask, byId, el, field, problemBox } from "./dom.js";
import { consolidations, memory } from "./lifecycle.js";
import { ENTITY_VIEWS, link, parse } from "./routes.js";
import { entities, search, timeline } from "./views.js";

const VIEWS = { entities, search, timeline, memory, consolidations, caches };

const KEYS = [
  ["/", "search"],
  ["e", "go to an entity"],
  ["j, k", "next and previous memory"],
  ["1 to 4", "search, timeline, consolidations, caches"],
  ["?", "these keys"],
];

let current = new AbortController();

/** Shows what the address names. The view before stops: its requests and its timer. */
async function render() {
  current.abort();
  const controller = new AbortController();
  current = controller;
  const route = parse(location.hash);
  const main = byId("main");
  const page = el("div", { class: "view" });
  const isShown = () => current === controller;
  const fail = (error) => {
    if (isShown()) {
      const box = problemBox(error);
      page.append(box);
      box.scrollIntoView({ block: "nearest" });
    }
  };
  const guard = (promise) => promise.catch(fail);
  const state = { ...route, signal: controller.signal, reload: render, guard };
  const keepsField = document.activeElement?.matches("#main [name=q]") === true;
  const isFirst = main.querySelector(".view") === null;
  drawViews(route);
  main.setAttribute("aria-busy", "true");
  try {
    const title = await VIEWS[route.view](page, state);
    if (isShown()) {
      document.title = `${title} · memory inspector`;
    }
  } catch (error) {
    fail(error);
  }
  if (!isShown()) {
    return;
  }
  main.replaceChildren(page);
  main.removeAttribute("aria-busy");
  byId("forget-token").hidden = !hasToken();
  const target = page.querySelector(keepsField ? "[name=q]" : "h1");
  if (!isFirst) {
    (target ?? main).focus();
  }
}

function drawViews(route) {
  const links = route.entity === undefined ? [] : ENTITY_VIEWS;
  const tabs = links.map(([view, label]) => [link(route.entity, view), view, label]);
  tabs.push(["#/caches", "caches", "Caches"]);
  byId("views").replaceChildren(
    ...tabs.map(([href, view, label]) =>
      el("a", { href, "aria-current": view === route.view && "page" }, label),
    ),
  );
  for (const entity of byId("entities").querySelectorAll("[data-entity]")) {
    if (entity.dataset.entity === route.entity) {
      entity.setAttribute("aria-current", "true");
    } else {
      entity.removeAttribute("aria-current");
    }
  }
}

/** The list of entities, page by page, and a field to go to one by its name. */
async function drawEntities() {
  const name = el("input", { name: "entity", required: true, autocomplete: "off", "aria-keyshortcuts": "e" });
  const list = el("ul");
  const more = el("button", { type: "button", class: "more", hidden: true }, "More entities");
  const go = (event) => {
    event.preventDefault();
    location.hash = link(name.value, "search");
  };
  const form = el("form", { onsubmit: go }, field("Entity", name), el("button", {}, "Open"));
  byId("entities").replaceChildren(el("h2", {}, "Entities"), form, list, more);
  const load = async (after) => {
    const page = await api.entities(after);
    for (const entity of page.entities) {
      const attributes = { href: link(entity, "search"), "data-entity": entity };
      list.append(el("li", {}, el("a", attributes, el("bdi", {}, entity))));
    }
    more.hidden = page.next === null;
    more.onclick = () => load(page.next).catch(fail);
    drawViews(parse(location.hash));
  };
  const fail = (error) => list.before(problemBox(error));
  await load().catch(fail);
}

async function askForToken(refused) {
  const input = el("input", {
    type: "password",
    name: "token",
    required: true,
    // What a header can carry; pasted spaces around it are removed.
    pattern: "\\s*[\\x21-\\x7e]+\\s*",
    autocomplete: "off",
  });
  const explanation = refused ? "The server does not accept that token." : "The server asks for a token.";
  const { choice } = await ask(
    "Token",
    [
      el("p", {}, explanation, " It stays in this tab until the tab is closed."),
      field("Token", input),
    ],
    [
      ["use", "Use it"],
      ["", "Cancel"],
    ],
  );
  return choice === "use" ? input.value.trim() : null;
}

function showKeys() {
  const rows = KEYS.map(([key, what]) => el("div", {}, el("dt", {}, el("kbd", {}, key)), el("dd", {}, what)));
  return ask("Keys", el("dl", { class: "keys" }, rows), [["", "Close"]]);
}

/** Moves the focus to the next (1) or previous (-1) memory of the view. */
function step(by) {
  const all = [...document.querySelectorAll("#main a.open")];
  const at = all.indexOf(document.activeElement);
  const next = at === -1 ? (by > 0 ? 0 : all.length - 1) : at + by;
  all[Math.min(Math.max(next, 0), all.length - 1)]?.focus();
}

function onKey(event) {
  const isTyping = event.target.matches("input, select, textarea");
  if (isTyping || event.ctrlKey || event.altKey || event.metaKey || byId("dialog").open) {
    return;
  }
  const tab = byId("views").querySelectorAll("a")[Number(event.key) - 1];
  const actions = {
    "/": () => document.querySelector("#main [name=q]")?.focus(),
    e: () => document.querySelector("#entities [name=entity]")?.focus(),
    j: () => step(1),
    k: () => step(-1),
    "?": showKeys,
  };
  const action = tab ? () => tab.click() : actions[event.key];
  if (action) {
    event.preventDefault();
    action();
  }
}

onTokenNeeded(askForToken);
byId("show-keys").addEventListener("click", showKeys);
byId("forget-token").addEventListener("click", () => {
  forgetToken();
  location.reload();
});
addEventListener("keydown", onKey);
addEventListener("hashchange", render);
// A skip link would change the address, which names the view.
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  byId("main").focus();
});
drawEntities();
render();
