// Building elements, formatting values, and telling the user what happened.
//
// Strings become text nodes and attribute values; nothing is ever parsed as HTML. The
// page's Content-Security-Policy requires trusted types, so a slip would throw.

const SVG = "http://www.w3.org/2000/svg";

function build(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) {
      node.addEventListener(name.slice(2), value);
    } else if (value === true) {
      node.setAttribute(name, "");
    } else if (value !== false && value !== null && value !== undefined) {
      node.setAttribute(name, value);
    }
  }
  const isAbsent = (child) => child === null || child === undefined || child === false;
  const present = children.flat(Infinity).filter((child) => !isAbsent(child));
  node.append(...present);
  return node;
}

/** An HTML element; `on…` attributes are listeners. */
export function el(tag, attributes = {}, ...children) {
  return build(document.createElement(tag), attributes, children);
}

/** An SVG element. */
export function svg(tag, attributes = {}, ...children) {
  return build(document.createElementNS(SVG, tag), attributes, children);
}

export const byId = (id) => document.getElementById(id);

/** Says something to screen readers, and shows it for some seconds. */
export function announce(text) {
  const status = byId("status");
  status.textContent = text;
  clearTimeout(announce.timer);
  announce.timer = setTimeout(() => status.replaceChildren(), 8_000);
}

/** An error, where the content would be. */
export function problemBox(error) {
  return el(
    "div",
    { class: "problem", role: "alert" },
    el("strong", {}, error.title ?? "The inspector failed"),
    el("p", {}, error.message),
  );
}

/** A time as this browser writes it, with the exact one in `datetime`. */
export function time(text) {
  const at = new Date(text);
  const shown = at.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
  return el("time", { datetime: text, title: text }, shown);
}

/** The local day of a time, as 2026-03-01. */
export function dayOf(text) {
  const at = new Date(text);
  const part = (number) => String(number).padStart(2, "0");
  return `${at.getFullYear()}-${part(at.getMonth() + 1)}-${part(at.getDate())}`;
}

export const number = (value, digits = 3) =>
  value === null || value === undefined ? "–" : value.toFixed(digits);

export const percent = (share) => `${(100 * share).toFixed(1)} %`;

export const whole = (value) => value.toLocaleString();

export function bytes(value) {
  const units = ["B", "KiB", "MiB", "GiB"];
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${value.toFixed(unit === 0 ? 0 : 1)} ${units[unit]}`;
}

/** "1 memory", "2 memories". */
export const count = (value, one, many) => `${whole(value)} ${value === 1 ? one : many}`;

/** A labeled field of a form. */
export function field(label, input) {
  return el("label", { class: "field" }, el("span", {}, label), input);
}

export function select(name, options, chosen) {
  const entries = options.map(([value, text]) =>
    el("option", { value, selected: value === chosen }, text),
  );
  return el("select", { name }, entries);
}

const dialog = () => byId("dialog");

/**
 * Shows a dialog. `content` are nodes, `buttons` pairs of value and label, the first of
 * which is the default. Resolves to the value, and the dialog's form for its fields;
 * the value is "" if it was canceled. The focus returns to where it was.
 */
export function ask(title, content, buttons) {
  const box = dialog();
  const form = el("form", { method: "dialog" }, content);
  form.append(
    el(
      "div",
      { class: "buttons" },
      buttons.map(([value, label], index) =>
        el("button", { value, formnovalidate: index > 0 }, label),
      ),
    ),
  );
  box.replaceChildren(el("h2", { id: "dialog-title" }, title), form);
  return new Promise((resolve) => {
    box.returnValue = "";
    form.addEventListener("submit", (event) => {
      // Submitting would be a navigation, which the policy forbids.
      event.preventDefault();
      box.close(event.submitter?.value ?? buttons[0][0]);
    });
    box.addEventListener("close", () => resolve({ choice: box.returnValue, form }), {
      once: true,
    });
    box.showModal();
  });
}
