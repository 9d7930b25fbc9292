"""Speaks to `memory mcp` and `memory serve` with the official Python client.

    python client.py MEMORY

Prints the transcript of a conversation, with ids and relevance replaced by words. The
conversation is held over standard input and output and over HTTP, each with the handshake
of earlier versions of the protocol and without: all four transcripts must be the same.
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


class Transcript:
    """What was called and answered, without what differs between runs."""

    def __init__(self, client, tools):
        self.client = client
        self.schemas = {tool.name: tool.input_schema for tool in tools}
        self.lines = []
        self.ids = {UNKNOWN: "UNKNOWN"}

    def note(self, line):
        def name(match):
            return self.ids.setdefault(match[0], f"ID{len(self.ids)}")

        line = UUID.sub(name, line)
        self.lines.append(re.sub(r'"relevance":[0-9.]+', '"relevance":R', line))

    async def call(self, tool, **arguments):
        """Calls a tool with arguments that its schema allows; returns its answer."""
        Draft202012Validator(self.schemas[tool]).validate(arguments)
        return json.loads(await self.ask("<", tool, arguments))

    async def refused(self, tool, **arguments):
        """Calls a tool that must answer with an error."""
        await self.ask("!", tool, arguments)

    async def ask(self, mark, tool, arguments):
        self.note(f"> {tool} {json.dumps(arguments, ensure_ascii=False)}")
        result = await self.client.call_tool(tool, arguments)
        [content] = result.content
        assert result.is_error == (mark == "!"), content.text
        self.note(f"{mark} {content.text}")
        return content.text


async def converse(client):
    """A conversation with every tool and every resource; returns its transcript."""
    tools = (await client.list_tools()).tools
    log = Transcript(client, tools)
    log.note(f"server {client.server_info.name}")
    for tool in tools:
        Draft202012Validator.check_schema(tool.input_schema)
        hints = tool.annotations
        flags = {
            "reads": hints.read_only_hint,
            "destroys": hints.destructive_hint,
            "repeatable": hints.idempotent_hint,
        }
        flags = [name for name, value in flags.items() if value]
        log.note(f"tool {tool.name}: {', '.join(sorted(tool.input_schema['properties']))} [{', '.join(flags)}]")

    mira = {"entity": "mira"}
    horse = await log.call(
        "retain",
        **mira,
        content='Tam said: "The horse is sound." It was lame.',
        timestamp="2026-03-01T09:30:00Z",
        context="spring market",
        importance=0.75,
        tags=["market"],
        metadata={"price": "12"},
        entities={"tam": "seller"},
    )
    mill = await log.call(
        "retain",
        **mira,
        content="The mill stands north of the bridge.",
        kind="world",
        timestamp="2026-03-02T09:30:00Z",
    )
    await log.call(
        "retain",
        entity="tam",
        content="Mira is easily fooled.",
        kind="opinion",
        timestamp="2026-03-02T10:00:00Z",
    )
    await log.call("recall", **mira, text="Who sold me a lame horse?", limit=1)
    await log.call("recall", **mira, text="Who sold me a lame horse?", tags=["harbor"])
    await log.call("reflect", **mira, text="Can Tam be trusted?", involves="tam")
    await log.call(
        "relate", **mira, **{"from": horse["id"]}, to=mill["id"], relation="happened near"
    )
    await log.call("update", **mira, id=mill["id"], content="The mill burned down.")
    await log.call("get", **mira, id=mill["id"])
    page = await log.call("list", **mira, limit=1)
    await log.call("list", **mira, limit=1, after=page["next"])
    await log.call("retain", **mira, content="long " * 1000, timestamp="2026-03-03T00:00:00Z")
    cut = await log.call("list", **mira, max_chars=500)
    assert len(json.dumps(cut, ensure_ascii=False)) <= 600, "an answer fits its limit"
    assert cut["memories"][0]["truncated"] and cut["next"], cut
    await log.call("consolidate", **mira)
    await log.call("forget", **mira, id=cut["memories"][0]["id"])
    await log.call("stats", **mira)

    await log.refused("get", **mira, id=UNKNOWN)
    await log.refused("recall", text="Who sold me a lame horse?")
    await log.refused("recall", **mira, txt="Who sold me a lame horse?")
    await log.refused("recall", **mira, text="Who sold me a lame horse?", limit="all")
    await log.refused("recall", **mira, text="Who sold me a lame horse?", limit=0)
    await log.refused("update", **mira, id=horse["id"])
    await log.refused("retain", **mira, content=" ")

    for template in (await client.list_resource_templates()).resource_templates:
        log.note(f"template {template.uri_template}")
    for resource in (await client.list_resources()).resources:
        [contents] = (await client.read_resource(resource.uri)).contents
        log.note(f"resource {resource.uri} {contents.mime_type} {contents.text}")
    try:
        await client.read_resource("memory://entities/nobody/memories/x")
        raise AssertionError("no such resource")
    except MCPError as error:
        log.note(f"error {error}")
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


async def main(memory):
    expected = None
    for transport in [over_stdio, over_http]:
        for mode in ["legacy", "auto"]:
            with tempfile.TemporaryDirectory() as folder:
                async with transport(memory, folder, mode) as client:
                    lines = await converse(client)
            expected = expected or lines
            for ours, theirs in zip(lines, expected, strict=True):
                assert ours == theirs, f"{transport.__name__}, {mode}:\n{ours}\n{theirs}"
    print("\n".join(expected))


if __name__ == "__main__":
    asyncio.run(main(str(Path(sys.argv[1]).resolve())))
