// Requests to the server. The token is asked for when the server answers 401, and is
// kept in the session storage of this tab only.

const TOKEN_KEY = "memory.token";

/** A problem that the server reported (RFC 9457), or that it could not be reached. */
export class Problem extends Error {
  constructor(title, detail, status, kind) {
    super(detail);
    this.title = title;
    this.status = status;
    this.kind = kind;
  }
}

let askForToken = () => Promise.resolve(null);
let asking = null;

/** Sets what asks for a token: it gets whether one was refused, and resolves to one, or null. */
export function onTokenNeeded(ask) {
  askForToken = ask;
}

export const hasToken = () => sessionStorage.getItem(TOKEN_KEY) !== null;

export function forgetToken() {
  sessionStorage.removeItem(TOKEN_KEY);
}

/** Asks once for all requests that were refused with the same token. */
async function renewToken(refused) {
  if (sessionStorage.getItem(TOKEN_KEY) !== refused) {
    return;
  }
  forgetToken();
  asking ??= askForToken(refused !== null).finally(() => {
    asking = null;
  });
  const token = await asking;
  if (token === null) {
    throw new Problem("No token", "The server needs a token; reload to enter one.", 401);
  }
  sessionStorage.setItem(TOKEN_KEY, token);
}

/** Browsers remove `.` and `..` from an address, also where they are encoded. */
const UNREACHABLE = /^\/v1\/entities\/\.\.?\//;

async function send(method, path, { body, signal } = {}) {
  if (UNREACHABLE.test(path)) {
    throw new Problem(
      "Not reachable from a browser",
      "Browsers remove the names . and .. from addresses. The memory command reads this entity: memory list NAME.",
      0,
    );
  }
  for (;;) {
    const token = sessionStorage.getItem(TOKEN_KEY);
    const headers = { accept: "application/json" };
    if (token !== null) {
      headers.authorization = `Bearer ${token}`;
    }
    if (body !== undefined) {
      headers["content-type"] = "application/json";
    }
    let response;
    try {
      response = await fetch(path, {
        method,
        headers,
        signal,
        body: body === undefined ? undefined : JSON.stringify(body),
        credentials: "omit",
      });
    } catch (error) {
      if (error.name === "AbortError") {
        throw error;
      }
      throw new Problem("Not reachable", "The server does not answer.", 0);
    }
    if (response.status === 401) {
      await renewToken(token);
      continue;
    }
    if (response.ok) {
      return response.status === 204 ? null : await response.json();
    }
    const problem = await response.json().catch(() => ({}));
    const title = problem.title ?? `The server answered ${response.status}`;
    throw new Problem(title, problem.detail ?? "", response.status, problem.kind);
  }
}

/** A path below an entity. */
function under(entity, path) {
  return `/v1/entities/${encodeURIComponent(entity)}${path}`;
}

/** A path below a memory. */
function memory(entity, id, path) {
  return under(entity, `/memories/${encodeURIComponent(id)}${path}`);
}

/** A query string without what is empty. */
function query(parameters) {
  const given = Object.entries(parameters).filter(([, value]) => value !== undefined && value !== "");
  const text = new URLSearchParams(given).toString();
  return text === "" ? "" : `?${text}`;
}

export const api = {
  entities: (after, signal) => send("GET", `/v1/entities${query({ limit: 100, after })}`, { signal }),
  caches: (signal) => send("GET", "/v1/caches", { signal }),
  stats: (entity, signal) => send("GET", under(entity, "/stats"), { signal }),
  recall: (entity, body, signal) => send("POST", under(entity, "/recall"), { body, signal }),
  list: (entity, parameters, signal) =>
    send("GET", under(entity, `/memories${query(parameters)}`), { signal }),
  get: (entity, id, signal) => send("GET", memory(entity, id, ""), { signal }),
  related: (entity, id, signal) => send("GET", memory(entity, id, "/related"), { signal }),
  undo: (entity, id) => send("POST", memory(entity, id, "/undo")),
};
