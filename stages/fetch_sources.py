"""Download what comes from a hub, S3 or the web, each at its pin; what lies in the project itself stays where it is.

Reads  params: the source of every section. Keys come from the environment: HF_TOKEN, AWS_ACCESS_KEY_ID and so on.
Writes downloads: a folder for each source that has an origin; an empty one if none has. Before hours of downloading,
       a line for each source that is not pinned or lacks a file, and for a disk without room.
"""

from pathlib import Path

from stages import run


def main() -> None:
    from detox import files
    from detox.errors import InputError, InputErrors, noted
    from detox.params import origins
    from detox.sources import local

    remote = {section: source for section, source in origins.sources().items() if source.remote}
    errors: list[InputError] = []
    for source in remote.values():
        with noted(errors):
            local.check_pinned(source)
    if errors:
        raise InputErrors(errors)
    if remote:
        # Only here, because it takes seconds and most runs download nothing.
        from detox.runtime import capacity
        from detox.sources import downloads, repositories

        found = repositories.check_all(remote)
        capacity.check_disks(repositories.needs(remote, found, Path(origins.DOWNLOADS)))
    with files.atomic(Path(origins.DOWNLOADS)) as folder:
        folder.mkdir()
        for path, source in {source.path: source for source in remote.values()}.items():
            downloads.fetch(source, folder / Path(path).name)


if __name__ == "__main__":
    run(main)
