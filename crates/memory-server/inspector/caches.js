// The view of the caches and the embedder, read again every two seconds.

import { api } from "./api.js";
import { shareBar, sparkline } from "./charts.js";
import { bytes, el, number, problemBox, whole } from "./dom.js";
import { heading } from "./views.js";

const INTERVAL_MS = 2_000;

/** Readings that a line shows. */
const MAX_READINGS = 60;

const TIERS = [
  ["memory", "Memories by id"],
  ["entity", "Snapshots by entity"],
  ["embedding", "Vectors by text"],
];

/** The columns after the tier's name: heading, what it means, and the cell. */
const COLUMNS = [
  ["Hit rate", "hits among all look-ups", (it) => shareBar("Hit rate", share(it))],
  ["Look-ups/s", "in the last two seconds", (it) => number(it.rate, 1)],
  ["Last two minutes", "look-ups each second", (it) => rateLine(it.rates)],
  ["Entries", "in the tier now", (it) => whole(it.entries)],
  ["Size", "by the tier's weigher", (it) => bytes(it.bytes)],
  ["Hits", "answered from the tier", (it) => whole(it.hits)],
  ["Misses", "found nothing", (it) => whole(it.misses)],
  ["Loads", "from the store or the embedder", (it) => whole(it.loads)],
  ["Shared loads", "misses that waited for a running load", (it) => whole(it.coalesced_loads)],
  ["Evictions", "full or expired", (it) => whole(it.evictions)],
  ["Invalidations", "because of a write", (it) => whole(it.invalidations)],
  ["Refused", "loads that a write overtook", (it) => whole(it.stale_fills_refused)],
];

const share = ({ hits, misses }) => (hits + misses === 0 ? 0 : hits / (hits + misses));

function rateLine(rates) {
  const most = Math.max(1, ...rates);
  return sparkline(rates, most, `Look-ups each second, at most ${number(most, 1)}`);
}

export async function caches(main, state) {
  const body = el("tbody");
  const head = COLUMNS.map(([name, title]) => el("th", { scope: "col", title }, name));
  const table = el(
    "table",
    { class: "tiers" },
    el("caption", {}, "Since the server started"),
    el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "Tier"), head)),
    body,
  );
  const embedder = el("dl", { class: "figures" });
  const pause = el("button", { type: "button", "aria-pressed": "false" }, "Pause");
  const isPaused = () => pause.getAttribute("aria-pressed") === "true";
  const setPaused = (paused) => pause.setAttribute("aria-pressed", String(paused));
  pause.addEventListener("click", () => setPaused(!isPaused()));
  const problem = el("div");
  const scroll = { class: "scroll", tabindex: 0, role: "region", "aria-label": "Counters of the caches" };
  main.append(
    heading("Caches and embeddings"),
    pause,
    problem,
    el("div", scroll, table),
    el("h2", {}, "Embeddings"),
    embedder,
  );

  const readings = new Map(TIERS.map(([key]) => [key, { rates: [] }]));
  const read = async () => {
    const stats = await api.caches(state.signal);
    const now = performance.now();
    for (const [key] of TIERS) {
      update(readings.get(key), stats[key], now);
    }
    body.replaceChildren(...TIERS.map(([key, label]) => tierRow(key, label, readings.get(key))));
    const { loads, loadRate, entries, bytes: held } = readings.get("embedding");
    const figures = [
      ["Texts embedded", whole(loads)],
      ["Texts embedded/s", number(loadRate, 1)],
      ["Vectors in memory", `${whole(entries)} (${bytes(held)})`],
      ["Answered without the model", shareBar("Reused vectors", share(readings.get("embedding")))],
    ];
    embedder.replaceChildren(
      ...figures.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value))),
    );
  };
  const readAgain = async () => {
    try {
      await read();
      problem.replaceChildren();
    } catch (error) {
      // Once, however long the server is away. Without a token for it, it is not asked again.
      if (problem.childElementCount === 0 && !state.signal.aborted) {
        problem.append(problemBox(error));
      }
      if (error.status === 401 || error.status === 403) {
        setPaused(true);
      }
    }
  };
  await read();
  const timer = setInterval(() => {
    if (!isPaused() && document.visibilityState === "visible") {
      readAgain();
    }
  }, INTERVAL_MS);
  state.signal.addEventListener("abort", () => clearInterval(timer));
  return "Caches";
}

/** Takes new counters, and computes rates from those of the reading before. */
function update(reading, counters, now) {
  const before = { ...reading };
  Object.assign(reading, counters, { at: now });
  const seconds = (now - before.at) / 1_000;
  // The counters of a server that was restarted begin again.
  const added = (name) => Math.max(0, counters[name] - before[name]);
  const each = (name) => (before.at === undefined ? 0 : added(name) / seconds);
  reading.rate = each("hits") + each("misses");
  reading.loadRate = each("loads");
  reading.rates = [...before.rates, reading.rate].slice(-MAX_READINGS);
}

function tierRow(key, label, reading) {
  const cells = COLUMNS.map(([, , cell]) => el("td", {}, cell(reading)));
  return el("tr", { "data-tier": key }, el("th", { scope: "row" }, label), cells);
}
