"""A stand-in for the Hugging Face hub on loopback: repositories at a commit, and the faults that networks have.

It speaks what huggingface_hub asks for: a repository's commit, its tree with hashes, files with ETag and ranges. The
files of the repository are as well at /files/owner/name/NAME, as on any web server.
"""

import hashlib
import json
import re
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

LFS_FROM = 10_000  # bytes; larger files are kept as LFS objects, under their SHA-256
API = re.compile(r"/api/(models|datasets)/([^/]+/[^/]+)(?:/(tree|revision)/([^/?]+))?/?")
FILE = re.compile(r"/(datasets/)?([^/]+/[^/]+)/resolve/([^/]+)/(.+)")
PLAIN = re.compile(r"/files/([^/]+/[^/]+)/(.+)")


@dataclass
class Repository:
    """Files at one commit."""

    files: dict[str, bytes]
    commit: str


@dataclass
class Hub:
    """A running hub: `faults` maps a part of a path to what the next requests for it get, one after the other.

    A fault is a status such as 500, `"cut"` (the connection ends halfway) or `"flip"` (one byte is another).
    """

    url: str
    repositories: dict[str, Repository] = field(default_factory=dict)
    faults: dict[str, list[int | str]] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)

    def add(self, name: str, files: Mapping[str, bytes] | Path, commit: str | None = None) -> str:
        """Adds a repository; its commit, which is of the files if none is given."""
        if isinstance(files, Path):
            files = {path.name: path.read_bytes() for path in files.iterdir()}
        commit = commit or hashlib.sha1(repr(sorted(files.items())).encode(), usedforsecurity=False).hexdigest()
        self.repositories[name] = Repository(dict(files), commit)
        return commit

    def fault(self, path: str) -> int | str | None:
        """What shall go wrong with this request."""
        for part, waiting in self.faults.items():
            if part in path and waiting:
                return waiting.pop(0)
        return None


@contextmanager
def serve() -> Iterator[Hub]:
    """An empty hub; gone when the context ends."""
    server = Server(("127.0.0.1", 0), Handler)
    hub = server.hub = Hub(f"http://127.0.0.1:{server.server_port}")
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def etag(content: bytes) -> str:
    """What the hub calls a file: the SHA-256 of a large one, git's name of a small one."""
    if len(content) >= LFS_FROM:
        return hashlib.sha256(content).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def entry(name: str, content: bytes) -> dict[str, Any]:
    """A file in the tree of a repository."""
    row: dict[str, Any] = {"type": "file", "path": name, "size": len(content), "oid": etag(content)[:40]}
    if len(content) >= LFS_FROM:
        row["lfs"] = {"oid": etag(content), "size": len(content), "pointerSize": 134}
    return row


class Server(ThreadingHTTPServer):
    """A thread a connection."""

    daemon_threads = True
    hub: Hub

    def handle_error(self, request: object, client_address: object) -> None:
        """Quiet: a client may leave in the middle."""


class Handler(BaseHTTPRequestHandler):
    """Answers one connection."""

    protocol_version = "HTTP/1.1"
    server: Server

    @property
    def hub(self) -> Hub:
        return self.server.hub

    def do_HEAD(self) -> None:
        self.answer()

    def do_GET(self) -> None:
        self.answer()

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""

    def answer(self) -> None:
        path = self.path.split("?")[0]
        start = re.match(r"bytes=(\d+)-", self.headers.get("Range", ""))
        self.hub.requests.append(f"{self.command} {path}" + (f" from {start[1]}" if start else ""))
        if match := API.fullmatch(path):
            self.answer_api(*match.groups())
        elif match := FILE.fullmatch(path):
            kind, name, commit, file = match.groups()
            self.answer_file((kind or "") + name, commit, file)
        elif match := PLAIN.fullmatch(path):
            repository = self.hub.repositories[match[1]]
            self.answer_file(match[1], repository.commit, match[2])
        else:
            self.fail(404)

    def answer_api(self, kind: str, name: str, what: str | None, commit: str | None) -> None:
        repository = self.hub.repositories.get(f"datasets/{name}" if kind == "datasets" else name)
        if isinstance(fault := self.hub.fault(self.path), int):
            self.fail(fault)
        elif repository is None:
            self.fail(404, "RepoNotFound")
        elif commit not in (None, "main", repository.commit):
            self.fail(404, "RevisionNotFound")
        elif what == "tree":
            self.send([entry(*item) for item in sorted(repository.files.items())])
        else:
            files = [{"rfilename": file} for file in sorted(repository.files)]
            self.send({"id": name, "sha": repository.commit, "private": False, "tags": [], "siblings": files})

    def answer_file(self, name: str, commit: str, file: str) -> None:
        repository = self.hub.repositories.get(name)
        if repository is None or commit not in ("main", repository.commit) or file not in repository.files:
            self.fail(404, "EntryNotFound")
            return
        fault = self.hub.fault(self.path) if self.command == "GET" else None
        if isinstance(fault, int):
            self.fail(fault)
            return
        content = repository.files[file]
        headers = {"ETag": f'"{etag(content)}"', "X-Repo-Commit": repository.commit, "Accept-Ranges": "bytes"}
        if fault == "flip":
            content = content[:-1] + bytes([content[-1] ^ 1])
        first = int(match[1]) if (match := re.match(r"bytes=(\d+)-", self.headers.get("Range", ""))) else 0
        if first:
            headers["Content-Range"] = f"bytes {first}-{len(content) - 1}/{len(content)}"
        self.respond(206 if first else 200, content[first:], headers, cut=fault == "cut")

    def send(self, tree: object) -> None:
        self.respond(200, json.dumps(tree).encode(), {"Content-Type": "application/json"})

    def fail(self, status: int, code: str = "") -> None:
        headers = {"X-Error-Code": code, "X-Error-Message": code} if code else {}
        if status == 429:
            headers["Retry-After"] = "0"
        self.respond(status, b"{}", headers)

    def respond(self, status: int, body: bytes, headers: Mapping[str, str], cut: bool = False) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body[: len(body) // 2] if cut else body)
        if cut:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
