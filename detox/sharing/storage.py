"""DVC's remote on S3: what is there, into it and out of it, and one line for whatever may go wrong.

The transfer is DVC's own, but unlike `dvc push` and `dvc pull` this asks for every object: they take a folder's files
for granted where the folder's list is.
"""

import asyncio
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from io import BytesIO
from typing import Any
from urllib.parse import urlsplit

from botocore.exceptions import BotoCoreError
from fsspec.asyn import get_loop
from tqdm import tqdm

from detox.errors import InputError
from detox.params import origins
from detox.sharing.objects import FOLDER, Object
from detox.sharing.s3_errors import NO_READING, NO_WRITING, reason
from detox.sharing.timeouts import Transfer, watched

PLACEHOLDER = "your-bucket"  # of the .dvc/config that comes with the project
AT_ONCE = 100  # objects that are asked for before the limit on time starts anew
CANCEL_SECONDS = 5


class Storage:
    """The default remote of a DVC repository. Whatever it cannot do is an InputError.

    Where nothing moves for `seconds`, SystemExit with one line ends the process.
    """

    def __init__(self, repo: Any, seconds: int) -> None:
        name = repo.config["core"].get("remote", "storage")
        url = repo.config["remote"].get(name, {}).get("url", "")
        if url and not url.startswith("s3://"):
            raise InputError(
                f"the remote {name} is not on S3, where alone every object is looked at: use `dvc push` and "
                "`dvc pull`, and `dvc status --cloud` to compare"
            )
        if url and not origins.plain(url):
            raise InputError(
                f"the url of the remote {name} holds a user, a password or what else no plain address has: leave "
                "s3://BUCKET/FOLDER there, keys come from the environment"
            )
        if urlsplit(url).netloc in ("", PLACEHOLDER):
            how = f"modify {name} url" if url else f"add --default {name}"
            raise InputError(
                f"there is no remote on S3 yet: dvc remote {how} s3://BUCKET/FOLDER, then commit .dvc/config"
            )
        self.seconds, self.where = seconds, f"{name} ({url})"
        with self._reached():
            self.remote = repo.cloud.get_remote(name)
            self.remote.fs.fs_args["use_listings_cache"] = False
            self.odb = self.remote.odb

    def check(self) -> None:
        """Whether there is a server, which knows these keys, and a bucket, which they may list."""
        bucket, _, folder = self.remote.path.partition("/")
        with self._reached():
            files = self.remote.fs.fs
            self.where += f" at {urlsplit(files.s3.meta.endpoint_url).netloc.rpartition('@')[2]}"
            files.call_s3("list_objects_v2", Bucket=bucket, Prefix=folder, MaxKeys=1)

    def url(self, each: Object) -> str:
        """Where the object belongs."""
        return str(self.odb.fs.unstrip_protocol(self.odb.oid_to_path(each.md5)))

    def infos(self, objects: Sequence[Object]) -> dict[str, dict[str, Any]]:
        """What the server says of each object that it has, by MD5."""
        names = list({each.md5: None for each in objects})
        return {
            name: info
            for start in range(0, len(names), AT_ONCE)
            for name, info in self._infos(names[start : start + AT_ONCE])
            if not isinstance(info, FileNotFoundError)
        }

    def _infos(self, names: list[str]) -> Iterator[tuple[str, Any]]:
        paths = [self.odb.oid_to_path(name) for name in names]
        with self._reached():
            answers = self.odb.fs.info(paths, return_exceptions=True)
            for answer in answers:
                if isinstance(answer, Exception) and not isinstance(answer, FileNotFoundError):
                    raise answer
        return zip(names, answers, strict=True)

    def has(self, each: Object, info: dict[str, Any] | None, size: int | None) -> bool:
        """Whether the object is there undamaged, by what `infos` says of it and its size here, if it is here.

        S3's ETag is the MD5 of what came in one piece and is not encrypted by KMS; where it is not the object's, or the
        sizes differ, the content is read.
        """
        if info is None:
            return False
        etag = info["ETag"].strip('"')
        if size in (None, info["size"]) and ("-" in etag or etag == each.md5.removesuffix(FOLDER)):
            return True
        return self.read(each) is not None

    def read(self, each: Object) -> bytes | None:
        """The object's content; None if it is missing or damaged."""
        with self._reached():
            try:
                content = self.odb.fs.cat_file(self.odb.oid_to_path(each.md5))
            except FileNotFoundError:
                return None
        return content if each.is_in(BytesIO(content)) else None

    def upload(self, sizes: dict[str, int], cache: Any) -> None:
        """Objects of DVC's cache, by MD5, over what is there.

        The smallest goes alone, which tells whether these keys may write; the folders' lists go last, since everyone
        else takes a folder's files for granted where its list is.
        """
        ordered = sorted(sizes, key=lambda md5: sizes[md5])
        files = [md5 for md5 in ordered if not md5.endswith(FOLDER)]
        with self._bar("Uploading", sizes) as bar, self._reached(NO_WRITING):
            for part in (files[:1], files[1:], [md5 for md5 in ordered if md5.endswith(FOLDER)]):
                self._move(cache, self.odb, part, bar, check_exists=False, verify=False)

    def download(self, sizes: dict[str, int], cache: Any) -> None:
        """Objects into DVC's cache, by MD5; what has another content there than its MD5 says is not kept."""
        with self._bar("Downloading", sizes) as bar, self._reached():
            self._move(self.odb, cache, list(sizes), bar, verify=True)

    def _move(self, source: Any, target: Any, names: list[str], bar: "tqdm[Any]", **how: Any) -> None:
        if not names:
            return
        errors: list[BaseException] = []
        try:
            target.add(
                [source.oid_to_path(name) for name in names],
                source.fs,
                names,
                callback=Transfer(self.seconds, bar),
                on_error=lambda name, error: errors.append(error),
                batch_size=self.remote.fs.jobs,
                **how,
            )
        except FileNotFoundError:  # DVC renames a single file although it has not come
            if not errors:
                raise
        if errors:
            raise errors[0]

    def _bar(self, what: str, sizes: dict[str, int]) -> "tqdm[Any]":
        return tqdm(total=sum(sizes.values()), desc=what, unit="B", unit_scale=True, leave=False, disable=None)

    @contextmanager
    def _reached(self, denied: str = NO_READING) -> Iterator[None]:
        """What goes wrong within the block is an InputError that names the remote."""
        stuck = f"nothing has moved for {self.seconds} s: check the network and the server, and run this again"
        try:
            with watched(self.seconds, f"remote {self.where}: {stuck}, or with a longer LIMIT"):
                yield
        except (OSError, BotoCoreError, ValueError) as error:
            raise InputError(f"remote {self.where}: {reason(error, denied)}") from error
        except BaseException:
            # Files whose turn has not come are coroutines that nobody awaits now.
            warnings.filterwarnings("ignore", "coroutine .* was never awaited", RuntimeWarning)
            with suppress(TimeoutError):
                asyncio.run_coroutine_threadsafe(_cancel_all(), get_loop()).result(CANCEL_SECONDS)
            raise


async def _cancel_all() -> None:
    """Ends what fsspec's thread is still doing, which would go on writing files until the process ends."""
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
