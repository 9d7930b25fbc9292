"""Generates a client from the server's OpenAPI document, and uses it.

    python http_client.py MEMORY

Serves an empty database with a token, generates a package with openapi-python-client, and
checks what its functions return against the running server.
"""

import json
import re
import subprocess
import sys
import tempfile
import uuid
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

import httpx

PACKAGE = "memory_http"


@contextmanager
def serve(command, folder):
    """A server on a free port: its address and a token that may do everything."""
    tokens = str(folder / "tokens")
    token = subprocess.run(
        [command, "token", tokens, "--access", "write"],
        check=True, capture_output=True, text=True,
    ).stdout.strip()
    server = subprocess.Popen(
        [command, "--json", "--db", f"sqlite://{folder}/m.db", "serve",
         "--listen", "127.0.0.1:0", "--tokens", tokens],
        stdout=subprocess.PIPE, text=True,
    )
    try:
        address = json.loads(server.stdout.readline())["listening"]
        yield f"http://{address}", token
    finally:
        server.terminate()
        assert server.wait(timeout=30) == 0


def generate(address, folder):
    """Generates the package from the document and makes it importable."""
    document = folder / "openapi.json"
    document.write_text(httpx.get(f"{address}/openapi.json").raise_for_status().text)
    config = folder / "config.yml"
    config.write_text(f"package_name_override: {PACKAGE}\npost_hooks: []\n")
    generator = [
        sys.executable, "-m", "openapi_python_client", "generate",
        "--path", document, "--meta", "none", "--output-path", folder / PACKAGE,
        "--config", config,
    ]
    made = subprocess.run(generator, check=True, capture_output=True, text=True)
    sys.path.insert(0, str(folder))
    return made.stdout


def main():
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        with serve(sys.argv[1], folder) as (address, token):
            print(generate(address, folder))
            use(address, token)


def use(address, token):
    client = import_module(PACKAGE).AuthenticatedClient(base_url=address, token=token)
    models = import_module(f"{PACKAGE}.models")

    def call(operation, *path, **arguments):
        """Calls a generated function: tag.operation."""
        function = import_module(f"{PACKAGE}.api.{operation}").sync_detailed
        return function(*path, client=client, **arguments)

    memory = models.MemoryInput(content="Tam sold me a lame horse.", tags=["market"])
    retained = call("memories.retain", "mira", body=memory, idempotency_key="horse")
    assert retained.status_code == 201, retained
    id_ = str(retained.parsed.id)
    again = call("memories.retain", "mira", body=memory, idempotency_key="horse")
    assert str(again.parsed.id) == id_, again

    read = call("memories.get", "mira", id_)
    assert read.parsed.content == memory.content, read
    assert read.parsed.tags == ["market"], read

    question = models.Recall(text="Who sold the horse?", limit=3)
    found = call("questions.recall", "mira", body=question)
    assert [str(hit.memory.id) for hit in found.parsed.memories] == [id_], found

    short = models.Recall(text="Who sold the horse?", vector=[0.6, 0.8])
    refused = call("questions.recall", "mira", body=short)
    assert refused.status_code == 400, refused
    needed = re.fullmatch(r".* 2 dimensions; (\d+) are needed.*", refused.parsed.detail)
    axis = [1.0] + [0.0] * (int(needed[1]) - 1)
    given = models.MemoryInput(content="The mill burned down.", embedding=axis)
    given = str(call("memories.retain", "mira", body=given).parsed.id)
    question = models.Recall(text="Who sold the horse?", limit=1, vector=axis)
    found = call("questions.recall", "mira", body=question)
    [hit] = found.parsed.memories
    assert str(hit.memory.id) == given and hit.similarity > 0.999, found
    call("memories.forget", "mira", given)

    update = models.Update(importance=0.9)
    refused = call("memories.update", "mira", id_, body=update, if_match='W/"0"')
    assert refused.status_code == 412, refused
    current = refused.headers["etag"]
    updated = call("memories.update", "mira", id_, body=update, if_match=current)
    assert updated.status_code == 200, updated
    listed = call("memories.list_memories", "mira", limit=10)
    [entry] = listed.parsed.memories
    assert abs(entry.memory.importance - 0.9) < 1e-6, entry
    assert call("entities.stats", "mira").parsed.memories == 1
    assert call("entities.list_entities").parsed.entities == ["mira"]

    missing = call("memories.get", "mira", str(uuid.uuid4()))
    assert missing.status_code == 404, missing
    assert missing.parsed.kind == "not_found", missing
    assert not missing.parsed.retryable, missing

    gone = call("memories.forget", "mira", id_)
    assert [str(it) for it in gone.parsed.gone] == [id_], gone
    print("http: a generated client retained, recalled, updated, listed and forgot")


if __name__ == "__main__":
    main()
