"""The report page and the release, from a made-up evaluation of six dialogues."""

import copy
import json
import re
import subprocess
import sys
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from evaluations import CLAIMS, EVALUATION, QUARRELS, RIVALS

from detox import files, parsing
from detox.errors import InputError
from detox.reporting.page import sha256s
from stages import report

ROOT = Path(__file__).parents[2]
HOSTILE = '<script>alert("x")</script> & <img src="https://example.com/x.png">'
MARKUP = (
    "</td></table></pre></main> `code` | cell | {{ 7 * 7 }} {% raw %} <!-- ]]> &lt;b&gt; [link](javascript:alert(1))"
)

PARAMS = """\
seed: 1
model: {source: {path: models/miniature/base}, max_prompt_tokens: 512, prompt: "{dialogue}"}
summarize: {max_new_tokens: 72}
prepare: {source: {path: downloads/prepare, origin: "hf://datasets/ann/talks"}}
reward: {source: {path: models/miniature/toxicity}}
judge: {source: {path: /home/someone/judge}}
rivals: {bad_words: words.txt}
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with everything that the report reads."""
    monkeypatch.chdir(tmp_path)
    ids = [f"d{number}" for number in range(6)]
    rows = [
        {"id": name, "text": f"#Person1#: {HOSTILE} {name} {MARKUP}", "references": [MARKUP], "group": MARKUP}
        for name in ids
    ]
    files.write_jsonl(Path("data/prepared/test.jsonl"), rows)
    for name in ("sft", "ppo"):
        summaries = [
            {"id": i, "group": i, "summary": f"{name} of {i} {HOSTILE} {MARKUP}", "samples": [MARKUP, "y"]} for i in ids
        ]
        files.write_jsonl(Path(f"data/summaries/{name}.jsonl"), summaries)
    # Mean toxicity changes by -0.475, -0.35, … +0.15 from d0 to d5.
    scores = [
        {
            "id": name,
            "sft": {"judge": [0.5, 0.7], "rougeL": 0.5},
            "ppo": {"judge": [0.125 * number, 0.25 + 0.125 * number], "rougeL": 0.5},
        }
        for number, name in enumerate(ids)
    ]
    files.write_jsonl(Path("data/scores.jsonl"), scores)
    looks = [
        {"when": when, "summary": text, "judge": judge, "reward": 0.125}
        for when, text, judge in (("before", f"a y {HOSTILE}", 0.75), ("step_0002", "a b", 0.5), ("after", "a b", 0.25))
    ]
    files.write_jsonl(Path("data/snapshots.jsonl"), [{"id": "d1", "looks": looks}])
    files.write_metrics(Path("metrics/evaluate.json"), EVALUATION)
    files.write_metrics(Path("metrics/prepare.json"), {"train": 1234, "test": 6})
    training = {"steps": 2, "episodes": 8, "trainable_parameters": 1000, "trainable_percent": 1.5}
    files.write_metrics(
        Path("metrics/train.json"), {**training, "reward_first": 0.25, "reward_last": 1.75, "kl_last": 2.5}
    )
    Path("metrics/train.csv").write_text("step,reward,kl\n1,0.25,0\n2,1.75,2.5\n")
    files.write_metrics(Path("metrics/claims.json"), CLAIMS)
    files.write_metrics(Path("metrics/quarrels.json"), QUARRELS)
    files.write_metrics(Path("metrics/rivals.json"), RIVALS)
    Path("metrics/progress.csv").write_text("step,judge,reward\n0,0.3,0.2\n8,0.1,0.05\n")
    Path("params.yaml").write_text(PARAMS)
    Path("words.txt").write_text("y\n")
    adapter("org/base")
    return tmp_path


def adapter(base: str) -> None:
    """models/ppo with an adapter for this base model."""
    Path("models/ppo").mkdir(parents=True, exist_ok=True)
    Path("models/ppo/adapter_config.json").write_text(json.dumps({"base_model_name_or_path": base}))
    Path("models/ppo/adapter_model.safetensors").write_bytes(b"weights")
    Path("models/ppo/value_head.safetensors").write_bytes(b"not released")


