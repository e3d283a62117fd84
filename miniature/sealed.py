"""Measure five seeds on test dialogues that nobody has seen, and count the look: `python -m miniature.sealed SEED`.

The committed test part has decided things. This one is rendered anew, with a seed that stands nowhere else; training
stays what it is, to the byte. It is to be opened once, when all has been chosen.

Reads  data/miniature; writes data/sealed, which git does not keep, metrics/sealed.{csv,json,svg}, as `make seeds` does,
       and before it looks a line in miniature/looks.csv: the seed, and the commit that was measured.
"""

import argparse
import shutil
from pathlib import Path
from random import Random

from detox import files, git
from miniature import build, corpus
from miniature.grammar import HERE
from stages import said_in_lines, seeds

SEALED, LOOKS = Path("data/sealed"), HERE / "looks.csv"
SEEDS = [1, 2, 3, 4, 5]


def write(seed: int) -> None:
    """The corpus with another test part, and the facts of that."""
    with files.atomic(SEALED) as folder:
        shutil.copytree(build.DATA, folder)
        files.write_jsonl(folder / "test.jsonl", corpus.test_rows(Random(seed)))
        files.write_jsonl(folder / "facts.jsonl", corpus.fact_rows(Random(seed)))


def count(seed: int) -> None:
    """Adds the look."""
    commit = git.said(Path(), "rev-parse", "HEAD").strip()
    with LOOKS.open("a", encoding="utf-8") as file:
        file.write(f"{seed},{commit}\n")


def main(seed: int) -> None:
    write(seed)
    count(seed)
    seeds.main(SEEDS, "sealed", seeds.on(SEALED))


if __name__ == "__main__":
    parser = argparse.ArgumentParser("python -m miniature.sealed", description=__doc__)
    parser.add_argument("seed", type=int, help="of the rendering: one that is not in miniature/looks.csv")
    with said_in_lines():
        main(parser.parse_args().seed)
