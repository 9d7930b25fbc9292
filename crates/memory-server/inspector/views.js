// The views for finding memories: entities, search and timeline.
//
// A view gets the element to fill and the state of the page: its route (`entity`, `id`,
// `parameters`), a `signal` that ends its requests when the user goes elsewhere, `reload`,
// and `guard`, which shows the error of a promise. It resolves to the page's title.

import { api } from "./api.js";
import { buckets, histogram, largestPart, partsTable, shareBar } from "./charts.js";
import { announce, count, dayOf, el, field, number, select, whole } from "./dom.js";
import { entry } from "./memories.js";
import { link } from "./routes.js";

/** Memories of a page of the timeline. */
const PAGE = 50;

const KINDS = [
  ["", "every kind"],
  ["world", "world"],
  ["experience", "experience"],
  ["opinion", "opinion"],
  ["observation", "observation"],
];

export const heading = (text, ...more) => el("h1", { tabindex: -1 }, text, more);

/** A form whose fields become the parameters of the same view. */
function parameterForm(state, view, name, ...fields) {
  const submit = (event) => {
    event.preventDefault();
    const values = Object.fromEntries(new FormData(event.currentTarget));
    const target = link(state.entity, view, values);
    // The same question again is asked again.
    if (target === location.hash) {
      state.reload();
    } else {
      location.hash = target;
    }
  };
  return el("form", { class: "parameters", role: "search", "aria-label": name, onsubmit: submit }, fields);
}

/** The counts of the entity, as one line. */
export async function counts(state) {
  const stats = await api.stats(state.entity, state.signal);
  const text = [
    count(stats.memories, "memory", "memories"),
    `${whole(stats.archived)} archived`,
    `generation ${whole(stats.generation)}`,
  ].join(" · ");
  return el("p", { class: "counts" }, text);
}

/** What there is to do, before an entity is chosen. */
export async function entities(main) {
  main.append(
    heading("Memories of agents"),
    el("p", {}, "Choose an entity to search its memories and see why each was found."),
  );
  return "Entities";
}

export async function search(main, state) {
  const { q = "", limit = "10", ranking = "default", min_relevance = "" } = state.parameters;
  const attributesOf = { type: "search", name: "q", value: q, maxlength: 10_000, required: true };
  const input = el("input", { ...attributesOf, "aria-keyshortcuts": "/", autocomplete: "off" });
  const rankings = [
    ["default", "default"],
    ["weighted_sum", "weighted sum"],
  ];
  const form = parameterForm(
    state,
    "search",
    "Search this entity's memories",
    field("Question", input),
    field("Ranking", select("ranking", rankings, ranking)),
    field("Results", el("input", { type: "number", name: "limit", min: 1, max: 100, value: limit })),
    field(
      "Least relevance",
      el("input", { type: "number", name: "min_relevance", min: 0, max: 1, step: "any", value: min_relevance }),
    ),
    el("button", {}, "Search"),
  );
  main.append(heading("Search ", el("bdi", {}, state.entity)), await counts(state), form);
  if (q === "") {
    return `Search ${state.entity}`;
  }
  const request = { text: q, limit: Number(limit) || 10, ranking, explain: true };
  if (min_relevance !== "") {
    request.min_relevance = Number(min_relevance);
  }
  const answer = await api.recall(state.entity, request, state.signal);
  main.append(results(answer));
  announce(count(answer.memories.length, "memory found", "memories found"));
  return `${q} · ${state.entity}`;
}

/** The results of a search, each with the reasons for its score. */
function results(answer) {
  const hits = answer.memories;
  const notes = [];
  if (hits.length === 0) {
    notes.push("No memory matches.");
  }
  if (answer.by_previous_model) {
    notes.push("Compared by the previous model, as more memories have its vectors.");
  }
  if (answer.without_vectors > 0) {
    const lacking = count(answer.without_vectors, "memory has", "memories have");
    const model = answer.by_previous_model ? "that" : "the current";
    notes.push(`${lacking} no vector of ${model} model, and can be found by words only.`);
  }
  if (answer.below_min_relevance.count > 0) {
    const { count: excluded, max_relevance } = answer.below_min_relevance;
    notes.push(`${whole(excluded)} left out: their relevance is at most ${number(max_relevance)}.`);
  }
  const largest = largestPart(hits);
  const list = el("ol", { class: "results" }, hits.map((hit) => el("li", {}, result(hit, largest))));
  const toggle = el("button", { type: "button", id: "explain-all", "aria-pressed": "false" }, "Explain all");
  toggle.addEventListener("click", () => {
    const open = toggle.getAttribute("aria-pressed") === "false";
    toggle.setAttribute("aria-pressed", String(open));
    for (const details of list.querySelectorAll("details")) {
      details.open = open;
    }
  });
  return el(
    "section",
    { "aria-label": "Results" },
    notes.map((note) => el("p", { class: "note" }, note)),
    hits.length > 0 && toggle,
    list,
  );
}

function result(hit, largest) {
  const figures = el(
    "dl",
    { class: "figures" },
    el("div", {}, el("dt", {}, "Score"), el("dd", {}, number(hit.score))),
    el("div", {}, el("dt", {}, "Relevance"), el("dd", {}, shareBar("Relevance", hit.relevance))),
    el("div", {}, el("dt", {}, "Similarity"), el("dd", {}, number(hit.similarity))),
  );
  const why = el(
    "details",
    { class: "why" },
    el("summary", {}, "Why this score"),
    partsTable(hit, largest),
  );
  return entry(hit.memory, figures, why);
}

export async function timeline(main, state) {
  const given = state.parameters;
  const text = (name) => el("input", { name, value: given[name] ?? "", autocomplete: "off" });
  const day = (name) => el("input", { type: "date", name, value: given[name] ?? "" });
  const form = parameterForm(
    state,
    "timeline",
    "Filter the timeline",
    field("Kind", select("kind", KINDS, given.kind)),
    field("Tag, or none", text("tag")),
    field("Participant", text("involves")),
    field("From", day("since")),
    field("Before", day("until")),
    field("As known on", day("as_of")),
    el("button", {}, "Show"),
  );
  main.append(heading("Timeline of ", el("bdi", {}, state.entity)), await counts(state), form);
  const filter = { ...given, limit: PAGE };
  for (const name of ["since", "until", "as_of"]) {
    // The days are local ones.
    filter[name] &&= new Date(`${given[name]}T00:00`).toISOString();
  }
  const chart = el("div");
  const days = el("div", { class: "days" });
  const more = el("button", { type: "button", class: "more" }, "Older memories");
  const perDay = new Map();
  let lists = null;
  const load = async (after) => {
    const page = await api.list(state.entity, { ...filter, after }, state.signal);
    for (const { memory } of page.memories) {
      const date = dayOf(memory.timestamp);
      if (!perDay.has(date)) {
        lists = el("ol");
        days.append(el("section", { "aria-label": date }, el("h2", {}, date), lists));
      }
      perDay.set(date, (perDay.get(date) ?? 0) + 1);
      lists.append(el("li", {}, entry(memory)));
    }
    if (perDay.size > 0) {
      chart.replaceChildren(histogram(buckets(perDay), "Memories shown"));
    }
    more.hidden = page.next === null;
    more.onclick = () => state.guard(load(page.next));
    announce(count(page.memories.length, "memory", "memories"));
  };
  main.append(chart, days, more);
  await load();
  if (perDay.size === 0) {
    days.append(el("p", { class: "note" }, "No memory matches."));
  }
  return `Timeline of ${state.entity}`;
}
