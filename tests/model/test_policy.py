"""T5 with a policy and a reference adapter: what is sampled, what is trained, what never moves."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file
from scipy import stats
from tiny import HIDDEN, RANK, VOCABULARY, Prompts
from torch import Tensor, nn
from transformers import T5ForConditionalGeneration

from detox.errors import InputError
from detox.model import adapters, distributions
from detox.model.policy import POLICY, Policy
from detox.model.sampling import Sample
from detox.ppo import losses

pytest_plugins = ["models"]

EOS, PAD = 1, 0
TOKENS = 10  # at most in a response


@pytest.fixture
def sample(policy: Policy, encoded: Prompts) -> Sample:
    """Eight responses to each prompt; some end, some are cut."""
    return policy.sample(*eight(encoded), range(48), TOKENS)


def eight(encoded: Prompts) -> Prompts:
    return Prompts(encoded.ids.repeat(8, 1), encoded.mask.repeat(8, 1))


def many(encoded: Prompts, count: int) -> Prompts:
    """One prompt, many times."""
    return Prompts(encoded.ids[:1].expand(count, -1), encoded.mask[:1].expand(count, -1))


def hugging_face_model(base: Path, adapter: Path) -> nn.Module:
    """The same weights loaded the ordinary way."""
    return PeftModel.from_pretrained(T5ForConditionalGeneration.from_pretrained(base), adapter).eval()


def logits_of(model: nn.Module, encoded: Prompts, decoder_ids: Tensor) -> Tensor:
    """In float64, where the order of sums and the library that takes them make no difference."""
    with torch.no_grad():
        return model.double()(
            input_ids=encoded.ids, attention_mask=encoded.mask.long(), decoder_input_ids=decoder_ids
        ).logits.detach()


def trainable(policy: Policy) -> set[str]:
    return {name for name, weight in policy.named_parameters() if weight.requires_grad}


def of_policy_and_value_head(policy: Policy) -> set[str]:
    return {name for name, _ in policy.named_parameters() if ".policy." in name or ".v_head." in name}


def assert_close(actual: Tensor, expected: Tensor, atol: float = 1e-6) -> None:
    torch.testing.assert_close(actual, expected, rtol=0, atol=atol)


# The reference


def test_before_any_update_the_kl_is_0_and_every_ratio_is_1(policy: Policy, encoded: Prompts, sample: Sample) -> None:
    prompts = eight(encoded)
    with torch.no_grad():
        now = policy.evaluate(*prompts, sample.ids, sample.mask).logprobs
    with policy.reference():
        reference = policy.evaluate(*prompts, sample.ids, sample.mask).logprobs
    assert losses.kl_k1(sample.logprobs, reference, sample.mask).mean().abs() < 1e-5
    assert now.equal(reference)
    assert (now - sample.logprobs)[sample.mask].expm1().abs().max() < 1e-4


def test_with_the_adapter_off_as_reference_the_first_kl_is_far_from_0(
    policy: Policy, encoded: Prompts, sample: Sample
) -> None:
    """The classic mistake: it compares with a model that cannot summarise."""
    with torch.no_grad(), policy.language_model.disable_adapter():
        bare = policy.evaluate(*eight(encoded), sample.ids, sample.mask).logprobs
    assert losses.kl_k1(sample.logprobs, bare, sample.mask).mean() > 2


def test_policy_and_reference_start_as_the_adapter_that_was_given(
    policy: Policy, base: Path, adapter: Path, encoded: Prompts
) -> None:
    start = torch.full((len(encoded.ids), 1), PAD)
    expected = logits_of(hugging_face_model(base, adapter), encoded, start)
    assert_close(logits_of(policy.language_model, encoded, start), expected)
    with policy.reference():
        assert_close(logits_of(policy.language_model, encoded, start), expected)


def test_the_policy_moves_and_the_reference_stays(policy: Policy, encoded: Prompts, sample: Sample) -> None:
    prompts = eight(encoded)
    with policy.reference():
        before = policy.evaluate(*prompts, sample.ids, sample.mask).logprobs
    with torch.no_grad():
        for weight in policy.adapter_parameters():
            weight.mul_(2)
        moved = policy.evaluate(*prompts, sample.ids, sample.mask).logprobs
    with policy.reference():
        after = policy.evaluate(*prompts, sample.ids, sample.mask).logprobs
    assert after.equal(before)
    assert (moved - before)[sample.mask].abs().mean() > 0.1


def test_exactly_the_policys_adapter_and_the_value_head_are_trainable_before_and_after_the_reference_was_on(
    policy: Policy,
) -> None:
    expected = of_policy_and_value_head(policy)
    assert len(expected) == 2 * 12 + 2
    assert trainable(policy) == expected
    with policy.reference():
        assert not {name for name in trainable(policy) if "v_head" not in name}
    assert trainable(policy) == expected


def test_an_error_within_the_reference_switches_back_too(policy: Policy, encoded: Prompts) -> None:
    with pytest.raises(InputError), policy.reference():
        raise InputError
    assert trainable(policy) == of_policy_and_value_head(policy)
    assert policy.language_model.active_adapter == "policy"
    assert policy.evaluate(*encoded, *encoded).logprobs.requires_grad


def test_gradients_reach_every_weight_of_the_policys_adapter_and_the_value_head_and_no_other(
    policy: Policy, encoded: Prompts
) -> None:
    with policy.reference():
        assert not any(tensor.requires_grad for tensor in policy.evaluate(*encoded, *encoded))
    now = policy.evaluate(*encoded, *encoded)
    (now.logprobs.sum() + now.values.sum()).backward()
    moved = {name for name, weight in policy.named_parameters() if weight.grad is not None and weight.grad.any()}
    assert moved == of_policy_and_value_head(policy)
    assert {id(weight) for weight in policy.adapter_parameters() + policy.value_head_parameters()} == {
        id(weight) for name, weight in policy.named_parameters() if name in moved
    }


def test_what_the_value_head_gets_wrong_moves_the_head_alone(policy: Policy, encoded: Prompts, sample: Sample) -> None:
    (policy.evaluate(*eight(encoded), sample.ids, sample.mask).values - 3).square().sum().backward()
    assert {name for name, w in policy.named_parameters() if w.grad is not None and w.grad.any()} == {
        name for name, _ in policy.named_parameters() if ".v_head." in name
    }


def test_both_adapters_share_one_base(policy: Policy, base: Path) -> None:
    """Two adapters of 12 modules with r·(32 + 32) weights each, and a value head of 32 + 1."""
    alone = T5ForConditionalGeneration.from_pretrained(base).num_parameters()
    lora = 12 * RANK * (HIDDEN + HIDDEN)
    assert sum(weight.numel() for weight in policy.parameters()) == alone + 2 * lora + HIDDEN + 1
    assert policy.sizes() == {
        "trainable_parameters": lora,
        "trainable_percent": pytest.approx(100 * lora / (alone + lora)),
        "value_head_parameters": HIDDEN + 1,
    }


def test_all_weights_are_float32_whatever_the_checkpoint_holds(base: Path, adapter: Path, tmp_path: Path) -> None:
    shutil.copytree(base, tmp_path / "base")
    T5ForConditionalGeneration.from_pretrained(base, dtype=torch.bfloat16).save_pretrained(tmp_path / "base")
    policy = Policy(tmp_path / "base", adapter)
    assert {weight.dtype for weight in policy.parameters()} == {torch.float32}


def test_an_adapter_that_does_not_fit_the_base_is_bad_input(base: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        Policy(base, tmp_path)


# Values


def test_the_value_head_starts_at_zero(base: Path, adapter: Path, encoded: Prompts) -> None:
    policy = Policy(base, adapter)
    assert not policy.sample(*encoded, range(6), TOKENS).values.any()
    assert not policy.evaluate(*encoded, *encoded).values.any()


@pytest.mark.parametrize("t", [0, 1, 4])
def test_the_value_at_t_depends_on_no_token_from_t_on(policy: Policy, encoded: Prompts, sample: Sample, t: int) -> None:
    changed = sample.ids.clone()
    changed[:, t:] = (changed[:, t:] + 1) % len(VOCABULARY)
    with torch.no_grad():
        values, others = (policy.evaluate(*eight(encoded), ids, sample.mask).values for ids in (sample.ids, changed))
    assert_close(others[:, : t + 1], values[:, : t + 1])
    assert (others[:, t + 1] - values[:, t + 1]).abs().min() > 1e-4


# Masks and padding


def test_the_mask_is_true_through_the_first_end_of_sequence_token_and_false_behind_it(sample: Sample) -> None:
    ended = 0
    for ids, mask in zip(sample.ids.tolist(), sample.mask.tolist(), strict=True):
        length = ids.index(EOS) + 1 if EOS in ids else len(ids)
        assert mask == [True] * length + [False] * (len(ids) - length)
        assert set(ids[length:]) <= {PAD}
        ended += EOS in ids
    assert 0 < ended < len(sample.ids)


def test_a_response_that_is_cut_is_given_no_end_that_it_never_said(sample: Sample) -> None:
    cut = ~(sample.ids == EOS).any(dim=1)
    assert cut.any()
    assert sample.mask[cut].all()
    assert sample.ids.shape[1] == TOKENS


def test_the_end_of_sequence_alone_is_a_response_of_one_valid_token(policy: Policy, encoded: Prompts) -> None:
    sample = policy.sample(*many(encoded, 200), range(200), TOKENS)
    empty = sample.ids[:, 0] == EOS
    assert empty.any()
    assert (sample.mask[empty].sum(dim=1) == 1).all()
    assert (sample.logprobs[empty][:, 0] < 0).all()


def test_logprobs_and_values_are_0_behind_the_end(sample: Sample) -> None:
    assert not sample.logprobs[~sample.mask].any()
    assert not sample.values[~sample.mask].any()


def test_the_logprob_of_the_first_token_has_a_gradient(policy: Policy, encoded: Prompts, sample: Sample) -> None:
    """TRL 0.11 left the first token of an encoder-decoder out of its loss."""
    first = sample.mask & (torch.arange(TOKENS) == 0)
    now = policy.evaluate(*eight(encoded), sample.ids, sample.mask).logprobs
    losses.policy_loss(now, now.detach(), torch.ones_like(now), first, clip_range=0.2).backward()
    assert all(weight.grad is not None and weight.grad.any() for weight in policy.adapter_parameters()[-2:])


def test_more_padding_of_prompts_and_responses_changes_no_valid_number(
    policy: Policy, encoded: Prompts, sample: Sample
) -> None:
    prompts, (count, width) = eight(encoded), sample.ids.shape
    padding = torch.zeros(count, 7, dtype=torch.long)
    wide = Prompts(torch.cat([prompts.ids, padding], dim=1), torch.cat([prompts.mask, padding.bool()], dim=1))
    with torch.no_grad():
        narrow = policy.evaluate(*prompts, sample.ids, sample.mask)
        wide_ids, wide_mask = torch.cat([sample.ids, padding], dim=1), torch.cat([sample.mask, padding.bool()], dim=1)
        padded = policy.evaluate(*wide, wide_ids, wide_mask)
    for name in ("logprobs", "values", "states"):
        assert_close(getattr(padded, name)[:, :width], getattr(narrow, name), atol=5e-6)
    assert_close(padded.logits, narrow.logits, atol=1e-5)
    again = policy.sample(*wide, range(48), TOKENS)
    assert again.ids.equal(sample.ids)
    assert_close(again.logprobs, sample.logprobs, atol=5e-6)
    assert_close(again.values, sample.values, atol=5e-6)


# Sampling


def first_token_counts(sample: Sample) -> Tensor:
    return sample.ids[:, 0].bincount(minlength=len(VOCABULARY))


def chi_square_p(counts: Tensor, probabilities: Tensor) -> float:
    """Of the hypothesis that the counts were drawn from the probabilities; tokens expected below 5 times are pooled."""
    expected = probabilities.double() * counts.sum()
    rare = expected < 5
    observed = torch.cat([counts[~rare], counts[rare].sum().reshape(1)])
    pooled = torch.cat([expected[~rare], expected[rare].sum().reshape(1)])
    return float(stats.chisquare(observed.numpy(), (pooled * observed.sum() / pooled.sum()).numpy()).pvalue)


def test_first_tokens_are_drawn_from_the_distribution_that_scores_them(
    policy: Policy, base: Path, adapter: Path, encoded: Prompts
) -> None:
    """And the test is sharp enough to notice a temperature of 0.8, or a top-k that keeps all but a tenth."""
    counts = first_token_counts(policy.sample(*many(encoded, 2000), range(2000), 1))
    logits = logits_of(hugging_face_model(base, adapter), many(encoded, 1), torch.tensor([[PAD]]))[0, 0]
    assert chi_square_p(counts, logits.softmax(-1)) > 0.01
    assert chi_square_p(counts, (logits / 0.8).softmax(-1)) < 1e-6
    likely = logits.sort(descending=True)
    dropped = likely.indices[likely.values.softmax(-1).cumsum(-1) > 0.9]
    assert chi_square_p(counts, logits.index_fill(0, dropped, -20.0).softmax(-1)) < 1e-6


def test_second_tokens_are_drawn_anew_from_their_own_distribution(
    policy: Policy, base: Path, adapter: Path, encoded: Prompts
) -> None:
    """Noise that were used twice would favour the first token again."""
    sample = policy.sample(*many(encoded, 4000), range(4000), 2)
    first = int(first_token_counts(sample).index_fill(0, torch.tensor([EOS]), 0).argmax())
    counts = sample.ids[sample.ids[:, 0] == first, 1].bincount(minlength=len(VOCABULARY))
    logits = logits_of(hugging_face_model(base, adapter), many(encoded, 1), torch.tensor([[PAD, first]]))[0, 1]
    assert counts.sum() > 300
    assert chi_square_p(counts, logits.softmax(-1)) > 0.01


def test_logprobs_and_values_of_sampling_equal_those_of_a_fresh_forward_pass(
    policy: Policy, encoded: Prompts, sample: Sample
) -> None:
    prompts = eight(encoded)
    with torch.no_grad():
        fresh = policy.evaluate(*prompts, sample.ids, sample.mask)
    assert_close(sample.logprobs[sample.mask], fresh.logprobs[sample.mask], atol=1e-4)
    assert_close(sample.values[sample.mask], fresh.values[sample.mask], atol=1e-4)
    assert fresh.values[sample.mask].std() > 0.1


def test_a_logprob_is_the_log_softmax_of_the_models_logits_at_its_token(
    policy: Policy, base: Path, adapter: Path, encoded: Prompts, sample: Sample
) -> None:
    decoder_ids = torch.cat([torch.full((len(sample.ids), 1), PAD), sample.ids[:, :-1]], dim=1)
    logits = logits_of(hugging_face_model(base, adapter), eight(encoded), decoder_ids)
    expected = logits.log_softmax(-1).gather(2, sample.ids.unsqueeze(2)).squeeze(2)
    now = policy.evaluate(*eight(encoded), sample.ids, sample.mask)
    expected = expected.float()
    assert_close(now.logprobs.detach(), expected * sample.mask, atol=1e-5)
    assert_close(sample.logprobs, expected * sample.mask, atol=1e-4)


def test_logits_are_those_of_the_valid_tokens_row_by_row_and_the_head_makes_them_of_the_states(
    policy: Policy, base: Path, adapter: Path, encoded: Prompts, sample: Sample
) -> None:
    decoder_ids = torch.cat([torch.full((len(sample.ids), 1), PAD), sample.ids[:, :-1]], dim=1)
    expected = logits_of(hugging_face_model(base, adapter), eight(encoded), decoder_ids)[sample.mask].float()
    now = policy.evaluate(*eight(encoded), sample.ids, sample.mask)
    assert_close(now.logits.detach(), expected, atol=2e-5)  # float32 against float64
    assert_close(
        distributions.entropy(now.logits.detach()),
        torch.distributions.Categorical(logits=expected).entropy(),
        atol=1e-5,
    )
    assert policy.logits(now.states[sample.mask]).equal(now.logits)
    assert_close(policy.logits(sample.states[sample.mask]).detach(), expected, atol=1e-4)


def test_a_sample_depends_on_its_prompt_and_its_seed_and_not_on_its_batch(
    policy: Policy, encoded: Prompts, sample: Sample
) -> None:
    prompts, seeds = eight(encoded), torch.arange(48)
    for rows in (torch.tensor([17]), torch.tensor([5, 40]), torch.arange(47, -1, -1)):
        other = policy.sample(prompts.ids[rows], prompts.mask[rows], seeds[rows].tolist(), TOKENS)
        width = other.ids.shape[1]
        assert other.ids.equal(sample.ids[rows, :width])
        assert other.mask.equal(sample.mask[rows, :width])
        assert not sample.mask[rows, width:].any()
        assert_close(other.logprobs, sample.logprobs[rows, :width], atol=5e-6)


def test_prompts_that_are_encoded_once_for_all_their_seeds_get_the_samples_of_prompts_that_are_repeated(
    policy: Policy, encoded: Prompts
) -> None:
    each = Prompts(encoded.ids.repeat_interleave(8, dim=0), encoded.mask.repeat_interleave(8, dim=0))
    shared, separate = policy.sample(*encoded, range(48), TOKENS), policy.sample(*each, range(48), TOKENS)
    assert shared.ids.equal(separate.ids)
    assert shared.mask.equal(separate.mask)
    assert_close(shared.logprobs, separate.logprobs, atol=1e-5)
    assert_close(shared.values, separate.values, atol=1e-5)


@pytest.mark.parametrize("k", [2, 8])
def test_responses_that_share_an_encoding_have_the_logprobs_and_gradients_of_separate_passes(
    policy: Policy, encoded: Prompts, k: int
) -> None:
    responses = policy.sample(*encoded, range(6 * k), TOKENS).ids
    weights = torch.randn(responses.shape, generator=torch.Generator().manual_seed(0))
    parameters = policy.adapter_parameters() + policy.value_head_parameters()

    def passed(prompts: Prompts, ids: Tensor, part: Tensor) -> tuple[Tensor, Tensor, list[Tensor]]:
        now = policy.evaluate(*prompts, ids, torch.ones_like(ids, dtype=torch.bool))
        loss = ((now.logprobs + now.values) * part).sum() / weights.numel()
        return now.logprobs.detach(), now.values.detach(), list(torch.autograd.grad(loss, parameters))

    logprobs, values, gradients = passed(encoded, responses, weights)
    one_by_one = [
        passed(Prompts(encoded.ids[[i // k]], encoded.mask[[i // k]]), responses[[i]], weights[[i]])
        for i in range(6 * k)
    ]
    assert_close(logprobs, torch.cat([row[0] for row in one_by_one]), atol=1e-5)
    assert_close(values, torch.cat([row[1] for row in one_by_one]), atol=1e-5)
    for place, gradient in enumerate(gradients):
        assert_close(gradient, torch.stack([row[2][place] for row in one_by_one]).sum(dim=0), atol=1e-5)


def test_merging_and_unmerging_leaves_every_weight_bit_for_bit_and_the_adapter_at_work(
    policy: Policy, encoded: Prompts, sample: Sample
) -> None:
    before = {name: weight.clone() for name, weight in policy.named_parameters()}
    episodes = *eight(encoded), sample.ids, sample.mask
    unmerged = policy.evaluate(*episodes).logprobs.detach()
    for _ in range(3):
        with adapters.merged(policy.language_model):
            inside = {name: weight.clone() for name, weight in policy.named_parameters()}
            assert_close(policy.evaluate(*episodes).logprobs.detach(), unmerged, atol=1e-4)
    assert any(not inside[name].equal(weight) for name, weight in before.items())
    assert all(weight.equal(before[name]) for name, weight in policy.named_parameters())
    assert policy.evaluate(*episodes).logprobs.detach().equal(unmerged)


@pytest.mark.slow
def test_a_thousand_rollouts_leave_the_base_bit_for_bit_while_the_adapter_moves(
    policy: Policy, encoded: Prompts
) -> None:
    base = {name: weight.clone() for name, weight in policy.named_parameters() if ".policy." not in name}
    noise = torch.Generator().manual_seed(0)
    for _ in range(1000):
        policy.sample(encoded.ids[:1], encoded.mask[:1], [0], max_new_tokens=1)
        with torch.no_grad():
            for weight in policy.adapter_parameters():
                weight.add_(0.01 * torch.randn(weight.shape, generator=noise))
    weights = dict(policy.named_parameters())
    assert all(weights[name].equal(weight) for name, weight in base.items())


def test_samples_of_one_prompt_differ_with_the_seed_and_the_global_generator_plays_no_part(
    policy: Policy, encoded: Prompts
) -> None:
    torch.manual_seed(1)
    first = policy.sample(*many(encoded, 20), range(20), TOKENS)
    torch.manual_seed(2)
    second = policy.sample(*many(encoded, 20), range(20), TOKENS)
    assert first.ids.equal(second.ids)
    assert len({tuple(row) for row in first.ids.tolist()}) > 15


def test_greedy_takes_the_most_probable_token_at_every_position(policy: Policy, encoded: Prompts) -> None:
    ids, mask, *_ = policy.sample(*encoded, [None] * 6, TOKENS)
    decoder_ids = torch.cat([torch.full((len(ids), 1), PAD), ids[:, :-1]], dim=1)
    logits = logits_of(policy.language_model, encoded, decoder_ids)
    assert logits.argmax(-1)[mask].equal(ids[mask])
    assert mask[:, 0].all()


def test_generation_settings_that_lie_beside_the_base_distort_nothing(
    policy: Policy, base: Path, adapter: Path, encoded: Prompts, sample: Sample, tmp_path: Path
) -> None:
    settings = {
        "min_length": 6,
        "repetition_penalty": 3.0,
        "no_repeat_ngram_size": 2,
        "bad_words_ids": [[5], [9]],
        "forced_eos_token_id": EOS,
        "do_sample": True,
        "temperature": 0.1,
        "num_beams": 2,
        "length_penalty": 2.0,
        "suppress_tokens": [11],
    }
    shutil.copytree(base, tmp_path / "base")
    (tmp_path / "base" / "generation_config.json").write_text(json.dumps(settings))
    other = Policy(tmp_path / "base", adapter)
    assert other.sample(*eight(encoded), range(48), TOKENS).ids.equal(sample.ids)
    most_probable = [None] * 6
    assert other.sample(*encoded, most_probable, TOKENS).ids.equal(policy.sample(*encoded, most_probable, TOKENS).ids)


# Dropout


def test_nothing_is_dropped_although_base_and_adapter_are_configured_to(policy: Policy, encoded: Prompts) -> None:
    dropouts = [module for module in policy.modules() if isinstance(module, nn.Dropout)]
    assert {module.p for module in dropouts} == {0.1, 0.05}
    assert not any(module.training for module in policy.modules())
    with policy.reference():
        assert not any(module.training for module in policy.modules())
    assert not any(module.training for module in policy.modules())
    first, second = (policy.evaluate(*encoded, *encoded) for _ in range(2))
    assert first.logprobs.equal(second.logprobs)
    assert first.values.equal(second.values)


def test_dropout_would_change_the_numbers(policy: Policy, encoded: Prompts) -> None:
    """So that the test above can fail."""
    still = policy.evaluate(*encoded, *encoded).logprobs
    policy.train()
    assert not policy.evaluate(*encoded, *encoded).logprobs.equal(still)


# Files


def test_a_saved_policy_is_three_files_without_the_reference(policy: Policy, adapter: Path, tmp_path: Path) -> None:
    policy.save(tmp_path / "ppo")
    names = {"adapter_config.json", "adapter_model.safetensors", "value_head.safetensors"}
    assert {path.name for path in (tmp_path / "ppo").iterdir()} == names
    assert (tmp_path / "ppo" / "adapter_config.json").read_bytes() == (adapter / "adapter_config.json").read_bytes()
    weights, start = (load_file(folder / "adapter_model.safetensors") for folder in (tmp_path / "ppo", adapter))
    assert weights.keys() == start.keys()
    head = load_file(tmp_path / "ppo" / "value_head.safetensors")
    assert {name: tuple(weight.shape) for name, weight in head.items()} == {"weight": (1, HIDDEN), "bias": (1,)}


def test_peft_loads_the_policy_as_it_has_become(
    policy: Policy, base: Path, adapter: Path, encoded: Prompts, tmp_path: Path
) -> None:
    with torch.no_grad():
        for weight in policy.adapter_parameters():
            weight.mul_(1.5)
    policy.save(tmp_path / "ppo")
    start = torch.full((len(encoded.ids), 1), PAD)
    loaded = logits_of(hugging_face_model(base, tmp_path / "ppo"), encoded, start)
    assert_close(loaded, logits_of(policy.language_model, encoded, start))
    assert not torch.allclose(loaded, logits_of(hugging_face_model(base, adapter), encoded, start), atol=0.1)


def test_snapshots_hold_the_adapter_alone(policy: Policy, adapter: Path, tmp_path: Path) -> None:
    adapters.write(adapters.weights(policy.language_model, POLICY), adapter, tmp_path / "step_0010")
    assert {path.name for path in (tmp_path / "step_0010").iterdir()} == {
        "adapter_config.json",
        "adapter_model.safetensors",
    }