class Page(HTMLParser):
    """Tables by id, as lists of rows of cell texts; and every tag with its attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tables: dict[str, list[list[str]]] = {}
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self._rows: list[list[str]] = []
        self._cell = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "table":
            self._rows = self.tables.setdefault(dict(attrs).get("id") or "", [])
        elif tag == "tr":
            self._rows.append([])
        elif tag in ("td", "th"):
            self._rows[-1].append("")
        self._cell = tag in ("td", "th", "code")

    def handle_data(self, data: str) -> None:
        if self._cell:
            self._rows[-1][-1] += data

    def handle_endtag(self, tag: str) -> None:
        self._cell = False


@pytest.fixture
def page(project: Path) -> str:
    """The report's HTML."""
    report.main()
    return (project / "metrics/report.html").read_text(encoding="utf-8")


def test_each_slice_of_the_evaluation_has_a_table(page: str) -> None:
    tables = Page(page).tables

    by_slice, last = {"all", "stress"}, ""  # the last one holds the hashes
    assert set(tables) == {"claims", "systems", "duel", "quarrels", "along-1", *by_slice, last}
    assert tables["all"][0] == ["Measure", "Before", "After", "Change [95 % interval]", "Detectable", "p"]
    assert tables["all"][1] == ["Toxicity, judge", "0.2345", "0.1111", "-52.6 % [-62.6, -42.6]", "", "0.0002"]
    assert tables["stress"][1][1:3] == ["0.6543", "0.3333"]
    assert (len(tables["all"]), len(tables["stress"])) == (24, 24)


def test_summaries_along_training_stand_in_their_order_each_with_both_scores(page: str) -> None:
    rows = Page(page).tables["along-1"]
    assert [[row[0], *row[2:]] for row in rows] == [
        ["When", "Judge", "Reward"],
        ["before", "0.7500", "0.1250"],
        ["step 2", "0.5000", "0.1250"],
        ["after", "0.2500", "0.1250"],
    ]
    assert page.count("<td>a <mark>b</mark></td>") == 2, "what the summary before has not"
    assert '<td>a <b class="insult">y</b> ' in page


def text_of(page: str) -> str:
    """The page's words, without markup and scripts of style."""
    body = re.sub(r"<(style|svg).*?</\1>", " ", page, flags=re.S)
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", body)).split())


def lead(page: str) -> list[str]:
    """The sentences at its top."""
    return [unescape(sentence) for sentence in re.findall(r'<p class="lead">(.*?)</p>', page, re.S)]


def test_the_page_begins_with_what_happened_and_says_on_which_models_and_data(page: str) -> None:
    assert [sentence.partition(" (")[0] for sentence in lead(page)] == [
        "After PPO the summaries are 52.6 % less toxic according to the judge",
        "ROUGE-L",
        "Slot recall",
    ]
    assert (
        "60 test dialogues of 40 scenarios · Base model models/miniature/base · Dialogues ann/talks · Reward "
        "models/miniature/toxicity · Judge judge · Profile settings of its own · Seed 1"
    ) in text_of(page)
    assert "do not say how toxic FLAN-T5 is" in text_of(page)
    assert "someone" not in page


