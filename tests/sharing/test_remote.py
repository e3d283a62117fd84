"""make push, make pull and make verify-remote against a real S3 server, with every fault of the README's table.

The project is a small one, of two stages: a folder and a file of random numbers, in an old and in a new version.
"""

import ast
import json
import re
import shutil
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess, Popen
from urllib.parse import urlsplit

import pytest
from commands import call, output, start
from imports import ROOT
from network import network
from ruamel.yaml import YAML
from seaweedfs import READER, WRITER, Server, filesystem

pytestmark = pytest.mark.slow

MAKE = """
import random, sys
from pathlib import Path

path, seed = Path(sys.argv[1]), random.Random(sys.argv[2])
path.parent.mkdir(exist_ok=True)
if path.suffix:
    path.write_bytes(seed.randbytes(1000))
else:
    path.mkdir()
    for number in range(12):
        (path / f"{number}.bin").write_bytes(seed.randbytes(100_000 + number))
"""
PIPELINE = """
stages:
  draw: {cmd: python make.py data/drawn %(version)s, outs: [data/drawn]}
  total: {cmd: python make.py data/total.bin %(version)s, deps: [data/drawn], outs: [data/total.bin]}
"""
CONFIG = """
[core]
    analytics = false
    remote = storage
['remote "storage"']
    url = {url}
    verify = true
"""
HASTE = ("--limit", "4")  # a limit in seconds for those that are to reach it
BOUND = 120  # seconds within which every command ends
COMMAND = (sys.executable, "-m", "detox.sharing.remote")
Waiting = dict[str, tuple[Popen[str], float]]  # commands, and when they must have ended
FAULTS = (ROOT / "docs" / "sharing.md").read_text(encoding="utf-8") + "\n"
SEEN = dict(re.findall(r"^\| ([^|]+) \| ([^|]+) \|$", FAULTS, re.MULTILINE))


def says(printed: str, fault: str) -> bool:
    """Whether every message that docs/sharing.md has for the fault is in what was printed; … stands for anything."""
    messages = re.findall(r"`([^`]+)`", SEEN[fault])
    return all(re.search(re.escape(message).replace("…", ".+"), printed) for message in messages)


@dataclass(frozen=True)
class Project:
    """A copy of the small project, and where its objects are on the server."""

    folder: Path
    objects: str
    s3: Server

    def remote(self, command: str, user: dict[str, str], *options: str) -> CompletedProcess[str]:
        """`python -m detox.sharing.remote`, which must not print a secret."""
        finished = call(self.folder, *COMMAND, command, *options, **surroundings(user))
        assert not [user for user in (WRITER, READER) if user["secretKey"] in finished.stdout]
        assert "Traceback" not in finished.stdout
        return finished

    def succeeds(self, command: str, user: dict[str, str]) -> str:
        """What the command prints, which must succeed."""
        finished = self.remote(command, user)
        assert finished.returncode == 0, finished.stdout
        return finished.stdout

    def fails(self, command: str, user: dict[str, str], *options: str) -> str:
        """What the command prints, which must fail with one line on what is wrong, after the objects concerned."""
        finished = self.remote(command, user, *options)
        assert finished.returncode == 1, finished.stdout
        assert re.fullmatch(r"(?:\w[\w ]+: .+\n)*error: .+\n", finished.stdout), finished.stdout
        return finished.stdout

    def point_to(self, url: str) -> None:
        """Has the committed configuration name this remote."""
        (self.folder / ".dvc" / "config").write_text(CONFIG.format(url=url))
        output(self.folder, "git", "commit", "--quiet", "--all", "--message", "Point to a remote")

    def fill(self) -> None:
        """Everything that the cache has, to the server, past DVC."""
        cache = self.folder / ".dvc" / "cache" / "files" / "md5"
        filesystem(self.s3.writer).put(f"{cache}/", f"{self.objects}/", recursive=True)

    def there(self) -> set[str]:
        """The MD5 of every object on the server."""
        found = filesystem(self.s3.writer).find(self.objects)
        return {"".join(path.split("/")[-2:]) for path in found}

    def md5(self, path: str) -> str:
        """As dvc.lock names an out; a file of the folder by the list in the cache."""
        outs = {out["path"]: out["md5"] for stage in self.lock()["stages"].values() for out in stage["outs"]}
        if path in outs:
            return str(outs[path])
        listed = self.cached(outs["data/drawn"]).read_text()
        return {f"data/drawn/{file['relpath']}": file["md5"] for file in json.loads(listed)}[path]

    def lock(self) -> dict[str, dict[str, dict[str, list[dict[str, str]]]]]:
        return YAML(typ="safe").load(self.folder / "dvc.lock")

    def cached(self, md5: str) -> Path:
        return self.folder / ".dvc" / "cache" / "files" / "md5" / md5[:2] / md5[2:]

    def on_server(self, path: str) -> str:
        """The name of an object there."""
        md5 = self.md5(path)
        return f"{self.objects}/{md5[:2]}/{md5[2:]}"

    def data(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in (self.folder / "data").rglob("*.bin")}

    def forget(self) -> None:
        """As in a fresh clone: neither cache nor data."""
        shutil.rmtree(self.folder / ".dvc" / "cache")
        shutil.rmtree(self.folder / "data")


