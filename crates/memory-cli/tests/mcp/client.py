"""Speaks to `memory mcp` and `memory serve` with the official Python client.

    python client.py MEMORY TRANSCRIPT

Sends the requests of TRANSCRIPT, the lines that begin with `>`, and prints the transcript
with the answers that came. Ids, relevance and the current time are replaced by words; those
of the ids are in the requests, too. The conversation is held over standard input and output
and over HTTP, each with the handshake of earlier versions of the protocol and without: all
four transcripts must be the same.
"""

import asyncio
import json
import os
import re
import subprocess
import sys
import tempfile
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
from jsonschema import Draft202012Validator
from mcp import Client, MCPError
from mcp.client.stdio import StdioServerParameters
from mcp.client.streamable_http import streamable_http_client

UNKNOWN = "0192d3a0-0000-7000-8000-000000000001"
UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
DEFAULT_MAX_CHARS = 12_000


class Transcript:
    """What was asked and answered, without what differs between runs."""

    def __init__(self):
        self.lines = []
        self.words = {UNKNOWN: "UNKNOWN"}

    def with_ids(self, request):
        ids = {word: id for id, word in self.words.items()}
        return re.sub(r"\b(?:ID[0-9]+|UNKNOWN)\b", lambda word: ids[word[0]], request)

    def note(self, line):
        def word(match):
            return self.words.setdefault(match[0], f"ID{len(self.words)}")

        line = UUID.sub(word, line)
        line = re.sub(r'"relevance":[0-9.]+', '"relevance":R', line)
        self.lines.append(re.sub(r'(\.created":)"[^"]+"', r'\1"NOW"', line))


async def answer(client, name, arguments):
    """The answer to one request, as lines."""
    match name:
        case "tools/list":
            tools = (await client.list_tools()).tools
            return [f"< {describe(tool)}" for tool in tools]
        case "resources/templates/list":
            templates = (await client.list_resource_templates()).resource_templates
            return [f"< {template.uri_template}" for template in templates]
        case "resources/list":
            resources = (await client.list_resources()).resources
            return [f"< {resource.uri}" for resource in resources]
        case "resources/read":
            try:
                [contents] = (await client.read_resource(arguments["uri"])).contents
            except MCPError as error:
                return [f"! {error}"]
            return [f"< {contents.mime_type} {contents.text}"]
    result = await client.call_tool(name, arguments)
    [content] = result.content
    assert len(content.text) <= arguments.get("max_chars", DEFAULT_MAX_CHARS), name
    return [f"{'!' if result.is_error else '<'} {content.text}"]


def describe(tool):
    hints = {
        "reads": tool.annotations.read_only_hint,
        "destroys": tool.annotations.destructive_hint,
        "repeatable": tool.annotations.idempotent_hint,
    }
    hints = ", ".join(name for name, value in hints.items() if value)
    return f"{tool.name}: {', '.join(sorted(tool.input_schema['properties']))} [{hints}]"


async def converse(client, requests):
    """Sends the requests; returns the lines of the transcript."""
    assert client.server_info.name == "memory"
    schemas = {tool.name: tool.input_schema for tool in (await client.list_tools()).tools}
    for schema in schemas.values():
        Draft202012Validator.check_schema(schema)
    log = Transcript()
    for request in requests:
        _, name, arguments = f"{log.with_ids(request)} ".split(" ", 2)
        arguments = json.loads(arguments.strip() or "{}")
        log.note(request)
        lines = await answer(client, name, arguments)
        if name in schemas and lines[0].startswith("<"):
            Draft202012Validator(schemas[name]).validate(arguments)
        for line in lines:
            log.note(line)
    return log.lines


@asynccontextmanager
async def over_stdio(memory, folder, mode):
    # A path, because the client passes few variables on.
    environment = {"MEMORY_CACHE_DIR": os.environ["MEMORY_CACHE_DIR"]}
    server = StdioServerParameters(command=memory, args=["mcp"], cwd=folder, env=environment)
    async with Client(server, mode=mode) as client:
        yield client


@asynccontextmanager
async def over_http(memory, folder, mode):
    token = [memory, "token", "tokens", "--access", "write"]
    token = subprocess.run(token, cwd=folder, check=True, capture_output=True, text=True)
    arguments = [memory, "serve", "--listen", "127.0.0.1:0", "--tokens", "tokens"]
    server = subprocess.Popen(arguments, cwd=folder, stdout=subprocess.PIPE, text=True)
    try:
        address = server.stdout.readline().removeprefix("listening on ").strip()
        headers = {"Authorization": f"Bearer {token.stdout.strip()}"}
        async with httpx2.AsyncClient(headers=headers) as http:
            transport = streamable_http_client(f"{address}/mcp", http_client=http)
            async with Client(transport, mode=mode) as client:
                yield client
    finally:
        server.terminate()
        assert server.wait(20) == 0


async def main(memory, transcript):
    lines = Path(transcript).read_text(encoding="utf-8").splitlines()
    requests = [line for line in lines if line.startswith(">")]
    expected = None
    for transport in [over_stdio, over_http]:
        for mode in ["legacy", "auto"]:
            with tempfile.TemporaryDirectory() as folder:
                async with transport(memory, folder, mode) as client:
                    lines = await converse(client, requests)
            expected = expected or lines
            for ours, theirs in zip(lines, expected, strict=True):
                assert ours == theirs, f"{transport.__name__}, {mode}:\n{ours}\n{theirs}"
    print("\n".join(expected))


if __name__ == "__main__":
    asyncio.run(main(str(Path(sys.argv[1]).resolve()), sys.argv[2]))
