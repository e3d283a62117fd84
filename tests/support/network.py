"""A network on loopback between a client and a server, which may fall silent: it still takes connections, no more."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from socketserver import BaseRequestHandler, ThreadingTCPServer
from threading import Event, Thread


class Network(ThreadingTCPServer):
    """Passes on what clients and the server at `port` say, until clients have sent `silent_after` bytes."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 64

    def __init__(self, port: int, silent_after: float) -> None:
        super().__init__(("127.0.0.1", 0), _Connection)
        self.port, self.silent_after, self.sent = port, silent_after, 0
        self.silent, self.closed = Event(), Event()

    @property
    def url(self) -> str:
        """Where clients find it."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def passes(self, size: int) -> bool:
        """Whether so many more bytes of a client pass."""
        self.sent += size
        if self.sent > self.silent_after:
            self.silent.set()
        return not self.silent.is_set()

    def handle_error(self, *_: object) -> None:
        """Connections that end early are what this is for."""


class _Connection(BaseRequestHandler):
    server: Network

    def handle(self) -> None:
        with socket.create_connection(("127.0.0.1", self.server.port)) as server:
            Thread(target=self._answers, args=(server,), daemon=True).start()
            while chunk := self.request.recv(2**14):
                if not self.server.passes(len(chunk)):
                    self.server.closed.wait()
                    return
                server.sendall(chunk)

    def _answers(self, server: socket.socket) -> None:
        with suppress(OSError):
            while chunk := server.recv(2**14):
                if self.server.silent.is_set():
                    return
                self.request.sendall(chunk)


@contextmanager
def network(port: int, silent_after: float) -> Iterator[Network]:
    """A running network; it ends, with all its connections, when the context does."""
    with Network(port, silent_after) as running:
        Thread(target=running.serve_forever, daemon=True).start()
        try:
            yield running
        finally:
            running.closed.set()
            running.shutdown()
