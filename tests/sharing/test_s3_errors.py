"""What is wrong with the settings of a remote is named, before anything is asked of a server."""

from pathlib import Path

import pytest
from dvc.repo import Repo

from detox.errors import InputError
from detox.sharing.storage import Storage

KEYS = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_EC2_METADATA_DISABLED": "true"}
CONFIG = """[core]
    no_scm = true
    remote = storage
['remote "storage"']
    url = {url}
"""
NO_ENDPOINT = "is no endpoint: write http:// or https:// before it, in AWS_ENDPOINT_URL_S3 or .dvc/config"
OTHER = (
    "the remote storage is not on S3, where alone every object is looked at: use `dvc push` and `dvc pull`, and "
    "`dvc status --cloud` to compare"
)


def complaint(folder: Path, monkeypatch: pytest.MonkeyPatch, url: str, **environment: str) -> str:
    """What is said of a remote at this address."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "AWS_PROFILE", "AWS_ENDPOINT_URL_S3", "AWS_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    for name, value in {**KEYS, "AWS_CONFIG_FILE": "/nowhere", **environment}.items():
        monkeypatch.setenv(name, value)
    (folder / ".dvc").mkdir()
    (folder / ".dvc/config").write_text(
        f"[core]\n no_scm = true\n remote = storage\n['remote \"storage\"']\n url = {url}\n"
    )
    with Repo(str(folder)) as repo, pytest.raises(InputError) as error:
        Storage(repo, 30).check()
    return str(error.value)


@pytest.mark.parametrize("endpoint", ["localhost:8333", "ann:secret@localhost:8333"])
def test_an_endpoint_without_its_scheme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, endpoint: str) -> None:
    assert complaint(tmp_path, monkeypatch, "s3://bucket/x", AWS_ENDPOINT_URL_S3=endpoint) == (
        f"remote storage (s3://bucket/x): localhost:8333 {NO_ENDPOINT}"
    )


def test_a_profile_that_nobody_has_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert complaint(tmp_path, monkeypatch, "s3://bucket/x", AWS_PROFILE="nobody") == (
        "remote storage (s3://bucket/x): there is no such profile in ~/.aws: check AWS_PROFILE, or the remote's "
        "profile in .dvc/config"
    )


def test_a_proxy_that_is_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing listens at port 9 of this machine."""
    server = {"AWS_ENDPOINT_URL_S3": "http://storage.example:8333", "HTTP_PROXY": "http://127.0.0.1:9"}
    assert complaint(tmp_path, monkeypatch, "s3://bucket/x", **server) == (
        "remote storage (s3://bucket/x) at storage.example:8333: the proxy is down: check HTTPS_PROXY and HTTP_PROXY, "
        "or name the server in NO_PROXY"
    )


@pytest.mark.parametrize("url", ["../elsewhere", "ssh://ann:secret@host/folder", "gs://bucket/folder"])
def test_a_remote_of_another_kind_is_for_dvcs_own_commands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    assert complaint(tmp_path, monkeypatch, url) == OTHER
