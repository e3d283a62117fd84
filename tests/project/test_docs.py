"""README and docs: their length, their links, and every command in them."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from dvc.cli import parse_args
from imports import ROOT

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
LINKED = [*PAGES, *(ROOT / name for name in ("SECURITY.md", "CHANGELOG.md", "miniature/README.md"))]
LONG = {"README.md": 200, "log.md": 10_000, "house.md": 10_000}  # a diary has no end; a command writes the house
MARK = re.compile(r"<!-- (run by|not run): ([^>]+) -->\n\Z")
OWN = {"detox", "make", "dvc", "python"}

pages = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


class Block(NamedTuple):
    """A fenced block: its language, its text, and what stands before it."""

    language: str
    text: str
    before: str


def blocks(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    found = re.finditer(r"^```(\w*)\n(.*?)^```$", text, re.S | re.M)
    return [Block(match[1], match[2], text[: match.start()]) for match in found]


def commands(block: Block) -> Iterator[list[str]]:
    """Words of each command of our own programs, comments left out."""
    start = {"sh": "", "console": "$ "}.get(block.language, "never")
    lines = [line for line in block.text.splitlines() if line.startswith(start)]
    for line in lines:
        for part in re.split(r"&&|;|\|", line.removeprefix("$ ").partition("    #")[0]):
            words = part.split() if "'" not in part else shlex.split(part)
            if words and words[0] in OWN:
                yield words


def anchors(page: Path) -> set[str]:
    """As GitHub makes them of headings."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pages
def test_a_page_is_short(page: Path) -> None:
    assert len(page.read_text(encoding="utf-8").splitlines()) <= LONG.get(page.name, 150)


@pytest.mark.parametrize("page", LINKED, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_link_leads_somewhere(page: Path) -> None:
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.S | re.M)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), target
        assert not anchor or anchor in anchors(file), target


def test_every_page_of_docs_is_on_the_map() -> None:
    mapped = re.findall(r"\]\(docs/([\w-]+\.md)\)", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert {page.name for page in (ROOT / "docs").glob("*.md")} == set(mapped)


@pages
def test_every_block_of_commands_is_run_by_a_test_or_says_why_it_is_not(page: Path) -> None:
    for block in blocks(page):
        if block.language == "console":
            lines = [line for line in block.text.splitlines() if line.startswith("$ ")]
            assert all("detox " in line for line in lines), "test_readme_commands.py runs those of `detox` alone"
        elif block.language == "sh":
            found = MARK.search(block.before[-400:])
            assert found, f"what runs this?\n{block.text}"
            if found[1] == "run by":
                assert [name for name in found[2].split(", ") if not (ROOT / name).is_file()] == []
        else:
            assert block.language in {"text", "yaml", "python", "mermaid"}, f"what is this?\n{block.text}"


@pages
def test_every_command_is_one_that_there_is(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))
    for words in (words for block in blocks(page) for words in commands(block)):
        program, *rest = words
        if program == "make":
            assert {word for word in rest if "=" not in word} <= targets, words
        elif program == "dvc":
            parse_args(rest)  # exits where it knows no such command or option
        elif program == "python" and rest[:1] == ["-m"]:
            path = ROOT / rest[1].replace(".", "/")
            assert path.with_suffix(".py").is_file() or (path / "__main__.py").is_file(), words


def test_what_runs_again_is_what_dvc_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """The stages that read the edited thing themselves, in the table of README."""
    from ruamel.yaml import YAML

    stages = YAML(typ="safe").load(ROOT / "dvc.yaml")["stages"]
    table = re.findall(r"^\| [^|]+ \| `([^`]+)`[^|]* \| [^|]+ \| ([^|]+) \|$", (ROOT / "README.md").read_text(), re.M)
    checked = 0
    for edited, said in table:
        if edited.startswith("params.yaml: "):
            section = edited.removeprefix("params.yaml: ")
            readers = [
                name
                for name, stage in stages.items()
                if any(key.split(".")[0] == section for key in stage.get("params", []))
            ]
        elif edited.startswith("detox/"):
            readers = [
                name
                for name, stage in stages.items()
                if any(edited == dep or edited.startswith(f"{dep}/") for dep in stage["deps"])
            ]
        else:
            continue
        checked += 1
        # fetch_sources looks whether there is anything to fetch, and report names all settings, which takes no time.
        own = [
            f"`{name}`" for name in readers if name not in ("fetch_sources", "report") or edited.startswith("detox/")
        ]
        assert own == said.split(", "), edited
    assert checked == 7
