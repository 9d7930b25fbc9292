"""The work of `cargo xtask serve-bench` by other products: `chroma` and `mem0`.

    peers.py PRODUCT WORK MODEL FOLDER

WORK is a JSON file with `texts` and `questions`, MODEL the folder of all-MiniLM-L6-v2,
FOLDER an empty one. Prints one JSON object, with seconds and KiB. Nothing is downloaded:
Chroma's default embedder finds its model where it would download the same one to. mem0
embeds by a service that needs a key; it is given the vectors that Chroma's embedder made,
which `chroma` leaves in `vectors.json` next to FOLDER.
"""

import http.client
import json
import os
import pathlib
import socket
import statistics
import subprocess
import sys
import time

BATCH = 100
os.environ["ANONYMIZED_TELEMETRY"] = "False"
os.environ["MEM0_TELEMETRY"] = "False"


def resident(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise ValueError("no resident memory")


def median(times):
    return statistics.median(times)


def timed(action, inputs):
    times = []
    for each in inputs:
        start = time.perf_counter()
        action(each)
        times.append(time.perf_counter() - start)
    return times


class ChromaServer:
    def __init__(self, folder):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        program = pathlib.Path(sys.executable).with_name("chroma")
        self.start = time.perf_counter()
        self.process = subprocess.Popen(
            [program, "run", "--path", folder, "--host", "127.0.0.1", "--port", str(self.port)],
            stdout=subprocess.DEVNULL,
        )

    def client(self):
        import chromadb

        while True:
            try:
                return chromadb.HttpClient(host="127.0.0.1", port=self.port)
            except Exception:
                if self.process.poll() is not None or time.perf_counter() - self.start > 60:
                    raise
                time.sleep(0.01)

    def stop(self):
        self.process.terminate()
        self.process.wait()


def chroma(texts, questions, model, folder):
    # Before the server starts, whose time has none of the client's imports.
    import chromadb  # noqa: F401
    from chromadb.utils.embedding_functions import ONNXMiniLM_L6_V2

    model_folder = folder / "model"
    model_folder.mkdir()
    (model_folder / "onnx").symlink_to(model)
    class Recording(ONNXMiniLM_L6_V2):
        """The default embedder, which also keeps the vectors that it made."""

        DOWNLOAD_PATH = model_folder
        vectors = {}

        def __call__(self, input):
            made = super().__call__(input)
            self.vectors.update(zip(input, (vector.tolist() for vector in made)))
            return made

    embed = Recording()
    embed(["The model is loaded."])

    data = folder / "chroma"
    server = ChromaServer(data)
    client = server.client()
    ids = [str(number) for number in range(len(texts))]

    embedded = client.create_collection("embedded", embedding_function=embed)
    start = time.perf_counter()
    for at in range(0, len(texts), BATCH):
        embedded.add(ids=ids[at : at + BATCH], documents=texts[at : at + BATCH])
    ingest = time.perf_counter() - start
    query = timed(
        lambda question: embedded.query(query_texts=[question], n_results=10), questions
    )

    vectors = [embed.vectors[text] for text in texts]
    question_vectors = [embed.vectors[question] for question in questions]
    (folder.parent / "vectors.json").write_text(
        json.dumps({"texts": vectors, "questions": question_vectors})
    )
    given = client.create_collection("given", embedding_function=None)
    start = time.perf_counter()
    for at in range(0, len(texts), BATCH):
        end = at + BATCH
        given.add(ids=ids[at:end], documents=texts[at:end], embeddings=vectors[at:end])
    ingest_with_vectors = time.perf_counter() - start
    query_with_vector = ask_chroma(server.port, given.id, question_vectors)
    memory = resident(server.process.pid)
    server.stop()

    server = ChromaServer(data)
    given = server.client().get_collection("given", embedding_function=None)
    found = given.query(query_embeddings=question_vectors[:1], n_results=10)
    started = time.perf_counter() - server.start
    assert len(found["ids"][0]) == min(10, len(texts))
    server.stop()
    return {
        "name": f"Chroma {chromadb.__version__}, `chroma run` and its Python client",
        "ingest": len(texts) / ingest,
        "ingest_with_vectors": len(texts) / ingest_with_vectors,
        "query_with_vector": median(query_with_vector),
        "query": median(query),
        "start": started,
        "memory": memory,
    }


def ask_chroma(port, collection, vectors):
    """Times of requests without the Python client, by one connection."""
    base = "/api/v2/tenants/default_tenant/databases/default_database/collections"
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.connect()
    connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    include = ["documents", "metadatas", "distances"]

    def ask(body):
        headers = {"Content-Type": "application/json"}
        connection.request("POST", f"{base}/{collection}/query", body, headers)
        response = connection.getresponse()
        found = response.read()
        assert response.status == 200, found

    bodies = [
        json.dumps({"query_embeddings": [vector], "n_results": 10, "include": include})
        for vector in vectors
    ]
    timed(ask, bodies[:5])
    times = timed(ask, bodies)
    connection.close()
    return times


class GivenVectors:
    """An embedder of mem0 that has every vector."""

    def __init__(self, texts, questions, vectors):
        self.vectors = dict(zip(texts, vectors["texts"]))
        self.vectors.update(zip(questions, vectors["questions"]))

    def embed(self, text, memory_action=None):
        return self.vectors[text]

    def embed_batch(self, texts, memory_action=None):
        return [self.vectors[text] for text in texts]


def open_mem0(folder):
    os.environ["MEM0_DIR"] = str(folder)
    # The clients of services are made, and never used.
    os.environ["OPENAI_API_KEY"] = "unused"
    from mem0 import Memory

    store = {"path": str(folder / "qdrant"), "embedding_model_dims": 384, "on_disk": True}
    return Memory.from_config(
        {
            "vector_store": {"provider": "qdrant", "config": store},
            "history_db_path": str(folder / "history.db"),
        }
    )


def mem0(texts, questions, model, folder):
    import importlib.metadata

    started = time.perf_counter()
    memory = open_mem0(folder)
    vectors = json.loads((folder.parent / "vectors.json").read_text())
    memory.embedding_model = GivenVectors(texts, questions, vectors)
    if (folder / "full").exists():
        ask(memory, questions[0])
        return {"start": time.perf_counter() - started}
    start = time.perf_counter()
    for text in texts:
        memory.add(text, user_id="bench", infer=False)
    ingest_with_vectors = time.perf_counter() - start
    query_with_vector = timed(lambda question: ask(memory, question), questions)
    used = resident(os.getpid())
    memory.vector_store.client.close()
    (folder / "full").touch()
    again = subprocess.run([sys.executable, *sys.argv], capture_output=True, check=True)
    return {
        "name": f"mem0 {importlib.metadata.version('mem0ai')}, in process, `infer=False`",
        "ingest": None,
        "ingest_with_vectors": len(texts) / ingest_with_vectors,
        "query_with_vector": median(query_with_vector),
        "query": None,
        "start": json.loads(again.stdout.splitlines()[-1])["start"],
        "memory": used,
    }


def ask(memory, question):
    found = memory.search(question, top_k=10, filters={"user_id": "bench"})
    assert found["results"], "nothing is found"


def main():
    product, work, model, folder = sys.argv[1:]
    work = json.loads(pathlib.Path(work).read_text())
    folder = pathlib.Path(folder)
    folder.mkdir(exist_ok=True)
    run = {"chroma": chroma, "mem0": mem0}[product]
    print(json.dumps(run(work["texts"], work["questions"], pathlib.Path(model), folder)))


main()
