"""The remote's url holds no key, or it is refused without a word of it."""

from pathlib import Path

import pytest
from dvc.repo import Repo

from detox.errors import InputError, complaint
from detox.sharing.storage import Storage

CANARY = "Hunter2Canary"


@pytest.mark.parametrize(
    "url",
    [f"s3://AKIA:{CANARY}@bucket/a", f"s3://AKIA:{CANARY}/x@bucket/a", f"s3://bucket/a?{CANARY}", f"s3://b/#{CANARY}"],
)
def test_a_key_in_the_url_is_refused(tmp_path: Path, url: str) -> None:
    config = {"core": {"no_scm": True, "remote": "storage"}, "remote": {"storage": {"url": url}}}
    Repo.init(str(tmp_path), no_scm=True).close()
    with Repo(str(tmp_path), config=config) as repo, pytest.raises(InputError) as error:
        Storage(repo, 5)
    said = complaint(error.value)
    assert said.startswith(
        "error: the url of the remote storage holds a user, a password or what else no plain address"
    )
    assert CANARY not in said
