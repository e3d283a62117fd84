"""Figures that fit into a page: what they say in words, and what their SVG may not hold."""

import re

import pandas as pd
import pytest

from detox.reporting import figures

TRAINING = pd.DataFrame({"step": [1, 2, 4], "reward": [0.25, 9.0, 1.75], "kl": [0.0, 9.0, 2.5]})
SCALED = pd.DataFrame({"scale": [0.0, 1.0, 1.25], "judge": [0.5, 0.1, 0.05], "rougeL": [0.7, 0.71, 0.6]})
PROGRESS = pd.DataFrame({"step": [0, 8], "reward": [0.5, 0.125], "judge": [0.25, 0.375]})
SCORES = [
    {"sft": {"judge": [0.5, 0.7]}, "ppo": {"judge": [0.0, 0.2]}},
    {"sft": {"judge": [0.4, 0.6]}, "ppo": {"judge": [0.4, 0.5]}},
    {"sft": {"judge": [0.1, 0.2]}, "ppo": {"judge": [0.9, 0.9]}},
]


@pytest.fixture(scope="module")
def drawn() -> list[dict[str, str]]:
    return [figure for section in figures.draw(TRAINING, SCORES, SCALED, PROGRESS).values() for figure in section]


def test_each_figure_says_in_words_what_it_shows(drawn: list[dict[str, str]]) -> None:
    assert [figure["alt"] for figure in drawn] == [
        # Means before: 0.6, 0.5, 0.15; after: 0.1, 0.45, 0.9.
        "Toxicity by the judge: 2 of 3 dialogues at 0.5 or more before PPO, 1 after.",
        "Toxicity by share of the way from before to after PPO: 0: 0.500 at ROUGE-L 0.700; 1: 0.100 at ROUGE-L 0.710; "
        "1.25: 0.050 at ROUGE-L 0.600.",
        "Mean reward: 0.25 at step 1, 1.75 at step 4.",
        "KL, nats a summary: 0 at step 1, 2.5 at step 4.",
        "Toxicity by reward and judge at PPO step 0: 0.500 and 0.250; 8: 0.125 and 0.375.",
    ]


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
    again = figures.draw(TRAINING, SCORES, SCALED, PROGRESS)
    assert [figure for section in again.values() for figure in section] == drawn
