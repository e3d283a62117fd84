"""What is said of S3's errors that the server of tests/sharing/test_remote.py does not make."""

import errno

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from detox.sharing.s3_errors import NO_READING, NO_WRITING, reason


def refused(code: str) -> OSError:
    """As s3fs raises it: an OSError, because of what S3 has answered."""
    answer = ClientError({"Error": {"Code": code, "Message": "a message"}}, "PutObject")
    error = PermissionError("a message")
    error.__cause__ = answer
    return error


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("AccessDenied", NO_WRITING),
        ("403", NO_WRITING),
        ("ExpiredToken", "the credentials have expired: renew them"),
        ("RequestTimeTooSkewed", "this machine's clock is wrong: set it"),
        ("PermanentRedirect", "the bucket is in another region: set AWS_DEFAULT_REGION"),
        ("Odd", "Odd: check the remote's settings, the network and the server, and run this again"),
    ],
)
def test_a_code_of_the_server_has_its_line(code: str, expected: str) -> None:
    assert reason(refused(code), NO_WRITING) == expected


def test_a_client_that_waits_in_vain_says_so() -> None:
    error = ReadTimeoutError(endpoint_url="http://user:secret@server")
    assert reason(error, NO_READING) == (
        "no server answers there: check AWS_ENDPOINT_URL_S3, the network and the server"
    )


def test_a_full_disk_here_is_not_taken_for_the_servers() -> None:
    error = OSError(errno.ENOSPC, "No space left on device", "/cache/x")
    assert reason(error, NO_READING) == (
        "/cache/x cannot be written (No space left on device): make room there or check its permissions"
    )
