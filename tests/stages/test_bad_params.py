"""Every mistake in params.yaml is one line that names the file, the key and what to do."""

from importlib import import_module
from pathlib import Path

from bad_inputs import Case, Refused, each, text_of
from settings import COMPLETE

from stages import prepare

pytest_plugins = ["bad_inputs"]


@each("params")
def test_a_mistake_in_the_params_is_one_line(refused: Refused, case: Case) -> None:
    text = text_of(case)
    if "old" in case:
        assert COMPLETE.count(case["old"]) == 1
        text = COMPLETE.replace(case["old"], case["new"]).encode()
    Path("params.yaml").write_bytes(text)
    assert refused(import_module(f"stages.{case.get('stage', 'prepare')}")) == case["message"]


def test_a_folder_without_params_is_named(refused: Refused) -> None:
    message = "params.yaml cannot be read (No such file or directory): run this in the project's root folder"
    assert refused(prepare) == message
