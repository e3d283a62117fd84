"""Download what comes from a hub, S3 or the web, each at its pin; what lies in the project itself stays where it is.

Reads  params: the source of every section. Keys come from the environment: HF_TOKEN, AWS_ACCESS_KEY_ID and so on.
Writes downloads: a folder for each source that has an origin; an empty one if none has.
"""

from pathlib import Path

from stages import run


def main() -> None:
    from detox import files, params
    from detox.sources import local

    wanted = {source.path: source for source in params.sources().values() if source.remote}
    for source in wanted.values():
        local.check_pinned(source)  # all of them, before hours of downloading
    with files.atomic(Path(params.DOWNLOADS)) as folder:
        folder.mkdir()
        for path, source in wanted.items():
            # Only here, because it takes seconds and most runs download nothing.
            from detox.sources import downloads

            downloads.fetch(source, folder / Path(path).name)


if __name__ == "__main__":
    run(main)
