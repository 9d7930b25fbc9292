// The views of what happens to memories: one memory with its links and history, and the
// consolidations of an entity, which can be undone.

import { api } from "./api.js";
import { shareBar } from "./charts.js";
import { announce, ask, count, el, time } from "./dom.js";
import { attributes, consolidatedAt, content, entry, isSummary, storedAt } from "./memories.js";
import { link, memoryLink } from "./routes.js";
import { counts, heading } from "./views.js";

/** Archived memories of a page, and the most sources of a summary that are shown. */
const PAGE = 200;

/** Asks, and undoes a consolidation; resolves to whether it did. */
async function undo(entity, id, sources) {
  const restored = count(sources, "memory is", "memories are");
  const { choice } = await ask(
    "Undo this consolidation?",
    el("p", {}, `The summary is removed, and ${restored} restored exactly as before.`),
    [
      ["undo", "Undo"],
      ["", "Cancel"],
    ],
  );
  if (choice !== "undo") {
    return false;
  }
  const answer = await api.undo(entity, id);
  announce(`${count(answer.restored.length, "memory", "memories")} restored`);
  return true;
}

/** A button that undoes a consolidation and then calls `done`. */
function undoButton(state, summary, sources, done) {
  const label = `Undo the consolidation of ${count(sources, "memory", "memories")}`;
  const click = () =>
    state.guard(undo(state.entity, summary.id, sources).then((undone) => undone && done()));
  return el("button", { type: "button", class: "undo", "aria-label": label, onclick: click }, "Undo");
}

export async function memory(main, state) {
  const { entity, id, signal } = state;
  const shown = await api.get(entity, id, signal);
  const summary = isSummary(shown);
  const [{ related, omitted }, sources, above] = await Promise.all([
    api.related(entity, id, signal),
    summary ? api.list(entity, { sources_of: id, limit: PAGE }, signal) : null,
    shown.archived_by ? api.get(entity, shown.archived_by, signal) : null,
  ]);
  const replaced = sources?.memories.map((listed) => listed.memory) ?? [];
  main.append(
    heading(summary ? "Summary" : "Memory", " of ", el("bdi", {}, entity)),
    el("article", { class: "memory whole", "data-id": id }, content(shown), attributes(shown)),
    section("Details", details(shown)),
    section("Relations", relations(entity, related, omitted)),
    section("History", history(entity, shown, replaced, above)),
  );
  if (replaced.length > 0) {
    const list = el("ol", {}, replaced.map((source) => el("li", {}, entry(source))));
    const done = () => {
      location.hash = link(entity, "consolidations");
    };
    const canUndo = !shown.archived_by;
    main.append(
      section("Replaced memories", list, canUndo && undoButton(state, shown, replaced.length, done)),
    );
  }
  return `Memory of ${entity}`;
}

function section(title, ...content) {
  return el("section", { "aria-label": title }, el("h2", {}, title), content);
}

/** Every value of a memory that its first lines do not show. */
function details(shown) {
  const rows = [
    ["Id", el("code", {}, shown.id)],
    ["Importance when it was made", shareBar("Importance", shown.importance)],
    ["Episode", shown.context && el("bdi", {}, shown.context)],
    ["Decay rate", shown.decay_rate && `${shown.decay_rate} a day`],
  ];
  for (const [key, value] of Object.entries(shown.metadata ?? {})) {
    rows.push([el("bdi", {}, key), el("bdi", {}, value)]);
  }
  const present = rows.filter(([, value]) => value !== undefined);
  return el(
    "dl",
    { class: "details" },
    present.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value))),
  );
}

function relations(entity, related, omitted) {
  if (related.length === 0) {
    return el("p", { class: "note" }, "No links to or from other memories.");
  }
  const one = ({ direction, relation, memory: other }) => {
    const outgoing = direction === "outgoing";
    return el(
      "li",
      {},
      el("span", { class: "direction" }, outgoing ? "this memory → " : "← from "),
      el("bdi", { class: "relation" }, relation),
      entry({ ...other, entity }),
    );
  };
  const links = related.map(one);
  if (omitted > 0) {
    links.push(el("li", {}, `${omitted} older memories link to it as well.`));
  }
  return el("ul", { class: "relations" }, links);
}

/** What happened to a memory, oldest first. */
function history(entity, shown, replaced, above) {
  const events = [[shown.timestamp, "It happened."]];
  if (isSummary(shown)) {
    const sources = count(replaced.length, "memory", "memories");
    events.push([consolidatedAt(shown), `A consolidation wrote it in place of ${sources}.`]);
  } else {
    events.push([storedAt(shown.id), "It was stored."]);
  }
  if (shown.last_accessed) {
    const times = count(shown.access_count ?? 0, "time", "times");
    events.push([shown.last_accessed, `It was last recalled, ${times} in all.`]);
  }
  if (above !== null) {
    const target = el("a", { href: memoryLink(entity, above.id) }, "a summary");
    events.push([consolidatedAt(above), ["A consolidation replaced it by ", target, "."]]);
  }
  const dated = events.filter(([at]) => at !== null);
  dated.sort(([a], [b]) => Date.parse(a) - Date.parse(b));
  return el(
    "ol",
    { class: "history" },
    dated.map(([at, what]) => el("li", {}, time(at), " ", what)),
  );
}

export async function consolidations(main, state) {
  const { entity, signal } = state;
  const groups = new Map();
  const list = el("ol", { class: "groups" });
  const more = el("button", { type: "button", class: "more" }, "More");
  const load = async (after) => {
    const page = await api.list(entity, { archived: true, limit: PAGE, after }, signal);
    const found = page.memories.map((listed) => listed.memory);
    const unknown = new Set(found.map((it) => it.archived_by).filter((id) => !groups.has(id)));
    const summaries = await Promise.all([...unknown].map((id) => api.get(entity, id, signal)));
    for (const summary of summaries) {
      groups.set(summary.id, { summary, sources: [] });
    }
    for (const source of found) {
      groups.get(source.archived_by).sources.push(source);
    }
    list.replaceChildren(...[...groups.values()].map((group) => groupItem(state, group)));
    more.hidden = page.next === null;
    more.onclick = () => state.guard(load(page.next));
  };
  main.append(heading("Consolidations of ", el("bdi", {}, entity)), await counts(state), list, more);
  await load();
  if (groups.size === 0) {
    list.before(el("p", { class: "note" }, "Nothing is consolidated: no memory is archived."));
  }
  return `Consolidations of ${entity}`;
}

/** A summary with the memories that it replaced. */
function groupItem(state, { summary, sources }) {
  const replaced = count(sources.length, "memory", "memories");
  const note = "It is archived itself: undo the summary that replaced it first.";
  const action = summary.archived_by
    ? el("p", { class: "note" }, note)
    : undoButton(state, summary, sources.length, state.reload);
  const list = el("ol", {}, sources.map((source) => el("li", {}, entry(source))));
  return el(
    "li",
    { class: "group", "data-summary": summary.id },
    entry(summary),
    el("details", {}, el("summary", {}, `In place of ${replaced}`), list),
    action,
  );
}
