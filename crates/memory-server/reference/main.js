// Renders the OpenAPI document. All content is inserted as text, never as markup.

const METHODS = ["get", "post", "put", "patch", "delete"];
const SCHEMAS = "#/components/schemas/";

/** An element with attributes and children; strings become text. */
function element(name, attributes, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
}

/** A schema in a few words, with a link to a named one. */
function typeOf(schema) {
  if (!schema) return "";
  if (schema.$ref) {
    const name = schema.$ref.replace(SCHEMAS, "");
    return element("a", { href: `#schema-${name}` }, name);
  }
  const choices = schema.oneOf ?? schema.anyOf ?? schema.allOf;
  if (choices) {
    const parts = choices.flatMap((choice, index) => [index ? " or " : "", typeOf(choice)]);
    return element("span", {}, ...parts);
  }
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(", ");
  if (schema.type === "array") return element("span", {}, "array of ", typeOf(schema.items));
  const types = [schema.type ?? "any"].flat().join(" or ");
  return schema.format ? `${types} (${schema.format})` : types;
}

/** The limits and the default of a schema. */
function limitsOf(schema) {
  const names = {
    minimum: "at least", maximum: "at most", minLength: "length at least",
    maxLength: "length at most", default: "default",
  };
  const known = Object.entries(names).filter(([key]) => schema?.[key] !== undefined);
  return known.map(([key, words]) => `${words} ${JSON.stringify(schema[key])}`).join(", ");
}

function table(headings, rows) {
  const head = element("tr", {}, ...headings.map((text) => element("th", { scope: "col" }, text)));
  const body = rows.map((cells) =>
    element("tr", {}, ...cells.map((cell) => element("td", {}, cell ?? ""))));
  return element("table", {}, element("thead", {}, head), element("tbody", {}, ...body));
}

function properties(schema) {
  const required = new Set(schema.required ?? []);
  const rows = Object.entries(schema.properties ?? {}).map(([name, value]) => [
    element("code", {}, name), typeOf(value), required.has(name) ? "required" : "",
    limitsOf(value), element("span", { class: "text" }, value.description ?? ""),
  ]);
  return table(["name", "type", "", "limits", "meaning"], rows);
}

function contentOf(content) {
  return Object.entries(content ?? {}).map(([mediaType, { schema }]) =>
    element("p", {}, `${mediaType}: `, typeOf(schema)));
}

function operation(method, path, it) {
  const heading = element("summary", {},
    element("code", { class: "method" }, method.toUpperCase()),
    element("code", {}, path), it.summary ?? "");
  const parts = [heading, element("p", { class: "text" }, it.description ?? "")];
  if (it.parameters?.length) {
    const rows = it.parameters.map((parameter) => [
      element("code", {}, parameter.name), parameter.in, typeOf(parameter.schema),
      parameter.required ? "required" : "", limitsOf(parameter.schema),
      parameter.description ?? "",
    ]);
    const headings = ["parameter", "in", "type", "", "limits", "meaning"];
    parts.push(element("h3", {}, "Parameters"), table(headings, rows));
  }
  if (it.requestBody) {
    parts.push(element("h3", {}, "Body"), ...contentOf(it.requestBody.content));
  }
  const answers = Object.entries(it.responses ?? {}).map(([status, answer]) =>
    [status, element("div", {}, answer.description ?? "", ...contentOf(answer.content))]);
  parts.push(element("h3", {}, "Answers"), table(["status", "content"], answers));
  const id = `${method}-${path}`;
  return element("details", { id, "data-find": `${id} ${it.summary ?? ""}`.toLowerCase() }, ...parts);
}

function schemaOf(name, schema) {
  const parts = [element("summary", {}, element("code", {}, name))];
  parts.push(element("p", { class: "text" }, schema.description ?? ""));
  parts.push(schema.properties ? properties(schema) : element("p", {}, typeOf(schema)));
  return element("details", { id: `schema-${name}`, "data-find": name.toLowerCase() }, ...parts);
}

function render(document_) {
  const groups = new Map();
  for (const [path, item] of Object.entries(document_.paths)) {
    for (const method of METHODS.filter((method) => item[method])) {
      const tag = item[method].tags?.[0] ?? "other";
      groups.set(tag, [...(groups.get(tag) ?? []), operation(method, path, item[method])]);
    }
  }
  const sections = [...groups].map(([tag, operations]) =>
    element("section", {}, element("h2", {}, tag), ...operations));
  const schemas = Object.entries(document_.components?.schemas ?? {});
  const named = schemas.map(([name, schema]) => schemaOf(name, schema));
  sections.push(element("section", {}, element("h2", {}, "Schemas"), ...named));
  document.getElementById("title").textContent =
    `${document_.info.title} ${document_.info.version}: HTTP API`;
  document.getElementById("about").textContent = document_.info.description ?? "";
  document.getElementById("content").replaceChildren(...sections);
}

/** Shows what contains the text that is looked for. */
function find(text) {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  for (const entry of document.querySelectorAll("details")) {
    entry.hidden = !words.every((word) => entry.dataset.find.includes(word));
  }
}

/** Opens what the address names. */
function openTarget() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (target instanceof HTMLDetailsElement) {
    target.hidden = false;
    target.open = true;
    target.scrollIntoView();
  }
}

try {
  const response = await fetch("/openapi.json");
  render(await response.json());
  document.getElementById("find").addEventListener("input", (event) => find(event.target.value));
  addEventListener("hashchange", openTarget);
  openTarget();
} catch (error) {
  document.getElementById("content").textContent = `The document cannot be shown: ${error}`;
}
