"""A stand-in for the Hugging Face Hub: the endpoints that `huggingface_hub` uses, and processes that talk to it.

`HF_ENDPOINT`, `HF_HOME` and `HF_HUB_OFFLINE` are read once, when `huggingface_hub` is imported: what talks to the
stand-in runs in a process of its own.
"""

import base64
import hashlib
import json
import os
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

import pytest

from kadapter.testing import save_tiny_backbone

TOKEN = "hf_of_the_owner"


@dataclass
class Repository:
    """A repository: commits are whole trees, since they are small."""

    gated: bool = False
    private: bool = False
    refs: dict = field(default_factory=dict)
    commits: dict = field(default_factory=dict)

    def commit(self, files, branch="main", removed=()):
        tree = {**self.commits.get(self.refs.get(branch), {}), **files}
        tree = {path: content for path, content in tree.items() if path not in removed}
        sha = hashlib.sha1(repr((len(self.commits), sorted(tree.items()))).encode()).hexdigest()
        self.commits[sha], self.refs[branch] = tree, sha
        return sha

    def resolve(self, revision):
        return revision if revision in self.commits else self.refs.get(revision)


class Refused(Exception):
    """An answer that is an error: status, and the Hub's own code of it."""


class Hub(ThreadingHTTPServer):
    """The stand-in, and what it was asked."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.endpoint = f"http://127.0.0.1:{self.server_port}"
        self.repositories, self.large, self.asked = {}, {}, []

    def start(self):
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    @contextmanager
    def unreachable(self):
        """Refuse connections, for as long as a `with` lasts."""
        self.shutdown()
        self.server_close()
        try:
            yield
        finally:
            self.socket = socket.socket(self.address_family, self.socket_type)
            self.server_bind()
            self.server_activate()
            self.start()

    def put(self, name, files, **facts):
        """Put files into a repository without the detour over HTTP; give the commit."""
        repository = self.repositories.setdefault(name, Repository(**facts))
        return repository.commit(files)

    def fetched(self, name):
        """Give the paths of the files of a repository that somebody asked for."""
        parts = [urlsplit(path).path.split("/") for _, path in self.asked]
        return {"/".join(p[5:]) for p in parts if p[1:4] == [*name.split("/"), "resolve"]}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def do_HEAD(self):
        self.respond()

    do_GET = do_POST = do_PUT = do_HEAD

    def respond(self):
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.asked.append((self.command, self.path))
        try:
            self.route([unquote(part) for part in urlsplit(self.path).path.strip("/").split("/")])
        except Refused as refused:
            status, code = refused.args
            self.answer(b"{}", status, {"X-Error-Code": code, "X-Error-Message": code})

    def route(self, parts):
        if (
            self.command in ("POST", "PUT")
            and parts[0] != "lfs"
            and self.headers.get("Authorization") != f"Bearer {TOKEN}"
        ):
            raise Refused(401, "Unauthorized")
        if parts[:2] == ["api", "models"]:
            self.api("/".join(parts[2:4]), *parts[4:5], rest="/".join(parts[5:]))
        elif parts == ["api", "repos", "create"]:
            self.create()
        elif parts == ["api", "validate-yaml"]:
            self.say({"errors": [], "warnings": []})
        elif parts[0] == "api":
            raise Refused(404, "NotFound")
        elif parts[0] == "lfs":
            self.server.large[parts[1]] = self.body
            self.answer(b"")
        elif parts[-1] == "batch":
            self.large_files()
        else:
            self.resolve("/".join(parts[:2]), parts[3], "/".join(parts[4:]))

    def api(self, name, what="revision", rest=""):
        repository = self.repository(name)
        if what == "branch":
            repository.refs.setdefault(rest, repository.refs.get("main"))
            self.say({})
        elif what == "preupload":
            files = json.loads(self.body)["files"]
            self.say(
                {"files": [{"path": f["path"], "uploadMode": mode_of(f["path"]), "shouldIgnore": False} for f in files]}
            )
        elif what == "commit":
            sha = repository.commit(self.operations(), rest)
            self.say({"commitUrl": f"{self.server.endpoint}/{name}/commit/{sha}", "commitOid": sha, "success": True})
        else:
            self.describe(name, repository, rest or "main", what == "tree")

    def describe(self, name, repository, revision, as_tree):
        if as_tree and "/" in revision and repository.resolve(revision) is None:
            raise Refused(404, "EntryNotFound")
        sha = self.commit_of(repository, revision)
        tree = repository.commits[sha]
        if as_tree:
            self.say(
                [{"type": "file", "path": path, "size": len(held), "oid": etag(held)} for path, held in tree.items()]
            )
        else:
            siblings = [{"rfilename": path} for path in tree]
            self.say({"id": name, "modelId": name, "sha": sha, "siblings": siblings, "private": False, "tags": []})

    def resolve(self, name, revision, path):
        repository = self.repository(name)
        sha = self.commit_of(repository, revision)
        if path not in repository.commits[sha]:
            raise Refused(404, "EntryNotFound")
        content = repository.commits[sha][path]
        self.answer(content, headers={"X-Repo-Commit": sha, "ETag": f'"{etag(content)}"'})

    def create(self):
        asked = json.loads(self.body)
        name = f"{asked['organization']}/{asked['name']}"
        there, private = name in self.server.repositories, asked.get("private") or asked.get("visibility") == "private"
        self.server.repositories.setdefault(name, Repository(private=private))
        self.say({"url": f"{self.server.endpoint}/{name}", "name": name}, 409 if there else 200)

    def large_files(self):
        found = json.loads(self.body)["objects"]
        place = f"{self.server.endpoint}/lfs"
        actions = [{**one, "actions": {"upload": {"href": f"{place}/{one['oid']}"}}} for one in found]
        self.say({"transfer": "basic", "objects": actions})

    def operations(self):
        """Give path -> content of a commit, which is a JSON value a line."""
        lines = [json.loads(line) for line in self.body.splitlines()]
        plain = {o["value"]["path"]: base64.b64decode(o["value"]["content"]) for o in lines if o["key"] == "file"}
        large = {o["value"]["path"]: self.server.large[o["value"]["oid"]] for o in lines if o["key"] == "lfsFile"}
        return {**plain, **large}

    def repository(self, name):
        repository = self.server.repositories.get(name)
        owner = self.headers.get("Authorization") == f"Bearer {TOKEN}"
        if repository is None or (repository.private and not owner):
            raise Refused(404 if owner else 401, "RepoNotFound")
        if repository.gated and "/resolve/" in self.path:
            raise Refused(403, "GatedRepo")
        return repository

    def commit_of(self, repository, revision):
        sha = repository.resolve(revision)
        if sha is None:
            raise Refused(404, "RevisionNotFound")
        return sha

    def say(self, value, status=200):
        self.answer(json.dumps(value).encode(), status, {"Content-Type": "application/json"})

    def answer(self, content, status=200, headers=None):
        self.send_response(status)
        for key, value in {**(headers or {}), "Content-Length": str(len(content)), "Connection": "close"}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


def mode_of(path):
    return "lfs" if path.endswith(".safetensors") else "regular"


def etag(content):
    return hashlib.sha1(content).hexdigest()


WORKER = """
import json, os, sys
answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)
space = {}
for line in sys.stdin:
    space["result"] = None
    try:
        exec(json.loads(line), space)
        answer = {"result": space["result"]}
    except Exception as error:
        answer = {"error": type(error).__name__, "said": str(error)}
    print(json.dumps(answer), file=answers, flush=True)
