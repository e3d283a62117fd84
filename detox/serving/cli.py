"""The console command `detox`: summarise dialogues, score texts, compare two revisions, merge the adapter.

A command imports what it needs when it runs, so that help and completion answer at once.
"""

import os
import signal
import sys
import warnings
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer

from detox.errors import InputError, complaint
from detox.runtime import processes
from detox.serving import printing
from detox.serving.printing import Format, Row

app = typer.Typer(
    help="Dialogue summaries, less toxic: use what the pipeline in this folder has trained.",
    epilog="Run it in the project's root, after `make repro` or `make pull`. Exit codes: 0 done, 1 bad input, which one"
    " line on stderr explains, 2 wrong usage, 130 Ctrl-C.",
    context_settings={"help_option_names": ["-h", "--help"]},
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


Source = Annotated[
    str, typer.Argument(metavar="FILE", help="Text, or a table (JSONL, CSV, Parquet, …); - is standard input.")
]
Output = Annotated[
    Format,
    typer.Option("--format", "-f", help="text and jsonl come line by line, json is one array."),
]


def _version(wanted: bool) -> None:
    if wanted:
        print(f"detox {version('dialogue-detox')}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Options before the command."""


@app.command()
def summarize(
    file: Source,
    output: Output = Format.text,
    after_only: Annotated[
        bool, typer.Option("--after-only", help="Only the summary after PPO, without scores: in text a line each.")
    ] = False,
) -> None:
    """Summarise dialogues before and after PPO.

    Each summary comes with its toxicity, P(toxic), by judge and reward. In plain text a blank line ends a dialogue.
    A table has it in the column dialogue (or text), and perhaps an id; what is not named as one (.jsonl, .csv, …) shows
    in its first line whether it is JSONL or CSV. Answers come in order, as input comes.

    \b
    Examples:
      detox summarize chat.txt
      detox summarize data/prepared/test.jsonl --format jsonl | head -3
      cat chats.csv | detox summarize - --after-only
    """
    from detox.serving import inputs, notices

    def load() -> Callable[[list[str]], list[Row]]:
        from detox.serving.api import Summarizer

        summarizer = Summarizer(after_only)
        notices.toy("model")
        return summarizer

    answers = inputs.answered(inputs.read(file, "dialogue", inputs.paragraphs), load)
    rows = ({"id": text.id, **answer} for text, answer in notices.beside(answers))
    printing.printed(rows, output, printing.after if after_only else printing.both)


@app.command()
def score(file: Source, output: Output = Format.text) -> None:
    """Score the toxicity of texts by judge and reward.

    Both are P(toxic). In plain text a line is a text. A table has it in the column summary (or text), and perhaps an
    id.

    \b
    Examples:
      detox score summaries.txt
      detox summarize chats.csv --after-only | detox score -
      detox score data/summaries/sft.jsonl --format jsonl
    """
    from detox.serving import inputs, notices

    def load() -> Callable[[list[str]], list[Row]]:
        from detox.serving.api import Scorer

        scorer = Scorer()
        notices.toy("judge", "reward")
        return scorer

    answers = inputs.answered(inputs.read(file, "summary", inputs.single), load)
    rows = ({"id": text.id, "text": text.text, **answer} for text, answer in answers)
    printing.printed(rows, output, lambda row: f"{printing.toxicity(row)}  {printing.line(row['text'])}")


@app.command()
def compare(
    first: Annotated[str, typer.Argument(metavar="REVISION", help="A branch, tag, commit or experiment.")],
    second: Annotated[str, typer.Argument(metavar="REVISION", help="Another one; the workspace if left out.")] = (
        "workspace"
    ),
) -> None:
    """Compare the headline of two revisions.

    Of each it shows what is measured after PPO, and the change by PPO with its 95 % interval; then how much the second
    is above the first after PPO. Nothing is checked out.

    \b
    Examples:
      detox compare main
      detox compare main strict
      detox compare HEAD~1 HEAD
    """
    from detox.reporting import revisions

    print(printing.table(revisions.compare(first, second)))


@app.command()
def env() -> None:
    """Show versions, device, threads, and what git and DVC say: what a bug report needs.

    It shows no secret and no path of your folders: of the environment only which variables are set.
    """
    from detox.serving import environment

    for label, text in environment.report():
        print(f"{label:13} {printing.line(text)}")


@app.command()
def merge(
    folder: Annotated[Path, typer.Argument(help="A new folder.")],
    scale: Annotated[float, typer.Option(min=0.0, help="Share of the way that PPO led: 0 before, 1 after.")] = 1.0,
) -> None:
    """Merge the adapter into the base, for serving.

    The folder gets a plain transformers model, its tokenizer and a note with the prompt, but only if the model as it
    was saved gives the adapter's own summaries of some test dialogues. What a scale does is in metrics/tradeoff.csv.

    \b
    Examples:
      detox merge merged
      detox merge gentler --scale 0.5
    """
    from detox.serving import merging

    count = merging.merge(folder, scale)
    where = printing.line(str(folder))
    print(f"{where}: a plain transformers model; its summaries of {count} test dialogues are the adapter's own")


def run() -> None:
    """The command line; bad input is one line on stderr and exit code 1, as in a stage."""
    try:
        with processes.stoppable():
            app(prog_name="detox")
    except (InputError, OSError) as error:
        sys.exit(complaint(error))


def main() -> None:
    """The entry point: a process of its own, which ends as others do when nobody reads on (`| head`)."""
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    warnings.simplefilter("ignore")  # libraries' advice to programmers
    os.environ.setdefault("HF_HUB_OFFLINE", "1")  # all models are here
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    run()


if __name__ == "__main__":
    main()
