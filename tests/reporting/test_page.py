"""The report page and the release, from a made-up evaluation of six dialogues."""

import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from evaluations import CLAIMS, EVALUATION, RIVALS

from detox import files, parsing
from detox.errors import InputError
from detox.reporting.page import choose_examples, difference, sha256s
from stages import report

ROOT = Path(__file__).parents[2]
HOSTILE = '<script>alert("x")</script> & <img src="https://example.com/x.png">'
MARKUP = (
    "</td></table></pre></main> `code` | cell | {{ 7 * 7 }} {% raw %} <!-- ]]> &lt;b&gt; [link](javascript:alert(1))"
)


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
    # Toxicity falls by 0.5, 0.4, … 0 from d0 to d5.
    scores = [
        {"id": name, "sft": {"judge": [0.5, 0.7]}, "ppo": {"judge": [0.1 * number, 0.2 + 0.1 * number]}}
        for number, name in enumerate(ids)
    ]
    files.write_jsonl(Path("data/scores.jsonl"), scores)
    files.write_metrics(Path("metrics/evaluate.json"), EVALUATION)
    files.write_metrics(Path("metrics/prepare.json"), {"train": 1234, "test": 6})
    training = {"steps": 2, "episodes": 8, "trainable_parameters": 1000, "trainable_percent": 1.5}
    files.write_metrics(
        Path("metrics/train.json"), {**training, "reward_first": 0.25, "reward_last": 1.75, "kl_last": 2.5}
    )
    Path("metrics/train.csv").write_text("step,reward,kl\n1,0.25,0\n2,1.75,2.5\n")
    files.write_metrics(Path("metrics/claims.json"), CLAIMS)
    files.write_metrics(Path("metrics/rivals.json"), RIVALS)
    Path("metrics/tradeoff.csv").write_text("scale,judge,rougeL\n0,0.3,0.7\n1,0.1,0.71\n")
    Path("metrics/progress.csv").write_text("step,judge,reward\n0,0.3,0.2\n8,0.1,0.05\n")
    Path("params.yaml").write_text("seed: 1\n")
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

    assert set(tables) == {"claims", "systems", "duel", "all", "stress", ""}  # the last one holds the hashes
    assert tables["all"][0] == ["Measure", "Before", "After", "Change [95 % interval]", "Detectable", "p"]
    assert tables["all"][1] == ["Toxicity, judge", "0.2345", "0.1111", "-52.6 % [-62.6, -42.6]", "", "0.0002"]
    assert tables["stress"][1][1:3] == ["0.6543", "0.3333"]
    assert (len(tables["all"]), len(tables["stress"])) == (24, 24)


def test_the_first_sentence_is_the_headline_with_its_intervals(page: str) -> None:
    lead = re.findall(r'<p class="lead">(.*?)</p>', page, re.S)[0]
    assert " ".join(lead.replace("&nbsp;", " ").split()) == (
        "After PPO the summaries are 52.6 % less toxic by an independent judge [95 %: -62.6 to -42.6 %], and ROUGE-L "
        "changed by +0.0200 [-0.0200 to +0.0300]."
    )


def test_a_claim_that_was_not_measured_says_so(project: Path) -> None:
    claims = parsing.read_metrics(Path("metrics/claims.json"))
    claims["family"]["slots"] = {"margin": 0.02, "measured": False, "holds": False}
    files.write_metrics(Path("metrics/claims.json"), claims)
    report.main()
    tables = Page((project / "metrics/report.html").read_text(encoding="utf-8")).tables
    assert tables["claims"][-1] == ["Slot recall does not fall by the margin of 0.02", "", "", "not measured"]


def test_claims_and_rivals_say_what_their_metrics_say(page: str) -> None:
    tables = Page(page).tables

    assert tables["claims"][1:] == [
        ["Toxicity falls, by the judge", "0.0002", "0.0008", "yes"],
        ["ROUGE-L does not fall by the margin of 0.02", "0.0301", "0.0602", "no"],
    ]
    assert [row[0] for row in tables["systems"][1:]] == ["The first three turns", "Before PPO", "After PPO"]
    assert tables["systems"][1][1:] == ["0.3100", "0.3200", "0.3300", "0.9000", "20.5000"]
    assert tables["duel"][1:] == [
        ["Toxicity, judge", "0.0500", "0.0700", "+0.0200 [-0.0100, +0.0500]"],
        ["ROUGE-L", "0.6100", "0.6300", "+0.0200 [+0.0100, +0.0500]"],
    ]
    text = " ".join(page.replace("&nbsp;", " ").split())
    assert "PPO is not shown to be less toxic than that (p = 0.2468 by the judge), and ROUGE-L is higher" in text
    assert "of 200 random halvings of samples before PPO, 9 (judge) and 12 (reward) differ" in text


@pytest.mark.parametrize(("low", "high", "said"), [(-0.05, -0.01, "less toxic"), (0.01, 0.05, "more toxic")])
def test_the_better_of_ppo_and_best_of_n_is_named(project: Path, low: float, high: float, said: str) -> None:
    rivals = json.loads(json.dumps(RIVALS))
    rivals["duel"]["judge"] |= {"low": low, "high": high}
    files.write_metrics(Path("metrics/rivals.json"), rivals)
    report.main()
    assert f"PPO is {said} than that" in " ".join(Path("metrics/report.html").read_text(encoding="utf-8").split())


