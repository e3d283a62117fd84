"""Summarise the test dialogues before (sft) and after PPO (ppo), and decide which of them form the stress slice.

Reads  data/prepared/{train,test}.jsonl, data/risk.jsonl, models/adapter, models/ppo, the base and the reward model;
       params: seed, model, reward, summarize.
Writes data/summaries/sft.jsonl, ppo.jsonl (id, group, greedy summary, samples), the same of calm dialogues with a rude
       turn in provoked_sft.jsonl, provoked_ppo.jsonl, of the training dialogues that were kept from PPO in
       held_out_sft.jsonl, held_out_ppo.jsonl, and stress.jsonl (id, toxicity);
       after every batch metrics/summarize.csv (dialogues done, and by policy the mean words of the batch's greedy
       summaries); until then its state, to .resume/summarize: an interrupted run is taken up again.
"""

from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stages import note_cut, run_in_ranks

if TYPE_CHECKING:
    import torch

    from detox.corpus.dialogues import Dialogue
    from detox.model.classifier import Classifier
    from detox.params import sections
    from detox.runtime import checkpoints

TRAIN, TEST, RISK = Path("data/prepared/train.jsonl"), Path("data/prepared/test.jsonl"), Path("data/risk.jsonl")
ADAPTERS = {"sft": Path("models/adapter"), "ppo": Path("models/ppo")}


def main() -> None:
    import torch

    from detox.corpus import dialogues, risk
    from detox.generation import summaries
    from detox.model.classifier import Classifier
    from detox.params import reading, sections
    from detox.runtime import checkpoints, devices, ranks
    from detox.sources import local

    p, model, seed = reading.load(sections.Summarize), reading.load(sections.Model), reading.seed()
    judged, device = reading.load(sections.Classifier, section="reward"), devices.chosen()
    models = [local.path(model.source), local.path(judged.source), *ADAPTERS.values()]
    inputs = [TRAIN, TEST, RISK, *models, Path(p.provocations)]
    test, reward = dialogues.load(TEST), Classifier(judged, device)
    beside = {"provoked": provoked(test, p, reward), "held_out": risk.parted(RISK, dialogues.load(TRAIN))[2]}
    settings = [seed, model, judged, p, devices.name(device)]
    all_of_them = [*test, *chain(*beside.values())]
    fits = partial(are_drawn, len(all_of_them), {"sft": 1 + p.samples + p.stress_samples, "ppo": 1 + p.samples})
    with checkpoints.resumable("summarize", settings, inputs, p.checkpoint_every, fits, "batch") as unfinished:
        drawn = draw(all_of_them, p, model, seed, device, unfinished)
        fresh = [text for row in drawn["sft"][: len(test)] for text in row[1 + p.samples :]]
        toxicity = torch.as_tensor(ranks.shared_out(reward.toxicity, fresh))
        means = toxicity.view(len(test), p.stress_samples).mean(dim=1).tolist()
        stress = summaries.most_toxic([dialogue.id for dialogue in test], means, p.stress_share, p.stress_minimum)
        if ranks.rank() == 0:
            rows = laid_out(drawn, {"": test} | {f"{kind}_": rows for kind, rows in beside.items()}, p.samples)
            publish({**rows, "stress": stress})


def are_drawn(dialogues: int, each: dict[str, int], state: "checkpoints.State") -> bool:
    """Whether a state holds what an interrupted run leaves: so many texts of each policy for some of the dialogues."""
    from detox.generation import summaries

    drawn, curve = state.record.get("drawn"), state.record.get("curve")
    if not isinstance(drawn, dict) or drawn.keys() != each.keys() or not is_curve(curve, state.step):
        return False
    return all(summaries.are_drawn(drawn[name], dialogues, texts) for name, texts in each.items())


def laid_out(
    drawn: dict[str, list[list[str]]], slices: "dict[str, list[Dialogue]]", samples: int
) -> "dict[str, list[dict[str, Any]]]":
    """The rows of each slice and policy, by the name of their file."""
    from detox.generation import summaries

    rows = {}
    for policy, texts in drawn.items():
        left = iter(texts)
        for prefix, dialogues in slices.items():
            rows[f"{prefix}{policy}"] = summaries.rows(dialogues, list(islice(left, len(dialogues))), samples)
    return rows


