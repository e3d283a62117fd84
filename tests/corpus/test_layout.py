"""Which tables are which part: by the names that people and the hub's data sets use, and by a README.md."""

from pathlib import Path

import pytest

from detox.corpus import layout
from detox.errors import InputError


def made(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def found(folder: Path, config: str | None = None) -> dict[str, list[str]]:
    found = layout.find(folder, config)
    return {part: found.names(paths) for part, paths in found.parts.items()}


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("train.csv", "train"),
        ("Train.JSONL", "train"),
        ("dialogsum.train.jsonl", "train"),
        ("val.json", "dev"),
        ("dev.tsv", "dev"),
        ("validation.parquet", "dev"),
        ("valid.jsonl.gz", "dev"),
        ("samsum-test.arrow", "test"),
        ("data/test-00000-of-00001.parquet", "test"),
        ("data/test-00000-of-00001-7ef3c1f0a1b2c3d4.parquet", "test"),
        ("plain_text/validation/0000.parquet", "dev"),
        ("train_small/part-0.csv", "train"),
        ("holdout.csv", None),
        ("latest.csv", None),
        ("retrained.csv", None),
        ("test_train.csv", None),
    ],
)
def test_the_part_is_a_word_of_the_files_name_or_of_its_folders(tmp_path: Path, name: str, part: str | None) -> None:
    made(tmp_path, name, "other/train/x.csv" if part is None else name)
    parts = found(tmp_path)
    assert parts == {part: [name]} if part else [name] not in parts.values()


def test_shards_come_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    names = [f"train_{number}.jsonl" for number in (10, 9, 1, 100)]
    assert found(made(tmp_path, *names)) == {"train": [f"train_{number}.jsonl" for number in (1, 9, 10, 100)]}


def test_what_no_part_has_is_named(tmp_path: Path) -> None:
    made(tmp_path, "train.csv", "test.csv", "holdout.csv", "notes.txt", "facts.jsonl", ".hidden/train.csv")
    tables = layout.find(tmp_path, None)
    assert tables.unused(["train", "test"]) == ["holdout.csv"]
    assert tables.unused(["train"]) == ["holdout.csv", "test.csv"]


def test_a_folder_in_which_no_name_tells_a_part_is_all_for_training(tmp_path: Path) -> None:
    """So save_to_disk writes a data set without splits."""
    made(tmp_path, "data-00001-of-00002.arrow", "data-00000-of-00002.arrow", "state.json", "dataset_info.json")
    assert found(tmp_path) == {"train": ["data-00000-of-00002.arrow", "data-00001-of-00002.arrow"]}


def test_a_file_is_all_for_training(tmp_path: Path) -> None:
    assert layout.find(made(tmp_path, "test.csv") / "test.csv", None).files("train") == [tmp_path / "test.csv"]


def test_a_folder_is_chosen_where_there_are_several(tmp_path: Path) -> None:
    made(tmp_path, "en/train.csv", "en/test.csv", "de/train.csv", "de/test.csv")
    assert found(tmp_path, "de") == {"train": ["de/train.csv"], "test": ["de/test.csv"]}
    every = layout.find(made(tmp_path, "dev.csv"), None)
    assert every.files("dev") == [tmp_path / "dev.csv"]
    with pytest.raises(InputError, match=r"de/train.csv and en/train.csv for train: keep one of them, or name"):
        every.files("train")


CARD = """---
license: cc-by-4.0
dataset_info:
- config_name: de
  features:
  - name: dialogue
    dtype: string
configs:
- config_name: de
  data_files:
  - split: train
    path: de/train-*
  - split: validation
    path: de/validation-*
- config_name: en
  default: true
  data_files:
  - split: train_sft
    path: "en/**/a-*.parquet"
  - split: test
    path:
    - en/late/t-[0-9].parquet
    - en/early/t-?.parquet
- config_name: all
  data_dir: de
- config_name: one
  data_files: en/x/a-1.parquet
---
# Talk
"""


def test_a_readme_decides_as_the_hub_reads_it(tmp_path: Path) -> None:
    german = [
        "de/train-00000-of-00002.parquet",
        "de/train-00001-of-00002.parquet",
        "de/validation-00000-of-00001.parquet",
    ]
    english = ["en/early/t-1.parquet", "en/late/t-2.parquet", "en/late/t-x.parquet", "en/x/a-1.parquet"]
    made(tmp_path, *german, *english, "en/x/deep/train.parquet")
    (tmp_path / "README.md").write_text(CARD)
    assert found(tmp_path) == {"train": ["en/x/a-1.parquet"], "test": ["en/late/t-2.parquet", "en/early/t-1.parquet"]}
    assert found(tmp_path, "de") == {"train": german[:2], "dev": german[2:]}
    assert found(tmp_path, "all") == found(tmp_path, "de")
    assert found(tmp_path, "one") == {"train": ["en/x/a-1.parquet"]}


def test_a_readme_without_configurations_leaves_it_to_the_names(tmp_path: Path) -> None:
    made(tmp_path, "train.csv")
    (tmp_path / "README.md").write_text("# Talk\n\n---\nconfigs: none\n---\n")
    assert found(tmp_path) == {"train": ["train.csv"]}
