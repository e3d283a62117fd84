"""The committed report in a real browser: nothing is fetched, nothing goes wrong, and it says what the metrics say."""

import re
import shutil
import subprocess
from html import unescape
from pathlib import Path

import pytest
from imports import ROOT

from detox import parsing

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
REPORT = ROOT / "metrics" / "report.html"

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine")


def opened(page: Path, profile: Path, *options: str) -> tuple[str, list[str]]:
    """The document after the browser has read it, and what its console said."""
    command = [str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}"]
    command += ["--disable-background-networking", "--no-first-run"]
    command += ["--enable-logging=stderr", "--dump-dom", *options, page.as_uri()]
    profile.mkdir(exist_ok=True)
    # Not through pipes: a helper that outlives the browser would hold them open.
    with (profile / "dom").open("wb") as dom, (profile / "log").open("wb") as log:
        subprocess.run(command, stdin=subprocess.DEVNULL, stdout=dom, stderr=log, timeout=60, check=True)
    log_text = (profile / "log").read_text(encoding="utf-8", errors="replace")
    return (profile / "dom").read_text(encoding="utf-8"), re.findall(r"CONSOLE.*", log_text)


def cells(document: str, table: str) -> list[list[str]]:
    """The texts of a table's cells, row by row."""
    body = re.findall(rf'<table id="{table}">(.*?)</table>', document, re.S)[0]
    rows = re.findall(r"<tr>(.*?)</tr>", body, re.S)
    return [[unescape(cell) for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row)] for row in rows]


def test_the_report_opens_without_a_word_from_the_console_and_says_what_the_metrics_say(tmp_path: Path) -> None:
    document, console = opened(REPORT, tmp_path)
    evaluation = parsing.read_metrics(ROOT / "metrics" / "evaluate.json")

    assert console == []
    for name, part in evaluation.items():
        rows = {row[0]: row[1:] for row in cells(document, name)}
        for label, key in (("Toxicity, judge", "judge"), ("Toxicity, reward", "reward")):
            assert rows[label][:2] == [f"{part[policy][key]['mean']:.4f}" for policy in ("sft", "ppo")]
        for label, key in (("ROUGE-L", "rougeL"), ("Slot recall", "slots"), ("Words", "words")):
            change = part["change"][key]
            assert rows[label][:3] == [
                *(f"{part[policy][key]:.4f}" for policy in ("sft", "ppo")),
                f"{change['absolute']:+.4f} [{change['low']:+.4f}, {change['high']:+.4f}]",
            ]


def test_a_page_that_asked_for_something_would_be_stopped_and_noticed(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    asking = '<img src="https://example.com/x.png"><script>alert(1)</script></main>'
    page.write_text(REPORT.read_text(encoding="utf-8").replace("</main>", asking), encoding="utf-8")

    _, console = opened(page, tmp_path / "profile")

    assert len(console) == 2
    assert all("Content Security Policy" in line for line in console)


@pytest.mark.parametrize(("width", "options"), [(390, []), (1280, ["--blink-settings=preferredColorScheme=0"])])
def test_nothing_is_wider_than_the_window(tmp_path: Path, width: int, options: list[str]) -> None:
    # Headless windows are 500 pixels wide at least: a frame is as narrow as a phone.
    probe = (
        f'<iframe style="width:{width}px" src="report.html"></iframe><script>onload = () => {{ '
        "const page = frames[0].document.documentElement; "
        "document.title = `${page.scrollWidth <= page.clientWidth}`; }</script>"
    )
    shutil.copyfile(REPORT, tmp_path / "report.html")
    (tmp_path / "probe.html").write_text(probe, encoding="utf-8")

    document, _ = opened(tmp_path / "probe.html", tmp_path / "profile", "--allow-file-access-from-files", *options)

    assert "<title>true</title>" in document