@pytest.mark.parametrize("case", ["no change", "too few dialogues", "nothing toxic before", "worse", "not measured"])
def test_the_page_is_true_whatever_happened(project: Path, case: str) -> None:
    trees: dict[str, dict[str, Any]] = copy.deepcopy({"evaluate": EVALUATION, "claims": CLAIMS, "rivals": RIVALS})
    evaluation, claims = trees["evaluate"], trees["claims"]
    judge, everything = evaluation["all"]["change"]["judge"], evaluation["all"]
    expected = {
        "no change": "No change of toxicity could be shown",
        "too few dialogues": "6 test dialogues are too few to show a change.",
        "nothing toxic before": "Before PPO hardly any summary was toxic (0.0 % of the samples)",
        "worse": "After PPO the summaries are 47.5 % more toxic according to the judge",
        "not measured": "After PPO the summaries are 52.6 % less toxic according to the judge",
    }[case]
    if case == "no change":
        judge |= {"relative": 0.01, "low": -0.1, "high": 0.1, "p": 0.78}
    elif case == "too few dialogues":
        for part in evaluation.values():
            part |= {"dialogues": 6, "clusters": 6}
        judge |= {"relative": 0.475, "low": -0.353, "high": 2.308, "p": 0.78}
    elif case == "nothing toxic before":
        everything["sft"]["judge"] |= {"rate": 0.0, "mean": 0.00004}
        judge |= {"relative": 0.475, "low": -0.353, "high": 2.308, "p": 0.78}
    elif case == "worse":
        judge |= {"relative": 0.475, "low": 0.1, "high": 0.9}
        claims["family"]["all_judge"]["holds"] = False
    else:
        for part in evaluation.values():
            del part["change"]["slots"], part["sft"]["slots"], part["ppo"]["slots"]
    for name, tree in trees.items():
        files.write_metrics(Path(f"metrics/{name}.json"), tree)

    report.main()
    page = Path("metrics/report.html").read_text(encoding="utf-8")
    text = text_of(page)

    assert lead(page)[0].startswith(expected)
    assert ("less toxic according to the judge" in text) == (case == "not measured")
    assert ("more toxic according to the judge" in text) == (case == "worse")
    assert ("Slot recall" in text) == (case != "not measured")
    assert "two classifiers find less" not in text
    assert ("6 test dialogues of" in text) is False


def test_a_claim_that_was_not_measured_says_so(project: Path) -> None:
    claims = parsing.read_metrics(Path("metrics/claims.json"))
    claims["family"]["slots"] = {"margin": 0.02, "measured": False, "holds": False}
    files.write_metrics(Path("metrics/claims.json"), claims)
    report.main()
    tables = Page((project / "metrics/report.html").read_text(encoding="utf-8")).tables
    assert tables["claims"][-1] == ["Slot recall falls by less than 0.02", "", "", "not measured"]


def test_claims_and_rivals_say_what_their_metrics_say(page: str) -> None:
    tables = Page(page).tables

    assert tables["claims"][1:] == [
        ["Toxicity falls, according to the judge", "0.0002", "0.0008", "yes"],
        ["ROUGE-L falls by less than 0.02", "0.0301", "0.0602", "no"],
    ]
    assert [row[0] for row in tables["systems"][1:]] == ["The first three turns", "Before PPO", "After PPO"]
    assert tables["systems"][1][1:] == ["0.3100", "0.3200", "0.3300", "0.9000", "20.5000"]
    assert tables["duel"][1:] == [
        ["Best of 4 raw", "Toxicity, judge", "0.0500", "0.0700", "+0.0200 [-0.0100, +0.0500]"],
        ["Best of 4 raw", "ROUGE-L", "0.6100", "0.6300", "+0.0200 [+0.0100, +0.0500]"],
    ]
    assert tables["quarrels"][1:] == [
        ["A sample says who was insulted", "1,234", "0.5000", "0.4000", "-0.1000 [-0.2000, +0.0500]"]
    ]
    text = text_of(page)
    assert "The best of 4 is not shown to differ in toxicity from a sample of PPO (0.050 and 0.070, p = 0.2468)" in text
    assert "It found a difference 9 (judge) and 12 (reward) times; about 10 are expected by chance." in text
    assert "All systems, on 3 test dialogues, evenly spaced" in text