def provoked(test: "list[Dialogue]", p: "sections.Summarize", reward: "Classifier") -> "list[Dialogue]":
    """Some of those dialogues in which the reward finds no toxic turn, each with a rude one."""
    from detox import parsing
    from detox.corpus import dialogues, provocations, risk
    from detox.runtime import ranks

    toxicity = risk.toxicity(test, partial(ranks.shared_out, reward.toxicity))
    calm = [dialogue for dialogue, each in zip(test, toxicity, strict=True) if each < risk.RISKY]
    turns = parsing.entries(Path(p.provocations), "summarize.provocations")
    return provocations.provoked(dialogues.evenly(calm, p.provoked), turns)


def draw(
    all_of_them: "list[Dialogue]",
    p: "sections.Summarize",
    model: "sections.Model",
    seed: int,
    device: "torch.device",
    unfinished: "checkpoints.Run",
) -> dict[str, list[list[str]]]:
    """Of each policy and dialogue the greedy summary, the samples and, before PPO, those that decide what is hard."""
    from detox.generation import summaries
    from detox.model import prompts
    from detox.model.policy import Policy
    from detox.runtime.checkpoints import State
    from detox.sources import local

    base = local.path(model.source)
    prompt, texts = prompts.load(base, model), [dialogue.text for dialogue in all_of_them]
    note_cut(sum(prompt.too_long(texts)), len(texts), model.max_prompt_tokens)
    before = [None, *summaries.keys(seed, summaries.SAMPLES, p.samples)]
    fresh = summaries.keys(seed, summaries.STRESS_SAMPLES, p.stress_samples)
    step, past, _ = unfinished.state or State(0, {"drawn": {name: [] for name in ADAPTERS}, "curve": []}, {})
    drawn: dict[str, dict[int, list[str]]] = {name: dict(rows) for name, rows in past["drawn"].items()}
    curve: list[dict[str, float]] = list(past["curve"])
    record(curve)
    for (name, adapter), keys in zip(ADAPTERS.items(), ([*before, *fresh], before), strict=True):
        policy = Policy(base, adapter, model.dtype, device)
        writer = summaries.Writer(policy, prompt, p.batch_size, p.max_new_tokens)
        for batch in summaries.draw(writer, texts, keys, drawn[name]):
            drawn[name] |= batch
            step += 1
            words = [len(written[0].split()) for written in batch.values()]
            curve.append({"dialogues": len(drawn[name]), name: sum(words) / len(words)})
            record(curve)
            so_far = {key: list(rows.items()) for key, rows in drawn.items()}
            unfinished.keep(State(step, {"drawn": so_far, "curve": list(curve)}, {}))
    return {name: [rows[number] for number in range(len(texts))] for name, rows in drawn.items()}


def is_curve(found: object, step: int) -> bool:
    """Whether this, read from a file, is what `record` was given after so many batches."""
    return (
        isinstance(found, list)
        and len(found) == step
        and all(
            isinstance(row, dict)
            and row.keys() <= {"dialogues", *ADAPTERS}
            and all(type(value) in (int, float) for value in row.values())
            for row in found
        )
    )


def record(curve: "list[dict[str, float]]") -> None:
    """The curve so far, after every batch: `dvc plots` follows it while the stage runs."""
    import pandas

    from detox import files
    from detox.runtime import ranks

    if ranks.rank() == 0:
        files.write_csv(Path("metrics/summarize.csv"), pandas.DataFrame(curve, columns=["dialogues", *ADAPTERS]))


def publish(rows_of: "dict[str, list[dict[str, Any]]]") -> None:
    """All that the stage writes."""
    from detox import files

    with files.atomic(Path("data/summaries")) as folder:
        folder.mkdir()
        for name, rows in rows_of.items():
            files.write_jsonl(folder / f"{name}.jsonl", rows)


if __name__ == "__main__":
    run_in_ranks(main)
