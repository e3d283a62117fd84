"""Write ten test dialogues into miniature/README.md, with a reference and summaries before and after PPO.

Reads data/prepared/test.jsonl and data/summaries/{sft,ppo}.jsonl, which `make repro` makes.
"""

import argparse
import re
from pathlib import Path

from detox import parsing
from detox.corpus import dialogues
from detox.corpus.dialogues import Dialogue
from miniature.grammar import HERE

README, COUNT = HERE / "README.md", 10
TEST, SUMMARIES = Path("data/prepared/test.jsonl"), Path("data/summaries")
MARKED = re.compile(r"(?<=<!-- examples -->\n).*(?=<!-- /examples -->)", re.S)
EXAMPLE = """### {group}

{dialogue}

- reference: {reference}
- before: {sft}
- after: {ppo}

"""


def chosen(count: int) -> list[int]:
    """Which of `count` dialogues are shown: the first of each tenth part."""
    return [count * i // COUNT for i in range(COUNT)]


def example(shown: Dialogue, sft: str, ppo: str) -> str:
    """A dialogue, a line a turn, with its first reference and both summaries."""
    dialogue = "\n".join(f"> {line}  " for line in shown.text.splitlines())
    return EXAMPLE.format(group=shown.group, dialogue=dialogue, reference=shown.references[0], sft=sft, ppo=ppo)


def main() -> None:
    test = dialogues.load(TEST)
    sft, ppo = ([row["summary"] for row in parsing.read_jsonl(SUMMARIES / f"{name}.jsonl")] for name in ("sft", "ppo"))
    shown = "".join(example(test[i], sft[i], ppo[i]) for i in chosen(len(test)))
    written = MARKED.sub(lambda _: shown, README.read_text(encoding="utf-8"))
    README.write_text(written, encoding="utf-8")


if __name__ == "__main__":
    argparse.ArgumentParser("python -m miniature.examples", description=__doc__).parse_args()
    main()