def test_an_example_shows_each_text_with_its_own_score_and_marks_the_insult(page: str) -> None:
    first = text_of(page[page.index("<h4>d0</h4>") : page.index("<h4>d1</h4>")])
    before, after = first.partition("Before")[2].split("After", 1)
    assert re.findall(r"toxicity ([\d.]+)", before) == ["0.5000", "0.7000"]
    assert re.findall(r"toxicity ([\d.]+)", after) == ["0.0000", "0.2500"]
    assert page.count('<b class="insult">y</b>') == 12 + 1, "the second sample of six dialogues, and one of a snapshot"


def test_nothing_is_fetched(page: str) -> None:
    parsed = Page(page)

    assert not [tag for tag, _ in parsed.tags if tag in ("script", "link", "img", "iframe", "object", "base")]
    links = [
        value for _, attributes in parsed.tags for key, value in attributes.items() if key in ("src", "xlink:href")
    ]
    assert all(value and value.startswith("#") for value in links)
    assert not re.findall(r"@import|url\((?!#)", page)


def test_texts_of_the_data_are_escaped(page: str) -> None:
    assert "<script" not in page
    assert "#Person1#: &lt;script&gt;alert(&#34;x&#34;)&lt;/script&gt; &amp; &lt;img" in page
    assert page.count("{{ 7 * 7 }} {% raw %} &lt;!-- ]]&gt; &amp;lt;b&amp;gt;") > 6, "as it was written"
    assert page.count("</main>") == page.count("</html>") == 1


def test_what_the_data_says_opens_and_closes_no_element_of_the_page(page: str) -> None:
    """With harmless texts in the same places it has the same elements."""
    elements = [tag for tag, _ in Page(page).tags if tag != "mark"]
    summaries = [f"data/summaries/{name}.jsonl" for name in ("sft", "ppo")]
    for path in ("data/prepared/test.jsonl", "data/snapshots.jsonl", *summaries):
        text = Path(path).read_text(encoding="utf-8")
        for hostile in (HOSTILE, MARKUP):
            text = text.replace(json.dumps(hostile)[1:-1], "words")
        Path(path).write_text(text, encoding="utf-8")
    report.main()
    harmless = Path("metrics/report.html").read_text(encoding="utf-8")
    assert "alert" not in harmless
    assert [tag for tag, _ in Page(harmless).tags if tag != "mark"] == elements


def test_the_card_and_the_headline_hold_nothing_of_the_data(page: str) -> None:
    for path in ("models/release/README.md", "metrics/headline.md"):
        text = Path(path).read_text(encoding="utf-8")
        assert not [word for word in ("alert", "code`", "7 * 7", "{% raw", "sft of") if word in text]


def test_the_page_serves_phones_dark_mode_and_screen_readers(page: str) -> None:
    parsed = Page(page)
    viewports = [attributes["content"] for tag, attributes in parsed.tags if attributes.get("name") == "viewport"]
    labels = [attributes["aria-label"] for _, attributes in parsed.tags if attributes.get("role") == "img"]
    ids = [attributes["id"] for _, attributes in parsed.tags if "id" in attributes]

    assert viewports == ["width=device-width, initial-scale=1"]
    assert "prefers-color-scheme: dark" in page
    assert labels[0] == ("Of the sampled summaries 100.0 % have a toxicity of 0.5 or more before PPO, 50.0 % after.")
    assert len([tag for tag, _ in parsed.tags if tag == "svg"]) == len(labels) == 6
    assert "currentColor" in page
    assert [name for name in ids if re.search(r"_\d+$", name or "")] == []


def test_examples_run_from_the_largest_fall_to_the_largest_rise(page: str) -> None:
    headings = re.findall(r"<h[34]>([^<]+)</h[34]>", page)

    start = headings.index("Toxicity fell most")
    assert headings[start : start + 9] == (
        ["Toxicity fell most", "d0", "d1", "In the middle", "d2", "d3", "Toxicity rose most", "d5", "d4"]
    )


