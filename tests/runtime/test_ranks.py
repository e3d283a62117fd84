"""What ranks deal out and tell one another, and that one process alone has everything and says nothing."""

import time

import pytest
import torch
import torch.distributed as dist
from forked_ranks import in_ranks

from detox.runtime import fingerprints, group, memory, ranks

pytest_plugins = ["models"]

COUNTS = [1, 2, 3]


def test_work_is_dealt_to_and_fro_so_that_shares_of_growing_items_cost_alike() -> None:
    assert in_ranks(2, lambda: ranks.dealt("abcdefg")) == [list("ade"), list("bcfg")]
    assert in_ranks(3, lambda: ranks.dealt(range(1, 7))) == [[1, 6], [2, 5], [3, 4]]
    assert ranks.dealt(range(5)) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("count", COUNTS)
def test_every_rank_hears_what_each_says_be_it_nothing(count: int) -> None:
    said = in_ranks(count, lambda: [each.decode() for each in ranks.gathered(b"ab" * ranks.rank())])
    assert said == [["", "ab", "abab"][:count]] * count


def with_gradient(gradient: torch.Tensor | None, *shape: int) -> torch.Tensor:
    weight = torch.zeros(shape, requires_grad=True)
    weight.grad = gradient
    return weight


def test_gradients_add_up_to_the_same_numbers_in_every_rank_also_where_one_has_had_no_work() -> None:
    """1 + 2 + 3 = 6 and 0.5 · (1 + 3) = 2; the second rank has no gradient of the second weight."""

    def added() -> list[object]:
        mine = ranks.rank() + 1
        second = None if mine == 2 else torch.tensor([0.5 * mine])
        weights = [with_gradient(torch.full((2, 2), float(mine)), 2, 2), with_gradient(second, 1)]
        ranks.add_up_gradients(weights)
        return [weight.grad.tolist() for weight in weights if weight.grad is not None]

    assert in_ranks(3, added) == [[[[6.0, 6.0], [6.0, 6.0]], [2.0]]] * 3


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("items", [[], [1], [1, 2, 3, 4, 5]], ids=len)
def test_numbers_that_ranks_share_out_are_in_the_place_of_their_items(count: int, items: list[int]) -> None:
    def thirds() -> object:
        return [float(each) for each in ranks.shared_out(lambda some: torch.tensor(some).float() / 3, items)]

    assert in_ranks(count, thirds) == [[(torch.tensor(float(item)) / 3).item() for item in items]] * count


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("items", [[], [1], [1, 2, 3, 4, 5]], ids=len)
def test_what_ranks_compute_of_each_item_stands_in_its_place_to_the_last_bit(count: int, items: list[int]) -> None:
    def parts() -> list[object]:
        return list(ranks.shared_out(lambda some: [{"third": n / 3, "text": "ä" * n} for n in some], items))

    assert in_ranks(count, parts) == [[{"third": item / 3, "text": "ä" * item} for item in items]] * count


def test_a_rank_that_runs_out_of_memory_has_it_raised_in_those_that_wait_for_it_whatever_they_wait_for() -> None:
    """Rank 1 tells; rank 0 hears of it instead of bytes, rank 2 instead of a sum; then all go on together."""

    def run() -> list[str]:
        heard = []
        try:
            if ranks.rank() == 1:
                raise MemoryError
            if ranks.rank() == 0:
                ranks.gathered(b"x")
            ranks.add_up_gradients([with_gradient(torch.zeros(3), 3)])
        except MemoryError as error:
            ranks.tell(error)
            heard += [str(error)] * memory.exhausted(error)
        return [*heard, *(each.decode() for each in ranks.gathered(str(ranks.rank()).encode()))]

    elsewhere = "out of memory in another process"
    assert in_ranks(3, run) == [[elsewhere, *"012"], ["", *"012"], [elsewhere, *"012"]]


@pytest.mark.slow
def test_who_has_much_to_do_may_let_the_others_wait_for_longer_than_a_rank_may_be_silent() -> None:
    def run() -> list[str]:
        end = time.monotonic() + (group.SILENCE + 10 if ranks.rank() == 0 else 0)
        while time.monotonic() < end:
            pass
        return [each.decode() for each in ranks.gathered(str(ranks.rank()).encode())]

    assert in_ranks(2, run) == [["0", "1"]] * 2


@pytest.mark.parametrize(("host", "said"), [("node7", "rank 2 on node7: ended"), ("", "rank 2: ended")])
def test_a_rank_is_named_with_its_machine_if_it_has_ever_come(host: str, said: str) -> None:
    store = dist.HashStore()  # type: ignore[attr-defined]
    if host:
        store.set("host/2", host)
    group.post(store, 2, ": ended")
    group.post(store, 1, ": ended later")
    assert store.get("end").decode() == said


def test_ranks_at_different_steps_do_not_go_on() -> None:
    def run() -> bool:
        ranks.meet(4)
        with pytest.raises(RuntimeError, match=r"^ranks are at different steps: \[4, 5\]$"):
            ranks.meet(4 + ranks.rank())
        return True

    assert in_ranks(2, run) == [True, True]


def test_one_process_alone_is_the_first_of_one_and_keeps_what_it_has() -> None:
    weight = with_gradient(torch.tensor([1.0]), 1)
    ranks.add_up_gradients([weight, with_gradient(None, 1)])
    ranks.tell(MemoryError())
    ranks.meet(3)
    assert (ranks.rank(), ranks.size(), ranks.gathered(b"x"), weight.grad) == (0, 1, [b"x"], torch.tensor([1.0]))


def test_ranks_share_the_threads_that_one_process_would_have() -> None:
    """7 // 3 = 2; the first number is of all together."""
    torch.set_num_threads(7)
    try:
        shares = in_ranks(3, lambda: [fingerprints.threads(), torch.get_num_threads()])
    finally:
        torch.set_num_threads(1)
    assert shares == [[7, 2]] * 3
    assert fingerprints.threads() == 1
