"""Fixtures that several test files share."""

from collections.abc import Iterator

import pytest
from seaweedfs import Server, serve

from stages import yield_while_waiting

yield_while_waiting()  # before torch is loaded: tests share the machine with the processes that they start


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A real S3 server, for the whole test session."""
    with serve(tmp_path_factory.mktemp("s3")) as server:
        yield server