def test_the_page_names_its_inputs_by_sha256(page: str) -> None:
    rows = dict(Page(page).tables[""][1:])

    # sha256 of "weights", by sha256sum.
    assert (
        rows["models/ppo/adapter_model.safetensors"]
        == "9a129038d9a00aed0cf6a7ea059ca50a813449061ab87848cf1a13eafdf33b2c"
    )
    settings = "params.yaml, its values but for compute and track"
    assert list(rows) == [settings, "data/prepared/test.jsonl", "models/ppo/adapter_model.safetensors"]


def test_a_file_that_is_not_there_has_no_sha256(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"absent does not exist: run 'dvc repro'"):
        sha256s([tmp_path / "absent"])


def test_two_runs_give_the_same_bytes(project: Path) -> None:
    paths = [project / name for name in ("metrics/report.html", "metrics/headline.md", "models/release/README.md")]
    report.main()
    first = [path.read_bytes() for path in paths]
    report.main()

    assert [path.read_bytes() for path in paths] == first


def test_the_release_is_the_adapter_with_its_card(page: str) -> None:
    released = {path.name: path.read_bytes() for path in Path("models/release").iterdir()}

    assert set(released) == {"adapter_config.json", "adapter_model.safetensors", "README.md"}
    assert released["adapter_model.safetensors"] == b"weights"
    assert json.loads(released["adapter_config.json"]) == {"base_model_name_or_path": "org/base"}
    assert "A LoRA adapter for `models/miniature/base`" in released["README.md"].decode()


def test_the_stage_prints_nothing_and_the_headline_says_what_happened_and_on_what(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report.main()

    assert capsys.readouterr().out == ""
    lines = Path("metrics/headline.md").read_text().splitlines()
    assert all(len(line) <= 100 for line in lines)
    assert [line.split("  ")[2] for line in lines[1:7]] == [
        "all: Toxicity, judge",
        "all: Toxicity, reward",
        "stress: Toxicity, judge",
        "all: ROUGE-L",
        "all: Slot recall",
        "all: Words",
    ]
    said = " ".join(" ".join(lines[7:]).split())
    assert said.startswith("After PPO the summaries are 52.6 % less toxic according to the judge")
    assert said.endswith(
        "60 test dialogues of 40 scenarios; base model models/miniature/base, dialogues ann/talks, reward "
        "models/miniature/toxicity, judge judge, profile settings of its own, seed 1"
    )


def test_a_missing_adapter_is_one_clear_line(project: Path) -> None:
    Path("models/ppo/adapter_model.safetensors").unlink()

    done = subprocess.run(
        [sys.executable, "-m", "stages.report"], env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True
    )

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "error: models/ppo/adapter_model.safetensors does not exist: run 'dvc repro'\n"
    assert not Path("metrics/report.html").exists()


@pytest.mark.parametrize(
    ("modules", "absent"),
    [
        ("stages.report", {"pandas", "matplotlib", "jinja2"}),
        (
            "detox.reporting.cards, detox.reporting.figures, detox.reporting.page, detox.reporting.tables",
            {"datasets", "scipy"},
        ),
    ],
)
def test_help_imports_little_and_the_report_neither_torch_nor_evaluate(modules: str, absent: set[str]) -> None:
    heavy = absent | {"torch", "transformers", "peft", "trl", "evaluate"}
    code = f"import sys, {modules}; assert not {heavy} & set(sys.modules)"

    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_whatever_slices_the_evaluation_has_each_is_on_the_page_with_what_it_is(project: Path) -> None:
    names = ("all", "stress", "seen", "unseen", "heated", "calm", "identity", "provoked", "held_out")
    files.write_metrics(project / "metrics/evaluate.json", dict.fromkeys(names, EVALUATION["all"]))
    report.main()
    text = (project / "metrics/report.html").read_text()
    titles = re.findall(r'<summary>([^<]+) \([^<]+\)</summary>\n<div class="scroll">\n<table id="(\w+)"', text)
    assert [name for _, name in titles] == list(names)
    assert all(len(title) > 20 or title == "All test dialogues" for title, _ in titles)
