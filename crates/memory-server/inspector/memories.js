// How a memory is shown: in a row, and its details.

import { dayOf, el, time } from "./dom.js";
import { memoryLink } from "./routes.js";

/** The text of a memory. It may say anything in any direction of writing. */
export function content(memory) {
  return el("p", { class: "content", dir: "auto" }, memory.content);
}

/** Kind, time, tags and participants in one line. */
export function attributes(memory) {
  const tags = memory.tags ?? [];
  const participants = Object.entries(memory.entities ?? {});
  return el(
    "p",
    { class: "attributes" },
    el("span", { class: `kind ${memory.kind}` }, memory.kind),
    time(memory.timestamp),
    tags.map((tag) => el("bdi", { class: "tag" }, tag)),
    participants.map(([name, role]) => el("bdi", { class: "participant" }, `${name}: ${role}`)),
    memory.archived_by && el("span", { class: "archived" }, "archived"),
  );
}

/** A memory as an entry of a list, with a link to its page. */
export function entry(memory, ...more) {
  const name = `Open the memory of ${dayOf(memory.timestamp)}`;
  return el(
    "article",
    { class: "memory", "data-id": memory.id },
    content(memory),
    attributes(memory),
    more,
    el("a", { class: "open", href: memoryLink(memory.entity, memory.id), "aria-label": name }, "Open"),
  );
}

/** When a memory was stored: the time in its id, if that is a UUID of version 7. */
export function storedAt(id) {
  const digits = id.replaceAll("-", "");
  if (digits[12] !== "7") {
    return null;
  }
  const milliseconds = Number.parseInt(digits.slice(0, 12), 16);
  return new Date(milliseconds).toISOString();
}

/** The metadata that a consolidation writes. */
export const isSummary = (memory) => memory.metadata?.["consolidation.generation"] !== undefined;

export const consolidatedAt = (memory) =>
  memory.metadata?.["consolidation.created"] ?? storedAt(memory.id);