"""

START = """
import sys, io, contextlib
from pathlib import Path
import torch
import kadapter
from kadapter import KnowledgeModel, build_adapter, load_adapter, load_backbone, push_to_hub, save_adapter
from kadapter.cli import main
from kadapter.testing import fill_randomly

def run(*words):
    out, err, sys.argv = io.StringIO(), io.StringIO(), ["kadapter", *words]
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main()
        except SystemExit as left:
            return [left.code or 0, out.getvalue(), err.getvalue()]

def weights(module):
    return {name: tensor.flatten().tolist() for name, tensor in module.state_dict().items()}
"""


class Refusal(Exception):
    """What the other process raised."""


class Worker:
    """A process that runs code, a block at a time; `result` is what it gives back."""

    def __init__(self, **environment):
        env = {**os.environ, "HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1", **environment}
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self.process = subprocess.Popen([sys.executable, "-c", WORKER], env=env, **pipes)
        self(START)

    def __call__(self, code):
        self.process.stdin.write(json.dumps(code) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        if "error" in answer:
            raise Refusal(f"{answer['error']}: {answer['said']}")
        return answer["result"]

    def close(self):
        self.process.stdin.close()
        self.process.wait(timeout=30)
        self.process.stdout.close()


@pytest.fixture(scope="session")
def hub():
    """The stand-in, with a plain backbone in it: `house/tiny`, a tiny BERT."""
    hub = Hub()
    hub.start()
    yield hub
    hub.shutdown()
    hub.server_close()


@pytest.fixture(scope="session")
def home(tmp_path_factory):
    """Where the Hub's cache lies."""
    return tmp_path_factory.mktemp("hub")


@pytest.fixture(scope="session")
def tiny_files(home):
    """The files of a tiny transformers model: name -> content."""
    folder = save_tiny_backbone("bert", home / "tiny-bert")
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def worker(hub, home, **environment):
    return Worker(HF_ENDPOINT=hub.endpoint, HF_HOME=str(home / "cache"), **environment)


@pytest.fixture(scope="session")
def online(hub, home, tiny_files):
    """A process that reaches the stand-in, as the owner of what is pushed; `house/tiny` lies there."""
    hub.put("house/tiny", tiny_files)
    process = worker(hub, home, HF_HUB_OFFLINE="0", HF_TOKEN=TOKEN)
    process(f"folder = Path({str(home)!r}); tiny = load_backbone('house/tiny')")
    yield process
    process.close()


@pytest.fixture(scope="session")
def offline(hub, home):
    """A process with the same cache that may not reach the Hub."""
    process = worker(hub, home, HF_HUB_OFFLINE="1")
    yield process
    process.close()
