// The page's addresses, after the #, so that every state can be linked to and the
// browser's history works.

/** The views of an entity, in the order of the navigation. */
export const ENTITY_VIEWS = [
  ["search", "Search"],
  ["timeline", "Timeline"],
  ["consolidations", "Consolidations"],
];

/** The address of a view of an entity; `parameters` without empty values. */
export function link(entity, view, parameters = {}, id) {
  const path = [entity, view, id].filter((part) => part !== undefined).map(encodeURIComponent);
  const given = Object.entries(parameters).filter(([, value]) => value !== undefined && value !== "");
  const text = new URLSearchParams(given).toString();
  return `#/entity/${path.join("/")}${text === "" ? "" : `?${text}`}`;
}

export const memoryLink = (entity, id) => link(entity, "memory", {}, id);

/** What an address names: a view, and its entity, id and parameters. */
export function parse(hash) {
  const [path, text = ""] = hash.replace(/^#/, "").split("?", 2);
  const parameters = Object.fromEntries(new URLSearchParams(text));
  let parts;
  try {
    parts = path.split("/").filter(Boolean).map(decodeURIComponent);
  } catch {
    parts = [];
  }
  const [first, entity, view = "search", id] = parts;
  if (first === "caches") {
    return { view: "caches", parameters };
  }
  if (first === "entity" && entity !== undefined) {
    const known = view === "memory" || ENTITY_VIEWS.some(([name]) => name === view);
    return { view: known ? view : "search", entity, id, parameters };
  }
  return { view: "entities", parameters };
}
