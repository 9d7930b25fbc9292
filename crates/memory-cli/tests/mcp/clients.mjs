// Speaks to `memory mcp` and `memory serve` with the official clients for JavaScript: both
// versions of the TypeScript SDK, and the command line of the inspector.
//
//     node clients.mjs PACKAGES MEMORY TRANSCRIPT
//
// PACKAGES is the folder with the `package.json` of this folder and what it installs. Sends
// the requests of TRANSCRIPT as client.py does, and prints the transcript of each client
// under a line with its name. The inspector sends the requests that begin with `>>`, each by a
// process of its own, over both transports in turn; they use one database.

import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { promisify } from "node:util";

const [packages, memory, transcript] = process.argv.slice(2).map((path) => resolve(path));
const load = createRequire(join(packages, "package.json"));
const run = promisify(execFile);

const UNKNOWN = "0192d3a0-0000-7000-8000-000000000001";
const UUID = /[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/g;
const METHODS = ["tools/list", "resources/templates/list", "resources/list", "resources/read"];

/** Sends the requests; returns what was asked and answered, without what differs between runs. */
async function converse(client, requests) {
  const lines = [];
  const words = new Map([[UNKNOWN, "UNKNOWN"]]);
  const ids = new Map([["UNKNOWN", UNKNOWN]]);
  const note = (line) => {
    line = line.replace(UUID, (id) => {
      if (!words.has(id)) {
        const word = `ID${words.size}`;
        words.set(id, word);
        ids.set(word, id);
      }
      return words.get(id);
    });
    line = line.replace(/"relevance":[0-9.]+/g, '"relevance":R');
    lines.push(line.replace(/(\.created":)"[^"]+"/g, '$1"NOW"'));
  };
  for (const request of requests) {
    const asked = request.replace(/\b(?:ID[0-9]+|UNKNOWN)\b/g, (word) => ids.get(word));
    const [, name, args] = asked.match(/^>+ (\S+) ?(.*)$/);
    note(request);
    const method = METHODS.includes(name) ? name : "tools/call";
    const parameters = JSON.parse(args || "{}");
    try {
      const call = method === "tools/call" ? { name, arguments: parameters } : parameters;
      for (const line of answer(method, await client.request(method, call))) note(line);
    } catch (error) {
      // Each client puts its own words before those of the server.
      note(`! ${error.message.trim().replace(/^.*MCP error -?[0-9]+: /, "")}`);
    }
  }
  return lines;
}

/** The answer to one request, as lines. */
function answer(method, result) {
  switch (method) {
    case "tools/list":
      return result.tools.map((tool) => `< ${describe(tool)}`);
    case "resources/templates/list":
      return result.resourceTemplates.map((template) => `< ${template.uriTemplate}`);
    case "resources/list":
      return result.resources.map((resource) => `< ${resource.uri}`);
    case "resources/read":
      return result.contents.map((contents) => `< ${contents.mimeType} ${contents.text}`);
    case "tools/call":
      return result.content.map((part) => `${result.isError ? "!" : "<"} ${part.text}`);
  }
}

function describe({ name, inputSchema, annotations }) {
  const hints = {
    reads: annotations.readOnlyHint,
    destroys: annotations.destructiveHint,
    repeatable: annotations.idempotentHint,
  };
  const flags = Object.keys(hints).filter((hint) => hints[hint]);
  return `${name}: ${Object.keys(inputSchema.properties).sort().join(", ")} [${flags.join(", ")}]`;
}

/** A client of either version of the SDK. */
class Sdk {
  constructor(client) {
    this.client = client;
  }

  static async connect(Client, options, transport) {
    const client = new Client({ name: "memory-tests", version: "1.0.0" }, options);
    await client.connect(transport);
    assert.equal(client.getServerVersion().name, "memory");
    return new Sdk(client);
  }

  request(method, parameters) {
    switch (method) {
      case "tools/list":
        return this.client.listTools();
      case "tools/call":
        return this.client.callTool(parameters);
      case "resources/templates/list":
        return this.client.listResourceTemplates();
      case "resources/list":
        return this.client.listResources();
      case "resources/read":
        return this.client.readResource(parameters);
    }
  }
}

/** The inspector's command line: a process for each request. */
class Inspector {
  constructor(targets, folder) {
    this.command = load.resolve("@modelcontextprotocol/inspector-cli/build/cli.js");
    this.targets = targets;
    this.folder = folder;
  }

  async request(method, { name, arguments: parameters, uri }) {
    const target = this.targets[0];
    this.targets.push(this.targets.shift());
    const options = ["--method", method];
    if (uri) options.push("--uri", uri);
    if (name) options.push("--tool-name", name);
    for (const [key, value] of Object.entries(parameters ?? {})) {
      options.push("--tool-arg", `${key}=${JSON.stringify(value)}`);
    }
    const command = [this.command, "--cli", ...target, ...options];
    try {
      const { stdout } = await run(process.execPath, command, { cwd: this.folder });
      return JSON.parse(stdout);
    } catch (error) {
      const message = /^.*MCP error.*$/m.exec(error.stderr ?? "");
      throw message ? new Error(message[0]) : error;
    }
  }
}

/** Passes the address and the token of a server over the database of a folder to `use`. */
async function withServer(folder, use) {
  const cwd = { cwd: folder };
  const { stdout } = await run(memory, ["token", "tokens", "--access", "write"], cwd);
  const listen = ["serve", "--listen", "127.0.0.1:0", "--tokens", "tokens"];
  const server = spawn(memory, listen, { ...cwd, stdio: ["ignore", "pipe", "inherit"] });
  const ended = once(server, "exit");
  try {
    const [line] = await once(createInterface(server.stdout), "line");
    const address = line.replace("listening on ", "").trim();
    return await use(`${address}/mcp`, `Bearer ${stdout.trim()}`);
  } finally {
    server.kill("SIGTERM");
    assert.equal((await ended)[0], 0, "the server ends in order");
  }
}

/** Passes an empty folder to `use`. */
async function withFolder(use) {
  const parent = await mkdtemp(join(tmpdir(), "memory-mcp-"));
  try {
    // Without its parent package, the inspector finds its own version only if there is a
    // manifest in the parent of the working folder.
    await writeFile(join(parent, "package.json"), "{}\n");
    const folder = join(parent, "run");
    await mkdir(folder);
    return await use(folder);
  } finally {
    await rm(parent, { recursive: true });
  }
}

/** Each transport with each version of the SDK, one after the other. */
async function useSdks(requests) {
  const v1 = {
    ...load("@modelcontextprotocol/sdk/client/index.js"),
    ...load("@modelcontextprotocol/sdk/client/stdio.js"),
    ...load("@modelcontextprotocol/sdk/client/streamableHttp.js"),
  };
  const v2 = {
    ...load("@modelcontextprotocol/client"),
    ...load("@modelcontextprotocol/client/stdio"),
    options: { versionNegotiation: { mode: "auto" } },
  };
  const transcripts = [];
  for (const [version, sdk] of Object.entries({ v1, v2 })) {
    const talk = async (transport) => {
      const session = await Sdk.connect(sdk.Client, sdk.options, transport);
      try {
        return await converse(session, requests);
      } finally {
        await session.client.close();
      }
    };
    const overStdio = await withFolder((cwd) => {
      // A path, because the client passes few variables on.
      const env = { MEMORY_CACHE_DIR: process.env.MEMORY_CACHE_DIR };
      const server = { command: memory, args: ["mcp"], cwd, env };
      return talk(new sdk.StdioClientTransport(server));
    });
    transcripts.push([`TypeScript SDK ${version}, stdio`, overStdio]);
    const overHttp = await withFolder((folder) =>
      withServer(folder, (url, authorization) => {
        const requestInit = { headers: { Authorization: authorization } };
        return talk(new sdk.StreamableHTTPClientTransport(new URL(url), { requestInit }));
      }),
    );
    transcripts.push([`TypeScript SDK ${version}, streamable HTTP`, overHttp]);
  }
  return transcripts;
}

async function useInspector(requests) {
  const lines = await withFolder((folder) =>
    withServer(folder, (url, authorization) => {
      const http = [url, "--transport", "http", "--header", `Authorization: ${authorization}`];
      const chosen = requests.filter((request) => request.startsWith(">>"));
      return converse(new Inspector([[memory, "mcp"], http], folder), chosen);
    }),
  );
  return [["inspector, stdio and HTTP in turn", lines]];
}

const text = await readFile(transcript, "utf8");
const requests = text.split("\n").filter((line) => line.startsWith(">"));
const transcripts = await Promise.all([useSdks(requests), useInspector(requests)]);
for (const [name, lines] of transcripts.flat()) {
  console.log(`# ${name}\n${lines.join("\n")}`);
}
