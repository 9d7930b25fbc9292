// Bars, a histogram and a sparkline. Each has its figures as text as well.

import { el, number, percent, svg } from "./dom.js";

/** The parts of a score: key, label, and the inputs that they come from. */
const PARTS = [
  ["similarity", "Meaning", (it) => `cosine ${number(it.similarity)}`],
  ["lexical", "Words", (it) => `BM25 ${number(it.lexical, 2)}`],
  ["pairs", "Word pairs", (it) => `BM25 ${number(it.pairs, 2)}`],
  ["neighbors", "Neighbors", () => "lent by an episode or a link"],
  ["mention", "Mention", (it) => (it.mentioned ? "the question names it" : "not named")],
  ["date", "Date", (it) => `closeness ${number(it.date, 2)}`],
  ["when", "Names a time", (it) => `above the mean by ${number(it.when, 2)}`],
  ["importance", "Importance", (it) => `now ${number(it.importance, 2)}`],
  ["recency", "Recency", (it) => number(it.recency, 2)],
  ["newer", "Newer answer", () => "leads an older, similar one"],
];

/** The largest part of these explained hits, for a common scale. */
export function largestPart(hits) {
  const parts = hits.flatMap((hit) => Object.values(hit.parts ?? {}));
  return Math.max(1e-9, ...parts.map(Math.abs));
}

/** A bar from the middle of its track: to the right above 0, to the left below. */
function signedBar(value, largest) {
  const bar = el("span", { class: value < 0 ? "bar negative" : "bar" });
  bar.style.setProperty("--length", `${(50 * Math.abs(value)) / largest}%`);
  return el("span", { class: "track signed", "aria-hidden": "true" }, bar);
}

/** A table of the parts of a score, with bars on a common scale. */
export function partsTable(hit, largest) {
  const rows = PARTS.filter(([key]) => Math.abs(hit.parts[key]) >= 0.0005).map(
    ([key, label, input]) => {
      const value = hit.parts[key];
      return el(
        "tr",
        { "data-part": key },
        el("th", { scope: "row" }, label),
        el("td", { class: "figure" }, `${value < 0 ? "−" : "+"}${number(Math.abs(value))}`),
        el("td", { class: "chart" }, signedBar(value, largest)),
        el("td", { class: "input" }, input(hit.explanation)),
      );
    },
  );
  const head = ["Part", "Adds", "Bar", "From"].map((text) => el("th", { scope: "col" }, text));
  return el(
    "table",
    { class: "parts" },
    el("caption", {}, `These parts add up to the score, ${number(hit.score)}.`),
    el("thead", {}, el("tr", {}, head)),
    el("tbody", {}, rows),
  );
}

/** A share as a bar with its figure. */
export function shareBar(label, share) {
  const meter = el("meter", { min: 0, max: 1, value: share, "aria-label": label });
  return el("span", { class: "share" }, meter, " ", percent(share));
}

/** Most days that a histogram shows one by one; over a longer time it shows months. */
const MAX_DAYS = 120;

/** Counts by day, newest first, as pairs of a day or a month and its count, oldest first. */
export function buckets(perDay) {
  const days = [...perDay.keys()].sort();
  const [first, last] = [days[0], days.at(-1)].map((day) => Date.parse(day));
  const span = Math.round((last - first) / 86_400_000) + 1;
  const found = new Map();
  if (span <= MAX_DAYS) {
    for (let day = 0; day < span; day += 1) {
      found.set(new Date(first + day * 86_400_000).toISOString().slice(0, 10), 0);
    }
  }
  for (const day of days) {
    const label = span <= MAX_DAYS ? day : day.slice(0, 7);
    found.set(label, (found.get(label) ?? 0) + perDay.get(day));
  }
  return [...found];
}

/** Bars over time: pairs of label and count, in order. */
export function histogram(counts, what) {
  const most = Math.max(1, ...counts.map(([, count]) => count));
  const width = 600 / Math.max(1, counts.length);
  const bars = counts.map(([label, count], index) => {
    const height = (76 * count) / most;
    return svg(
      "rect",
      {
        x: (index * width).toFixed(2),
        y: (80 - height).toFixed(2),
        width: Math.max(1, Math.min(width - 1, 40)).toFixed(2),
        height: height.toFixed(2),
      },
      svg("title", {}, `${label}: ${count}`),
    );
  });
  const [first, last] = [counts[0][0], counts.at(-1)[0]];
  const unit = first.length === 7 ? "month" : "day";
  const label = `${what} by ${unit}, from ${first} to ${last}; at most ${most} a ${unit}`;
  return el(
    "figure",
    { class: "histogram" },
    svg("svg", { viewBox: "0 0 600 80", role: "img", "aria-label": label }, bars),
    el("figcaption", {}, label),
  );
}

/** A line of the last values, 0 to `most`. */
export function sparkline(values, most, label) {
  const step = 120 / Math.max(1, values.length - 1);
  const height = (value) => 23 - (22 * value) / Math.max(most, 1e-9);
  const points = values.map((value, at) => `${(at * step).toFixed(1)},${height(value).toFixed(1)}`);
  return svg(
    "svg",
    { class: "sparkline", viewBox: "0 0 120 24", role: "img", "aria-label": label },
    svg("polyline", { points: points.join(" "), fill: "none" }),
  );
}