def surroundings(user: dict[str, str]) -> dict[str, str]:
    """This user's keys and no other ones, and where the module is."""
    nowhere = {"AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": "/nowhere"}
    return {"PYTHONPATH": str(ROOT), "AWS_SHARED_CREDENTIALS_FILE": "/nowhere", **nowhere, **user}


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small project, its pipeline run twice: at the commits `old` and `new`."""
    folder = tmp_path_factory.mktemp("original") / "project"
    folder.mkdir()
    output(folder, "git", "init", "--quiet")
    output(folder, "dvc", "init", "--quiet")
    (folder / "make.py").write_text(MAKE)
    (folder / ".gitignore").write_text("/data\n")
    for version in ("old", "new"):
        (folder / "dvc.yaml").write_text(PIPELINE % {"version": version})
        output(folder, "dvc", "repro", "--quiet")
        output(folder, "git", "add", ".")
        output(folder, "git", "commit", "--quiet", "--message", version)
        output(folder, "git", "tag", version)
    return folder


@pytest.fixture
def project(original: Path, s3: Server, tmp_path: Path) -> Project:
    """A copy of the small project with its own place on the server, where nothing is yet."""
    folder = tmp_path / "project"
    shutil.copytree(original, folder)
    project = Project(folder, f"{s3.bucket}/{tmp_path.name}/files/md5", s3)
    project.point_to(f"s3://{s3.bucket}/{tmp_path.name}")
    return project


@pytest.fixture
def filled(project: Project) -> Project:
    """The same, with all its data on the server."""
    project.fill()
    return project


@pytest.fixture(scope="module", autouse=True)
def unanswered(original: Path, s3: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Waiting]:
    """Every command, with the limit that it has of itself, in front of a server that never answers.

    They wait while the other tests run.
    """
    with network(port(s3), silent_after=0) as silent:
        user = s3.writer | {"AWS_ENDPOINT_URL_S3": silent.url}
        waiting: Waiting = {}
        for command in ("push", "pull", "verify"):
            folder = tmp_path_factory.mktemp(command) / "project"
            shutil.copytree(original, folder)
            Project(folder, "", s3).point_to(f"s3://{s3.bucket}/{command}")
            waiting[command] = start(folder, *COMMAND, command, **surroundings(user)), time.monotonic() + BOUND
        yield waiting
        for process, _ in waiting.values():
            process.kill()


def port(s3: Server) -> int:
    """Where the server listens."""
    return int(urlsplit(s3.reader["AWS_ENDPOINT_URL_S3"]).port or 0)


def test_what_is_pushed_is_verified_and_pulled(project: Project) -> None:
    data = project.data()
    assert (
        "has all 13 files that dvc.lock names (objects uploaded, lists of folders among them: 14)"
        in project.succeeds("push", project.s3.writer)
    )
    assert "A fresh clone of HEAD has all 13 files" in project.succeeds("verify", project.s3.reader)
    assert "(objects uploaded, lists of folders among them: 0)" in project.succeeds("push", project.s3.reader)
    project.forget()
    project.succeeds("pull", project.s3.reader)
    assert project.data() == data
    assert "up to date" in output(project.folder, "dvc", "status")


def test_the_project_as_it_comes_has_no_remote(project: Project) -> None:
    project.point_to("s3://your-bucket/dialogue-detox")
    assert says(project.fails("push", project.s3.writer), ".dvc/config names no bucket yet")


def test_no_credentials(project: Project) -> None:
    nobody = {"AWS_ENDPOINT_URL_S3": project.s3.reader["AWS_ENDPOINT_URL_S3"]}
    assert says(project.fails("pull", nobody), "no credentials")


def test_a_key_that_nobody_has(project: Project) -> None:
    user = project.s3.reader | {"AWS_ACCESS_KEY_ID": "nobody"}
    assert says(project.fails("verify", user), "unknown key")


def test_a_secret_that_is_not_the_keys(project: Project) -> None:
    user = project.s3.reader | {"AWS_SECRET_ACCESS_KEY": "another-secret"}
    assert says(printed := project.fails("pull", user), "wrong secret")
    assert "another-secret" not in printed


def test_a_bucket_that_does_not_exist(project: Project) -> None:
    project.point_to("s3://dvcstoer/detox")
    assert says(project.fails("pull", project.s3.writer), "no such bucket")


def test_a_bucket_of_others(project: Project) -> None:
    project.point_to("s3://others/detox")
    assert says(project.fails("pull", project.s3.reader), "a bucket of others")


def test_the_wrong_folder_of_the_bucket(filled: Project) -> None:
    filled.point_to(f"s3://{filled.s3.bucket}/elsewhere")
    assert says(filled.fails("verify", filled.s3.reader), "another folder of the bucket, or never pushed")


def test_a_user_who_may_only_read(project: Project) -> None:
    assert says(project.fails("push", project.s3.reader), "`make push` with keys that may only read")
    assert not project.there()


def test_a_server_that_is_down(project: Project) -> None:
    nowhere = project.s3.writer | {"AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9"}
    assert says(project.fails("push", nowhere), "the server is down")


@pytest.mark.parametrize("command", ["push", "pull", "verify"])
def test_a_server_that_falls_silent_midway(project: Project, tmp_path: Path, command: str) -> None:
    (tmp_path / "temporary").mkdir()
    if command != "push":
        project.fill()
    if command == "pull":
        project.forget()
    with network(port(project.s3), silent_after=600_000 if command == "push" else 9_000) as silent:
        user = project.s3.writer | {"AWS_ENDPOINT_URL_S3": silent.url, "TMPDIR": str(tmp_path / "temporary")}
        assert says(project.fails(command, user, *HASTE), "the server falls silent midway")
    assert not list((tmp_path / "temporary").glob("verify-*"))
    assert not list((project.folder / ".dvc" / "cache").rglob("*.tmp"))
    project.succeeds(command, project.s3.writer)


def test_a_push_that_is_killed_midway_goes_on_where_it_was(project: Project) -> None:
    with network(port(project.s3), silent_after=600_000) as silent:
        user = project.s3.writer | {"AWS_ENDPOINT_URL_S3": silent.url}
        push = start(project.folder, *COMMAND, "push", **surroundings(user))
        assert silent.silent.wait(timeout=BOUND)
        push.kill()
        push.communicate()
    there = project.there()
    assert there
    assert project.md5("data/drawn") not in there, "DVC would take the folder for whole"
    assert says(project.fails("verify", project.s3.reader), "`make push` is killed midway")
    assert f"(objects uploaded, lists of folders among them: {14 - len(there)})" in project.succeeds(
        "push", project.s3.writer
    )
    project.succeeds("verify", project.s3.reader)


def test_an_object_that_is_missing_though_the_list_of_its_folder_is_there(filled: Project) -> None:
    filesystem(filled.s3.writer).rm(filled.on_server("data/drawn/3.bin"))
    output(filled.folder, "dvc", "push", **filled.s3.writer)
    printed = filled.fails("verify", filled.s3.reader)
    assert says(printed, "an object is missing, though the list of its folder is there")
    assert "missing: data/drawn/3.bin (stage draw)" in printed, "and dvc push has not seen it"
    assert "(objects uploaded, lists of folders among them: 1)" in filled.succeeds("push", filled.s3.writer)
    filled.succeeds("verify", filled.s3.reader)


@pytest.mark.parametrize("path", ["data/drawn/3.bin", "data/drawn", "data/total.bin"])
def test_an_object_that_is_damaged(filled: Project, path: str) -> None:
    files, name = filesystem(filled.s3.writer), filled.on_server(path)
    intact = files.cat(name)
    files.pipe(name, intact[:-1] + bytes([intact[-1] ^ 1]))
    printed = filled.fails("verify", filled.s3.reader)
    assert says(printed, "an object is damaged: flipped or cut")
    assert f"damaged: {path} (stage " in printed
    assert "(objects uploaded, lists of folders among them: 1)" in filled.succeeds("push", filled.s3.writer)
    assert filesystem(filled.s3.reader).cat(name) == intact


def test_a_pull_that_fails_leaves_what_is_there(filled: Project) -> None:
    new = filled.data()
    output(filled.folder, "git", "checkout", "--quiet", "old", "--", "dvc.lock", "dvc.yaml")
    output(filled.folder, "dvc", "checkout")
    output(filled.folder, "git", "checkout", "--quiet", "new", "--", "dvc.lock", "dvc.yaml")
    old = filled.data()
    assert old.keys() == new.keys()
    assert old != new
    for path in ("data/drawn/3.bin", "data/total.bin"):
        filled.cached(filled.md5(path)).unlink()
    files, name = filesystem(filled.s3.writer), filled.on_server("data/drawn/3.bin")
    intact = files.cat(name)
    files.pipe(name, intact[:1000])
    filled.fails("pull", filled.s3.reader)
    assert filled.data() == old
    files.pipe(name, intact)
    filled.succeeds("pull", filled.s3.reader)
    assert filled.data() == new


def test_an_object_that_is_nowhere(filled: Project) -> None:
    path = "data/drawn/3.bin"
    filesystem(filled.s3.writer).rm(filled.on_server(path))
    filled.cached(filled.md5(path)).unlink()
    printed = filled.fails("push", filled.s3.writer)
    assert says(printed, "an object is neither on the server nor in the cache")
    assert f"neither here nor there: {path} (stage draw)" in printed


def test_a_damaged_cache_is_neither_pushed_nor_checked_out(project: Project) -> None:
    path, data = "data/total.bin", project.data()
    cached = project.cached(project.md5(path))
    cached.chmod(0o644)
    cached.write_bytes(b"damaged")
    cached.chmod(0o444)
    assert says(project.fails("push", project.s3.writer), "an object is neither on the server nor in the cache")
    assert project.md5(path) not in project.there()
    filesystem(project.s3.writer).pipe(project.on_server(path), data["total.bin"])
    project.succeeds("push", project.s3.writer)
    (project.folder / path).unlink()
    project.succeeds("pull", project.s3.reader)
    assert project.data() == data


def test_a_change_that_dvc_has_not_kept_is_not_lost(filled: Project) -> None:
    (filled.folder / "data" / "total.bin").write_bytes(b"changed")
    assert says(filled.fails("pull", filled.s3.reader), "the workspace has a change that DVC has not kept")
    assert filled.data()["total.bin"] == b"changed"


def test_a_lock_that_is_not_committed(filled: Project) -> None:
    with (filled.folder / "dvc.lock").open("a") as file:
        file.write("# a change\n")
    assert says(filled.succeeds("verify", filled.s3.reader), "dvc.lock is not committed")


def test_no_command_waits_for_a_server_that_never_answers(unanswered: Waiting) -> None:
    for process, deadline in unanswered.values():
        printed, _ = process.communicate(timeout=max(1, deadline - time.monotonic()))
        assert process.returncode == 1
        assert says(printed, "the server takes connections and never answers")


def test_every_row_of_the_table_has_its_test() -> None:
    nodes = ast.walk(ast.parse(Path(__file__).read_text(encoding="utf-8")))
    calls = [node for node in nodes if isinstance(node, ast.Call)]
    tested = {ast.literal_eval(call.args[1]) for call in calls if ast.unparse(call.func) == "says"}
    table = re.search(r"\| fault \|.*?\n\n", FAULTS, re.DOTALL)
    assert table is not None
    assert tested == {line.split(" | ")[0].removeprefix("| ") for line in table[0].strip().splitlines()[2:]}