def test_what_two_summaries_do_not_share_is_marked_and_escaped() -> None:
    assert difference("he is <b> a fool today", "he insults him today") == ("he <mark>is &lt;b&gt; a fool</mark> today")
    assert difference("the same", "the same") == "the same"
    assert difference("", "gone") == ""


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
    for path in ("data/prepared/test.jsonl", *(f"data/summaries/{name}.jsonl" for name in ("sft", "ppo"))):
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
        assert not [word for word in ("alert", "Person1", "code`", "7 * 7", "{% raw") if word in text]


def test_the_page_serves_phones_dark_mode_and_screen_readers(page: str) -> None:
    parsed = Page(page)
    viewports = [attributes["content"] for tag, attributes in parsed.tags if attributes.get("name") == "viewport"]
    labels = [attributes["aria-label"] for _, attributes in parsed.tags if attributes.get("role") == "img"]
    ids = [attributes["id"] for _, attributes in parsed.tags if "id" in attributes]

    assert viewports == ["width=device-width, initial-scale=1"]
    assert "prefers-color-scheme: dark" in page
    assert labels == [
        "Toxicity by the judge: 6 of 6 dialogues at 0.5 or more before PPO, 2 after.",
        "Toxicity by share of the way from before to after PPO: 0: 0.300 at ROUGE-L 0.700; 1: 0.100 at ROUGE-L 0.710.",
        "Mean reward: 0.25 at step 1, 1.75 at step 2.",
        "KL, nats a summary: 0 at step 1, 2.5 at step 2.",
        "Toxicity by reward and judge at PPO step 0: 0.200 and 0.300; 8: 0.050 and 0.100.",
    ]
    assert len([tag for tag, _ in parsed.tags if tag == "svg"]) == 5
    assert "currentColor" in page
    assert [name for name in ids if re.search(r"_\d+$", name or "")] == []


def test_examples_run_from_the_most_improved_to_the_worst(page: str) -> None:
    headings = re.findall(r"<h[34]>([^<]+)</h[34]>", page)

    start = headings.index("Most improved")
    assert headings[start:] == ["Most improved", "d0", "d1", "Median", "d2", "d3", "Worst", "d5", "d4"]


def test_an_example_joins_dialogue_summaries_and_scores_by_id() -> None:
    ids = ["b", "c", "a"]
    scores = [{"id": i, "sft": {"judge": [0.75, 0.25]}, "ppo": {"judge": [0.0, 0.5]}} for i in ids]
    test, before, after = (
        [{"id": i, "text": f"{i} said"} for i in ids],
        [{"id": i, "summary": f"old {i}", "samples": [f"old {i} 1", f"old {i} 2"]} for i in reversed(ids)],
        [{"id": i, "summary": f"new {i}", "samples": [f"new {i} 1", f"new {i} 2"]} for i in sorted(ids)],
    )

    examples = choose_examples(scores, test, before, after)

    # All changed alike, so that the ids decide.
    assert {heading: [row["id"] for row in rows] for heading, rows in examples.items()} == {
        "Most improved": ["a"],
        "Median": ["b"],
        "Worst": ["c"],
    }
    assert examples["Worst"][0] == {
        "id": "c",
        "text": "c said",
        "sides": [
            {
                "title": "Before",
                "toxicity": 0.5,
                "summary": "old c",
                "other": "new c",
                "samples": [("old c 1", 0.75), ("old c 2", 0.25)],
            },
            {
                "title": "After",
                "toxicity": 0.25,
                "summary": "new c",
                "other": "old c",
                "samples": [("new c 1", 0.0), ("new c 2", 0.5)],
            },
        ],
    }


@pytest.mark.parametrize(("dialogues", "each"), [(2, 0), (3, 1), (14, 4), (15, 5), (40, 5)])
def test_no_dialogue_is_an_example_twice_and_there_are_at_most_five_of_a_kind(dialogues: int, each: int) -> None:
    rows = [{"id": f"d{number:02d}", "summary": "s", "samples": ["x"]} for number in range(dialogues)]
    scores = [
        {"id": row["id"], "sft": {"judge": [0.5]}, "ppo": {"judge": [number / 100]}} for number, row in enumerate(rows)
    ]

    examples = choose_examples(scores, rows, rows, rows)

    assert [len(part) for part in examples.values()] == [each] * 3
    assert len({row["id"] for part in examples.values() for row in part}) == 3 * each


def test_the_page_names_its_inputs_by_sha256(page: str) -> None:
    rows = dict(Page(page).tables[""][1:])

    # sha256 of "seed: 1\n" and of "weights", by sha256sum.
    assert rows["params.yaml"] == "adf0396d435b4047092c20dada268d22d8db7f192fe2a8a9a283c9e9dea6af54"
    assert (
        rows["models/ppo/adapter_model.safetensors"]
        == "9a129038d9a00aed0cf6a7ea059ca50a813449061ab87848cf1a13eafdf33b2c"
    )
    assert list(rows) == ["params.yaml", "data/prepared/test.jsonl", "models/ppo/adapter_model.safetensors"]


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
    assert "A LoRA adapter for `org/base`" in released["README.md"].decode()


def test_the_stage_prints_nothing_and_writes_a_headline_of_at_most_eight_lines(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report.main()

    assert capsys.readouterr().out == ""
    lines = Path("metrics/headline.md").read_text().splitlines()
    assert len(lines) <= 8
    assert [line.split("  ")[2] for line in lines[1:]] == [
        "all: Toxicity, judge",
        "all: Toxicity, reward",
        "stress: Toxicity, judge",
        "all: ROUGE-L",
        "all: Slot recall",
        "all: Words",
    ]


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
