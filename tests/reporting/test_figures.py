"""Figures that fit into a page: what they say in words, and what their SVG may not hold."""

import re

import pandas as pd
import pytest
from evaluations import CLAIMS, EVALUATION, RIVALS
from matplotlib.figure import Figure

from detox.reporting import figures, panels

TRAINING = pd.DataFrame({"step": [1, 2, 4], "reward": [0.25, 9.0, 1.75], "kl": [-6e-8, 9.0, 2.5]})
PROGRESS = pd.DataFrame({"step": [0, 8], "reward": [0.5, 0.125], "judge": [0.25, 0.375]})
SCORES = [
    {"sft": {"judge": [0.5, 0.7]}, "ppo": {"judge": [0.0, 0.2]}},
    {"sft": {"judge": [0.4, 0.6]}, "ppo": {"judge": [0.4, 0.5]}},
]
METRICS = {"evaluate": EVALUATION, "claims": CLAIMS, "rivals": RIVALS}


@pytest.fixture(scope="module")
def drawn() -> list[dict[str, str]]:
    return [figure for section in figures.draw(TRAINING, SCORES, METRICS, PROGRESS).values() for figure in section]


def test_each_figure_says_in_words_what_it_shows(drawn: list[dict[str, str]]) -> None:
    assert [figure["alt"] for figure in drawn] == [
        "Of the sampled summaries 75.0 % have a toxicity of 0.5 or more before PPO, 25.0 % after.",
        "Change by PPO: ROUGE-L +0.020 [-0.020, +0.030]; ROUGE-1 +0.000 [-0.020, +0.030]; Slot recall +0.040 [-0.020, "
        "+0.030]; Names, numbers kept +0.050 [-0.020, +0.030]; … that are true +0.060 [-0.020, +0.030].",
        "Mean toxicity: Before PPO: 0.310 at ROUGE-L 0.330; After PPO: 0.310 at ROUGE-L 0.330; First three turns: "
        "0.310 at ROUGE-L 0.330; "
        "0.5 of PPO's change: 0.310 at ROUGE-L 0.330; Best of 4 (samples): 0.050 at ROUGE-L 0.610; "
        "After PPO (samples): 0.070 at ROUGE-L 0.630.",
        "Mean reward: 0.25 at step 1, 1.75 at step 4.",
        "KL, nats a summary: 0 at step 1, 2.5 at step 4.",
        "Toxicity by reward and judge at PPO step 0: 0.500 and 0.250; 8: 0.125 and 0.375.",
    ]


def test_before_and_after_have_the_same_colours_in_every_picture(drawn: list[dict[str, str]]) -> None:
    distributions, quality, tradeoff, *training = (figure["svg"] for figure in drawn)
    assert panels.BEFORE in distributions
    assert panels.BEFORE in tradeoff
    assert all(panels.AFTER in svg for svg in (distributions, quality, tradeoff, *training))


def test_labels_are_moved_apart_and_stay_in_their_order() -> None:
    assert panels.apart([0.25, 0.25, 0.5, 4.0], 0.5) == [0.25, 0.75, 1.25, 4.0]
    assert panels.apart([0.0], 0.5) == [0.25]


def test_a_measure_that_was_not_taken_is_not_drawn() -> None:
    change = {"absolute": 0.0, "low": 0.0, "high": 0.0}
    assert (
        panels.quality(Figure().subplots(), {"rougeL": change}, {}) == "Change by PPO: ROUGE-L +0.000 [+0.000, +0.000]."
    )


def test_a_figure_is_one_svg_element_that_refers_to_nothing_outside(drawn: list[dict[str, str]]) -> None:
    for figure in drawn:
        assert figure["svg"].startswith("<svg ")
        assert figure["svg"].endswith("</svg>\n")
        assert "://" not in figure["svg"]
        assert not re.findall(r"url\((?!#)", figure["svg"])


def test_figures_of_one_page_do_not_share_numbered_ids(drawn: list[dict[str, str]]) -> None:
    assert not [name for figure in drawn for name in re.findall(r' id="([^"]*_\d+)"', figure["svg"])]


def test_text_and_axes_take_the_colour_of_the_page(drawn: list[dict[str, str]]) -> None:
    for figure in drawn:
        assert "currentColor" in figure["svg"]
        assert not re.findall(r"#0{6}|#010203", figure["svg"])


def test_a_figure_has_the_same_bytes_each_time(drawn: list[dict[str, str]]) -> None:
    again = figures.draw(TRAINING, SCORES, METRICS, PROGRESS)
    assert [figure for section in again.values() for figure in section] == drawn


def test_the_overview_is_a_file_of_its_own_on_white_that_is_always_the_same() -> None:
    text = figures.overview(SCORES, METRICS)
    assert text == figures.overview(SCORES, METRICS)
    assert "#ffffff" in text
    assert [title for title in figures.results(SCORES, METRICS) if title not in text] == []
    assert text.count('<g id="axes_') == 3
