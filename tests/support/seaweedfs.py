"""A real S3 server for tests: SeaweedFS on loopback; one bucket, a user who may write and one who may only read."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import s3fs

BUCKET = "dvcstore"
WRITER = {"accessKey": "writer", "secretKey": "writers-secret"}
READER = {"accessKey": "reader", "secretKey": "readers-secret"}
USERS = {
    "identities": [
        {"name": "writer", "credentials": [WRITER], "actions": ["Admin", "Read", "Write", "List", "Tagging"]},
        {"name": "reader", "credentials": [READER], "actions": [f"Read:{BUCKET}", f"List:{BUCKET}"]},
    ]
}
START_SECONDS = 60


@dataclass(frozen=True)
class Server:
    """A running server; `writer` and `reader` are the environments by which DVC and s3fs reach it as that user."""

    bucket: str
    writer: dict[str, str]
    reader: dict[str, str]


@contextmanager
def serve(folder: Path) -> Iterator[Server]:
    """A server that keeps its objects and its log in `folder`; gone when the context ends."""
    ports = list(islice(free_ports(), 5))
    # SeaweedFS would take a further admin from AWS_* variables.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    environment |= {"TMPDIR": str(folder), "GOMEMLIMIT": "300MiB"}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command(folder, ports), stdout=log, stderr=log, env=environment, cwd=folder)
    try:
        server = Server(BUCKET, keys(ports[0], WRITER), keys(ports[0], READER))
        await_bucket(process, server, folder / "log")
        yield server
    finally:
        process.terminate()
        process.wait(timeout=30)


def command(folder: Path, ports: list[int]) -> list[str]:
    """SeaweedFS on loopback alone; no telemetry, no web pages, and no bucket made by a mere upload."""
    (folder / "users.json").write_text(json.dumps(USERS))
    names = ("s3", "master", "volume", "filer", "admin")
    return [
        str(Path(sys.executable).parent / "weed"),
        "mini",
        *(f"-{name}.port={port}" for name, port in zip(names, ports, strict=True)),
        f"-dir={folder}",
        f"-s3.localSocket={folder / 's3.sock'}",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        f"-s3.config={folder / 'users.json'}",
        f"-bucket={BUCKET}",
        "-s3.autoCreateBucket=false",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        "-webdav=false",
        "-admin.ui=false",
        "-master.telemetry=false",
    ]


def keys(port: int, user: dict[str, str]) -> dict[str, str]:
    """Endpoint and keys as AWS's own environment variables."""
    return {
        "AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": user["accessKey"],
        "AWS_SECRET_ACCESS_KEY": user["secretKey"],
        "AWS_DEFAULT_REGION": "us-east-1",
    }


def filesystem(user: dict[str, str]) -> s3fs.S3FileSystem:
    """The server's objects as seen by this user, past DVC."""
    return s3fs.S3FileSystem(
        endpoint_url=user["AWS_ENDPOINT_URL_S3"],
        key=user["AWS_ACCESS_KEY_ID"],
        secret=user["AWS_SECRET_ACCESS_KEY"],
        skip_instance_cache=True,
        use_listings_cache=False,
    )


def await_bucket(process: subprocess.Popen[bytes], server: Server, log: Path) -> None:
    """Return once the bucket answers; raise with the end of the log if the server dies or takes too long."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            filesystem(server.writer).ls(server.bucket)
            return
        except OSError:
            time.sleep(0.2)
    raise RuntimeError(f"the S3 server did not start: {log.read_text()[-2000:]}")


def free_ports() -> Iterator[int]:
    """Ports free on loopback together with the one 10000 above, where SeaweedFS listens for gRPC.

    Where the search begins depends on the process, and is far apart for neighbours, so that two test runs at once, or
    two processes of one, do not take the same ones.
    """
    first = 20000 + os.getpid() * 61 % 9000
    return (port for port in range(first, 30000) if is_free(port) and is_free(port + 10000))


def is_free(port: int) -> bool:
    """Whether this port of loopback can be listened on."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0
