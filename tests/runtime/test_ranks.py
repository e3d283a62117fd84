"""What ranks deal out and tell one another, and that one process alone has everything and says nothing."""

import pytest
import torch
from forked_ranks import in_ranks

from detox.runtime import memory, ranks

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


def test_gradients_add_up_to_the_same_numbers_in_every_rank() -> None:
    """1 + 2 + 3 = 6 and 0.5 · (1 + 2 + 3) = 3."""

    def added() -> list[object]:
        mine = ranks.rank() + 1
        tensors = [torch.full((2, 2), float(mine)), torch.tensor([0.5 * mine])]
        ranks.add_up(tensors)
        return [tensor.tolist() for tensor in tensors]

    assert in_ranks(3, added) == [[[[6.0, 6.0], [6.0, 6.0]], [3.0]]] * 3


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("items", [[], [1], [1, 2, 3, 4, 5]], ids=len)
def test_numbers_that_ranks_share_out_are_in_the_place_of_their_items(count: int, items: list[int]) -> None:
    def squares() -> object:
        return ranks.shared_out(lambda some: torch.tensor(some, dtype=torch.float32) ** 2, items).tolist()

    assert in_ranks(count, squares) == [[item**2 for item in items]] * count


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("items", [[], [1], [1, 2, 3, 4, 5]], ids=len)
def test_what_ranks_compute_of_each_item_stands_in_its_place_to_the_last_bit(count: int, items: list[int]) -> None:
    def parts() -> list[object]:
        return ranks.each(lambda item: {"third": item / 3, "text": "ä" * item}, items)

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
            ranks.add_up([torch.zeros(3)])
        except MemoryError as error:
            ranks.tell(error)
            heard += [str(error)] * memory.exhausted(error)
        return [*heard, *(each.decode() for each in ranks.gathered(str(ranks.rank()).encode()))]

    elsewhere = "out of memory in another process"
    assert in_ranks(3, run) == [[elsewhere, *"012"], ["", *"012"], [elsewhere, *"012"]]


def test_ranks_at_different_steps_do_not_go_on() -> None:
    def run() -> bool:
        ranks.meet(4)
        with pytest.raises(RuntimeError, match=r"^ranks are at different steps: \[4, 5\]$"):
            ranks.meet(4 + ranks.rank())
        return True

    assert in_ranks(2, run) == [True, True]


def test_one_process_alone_is_the_first_of_one_and_keeps_what_it_has() -> None:
    tensor = torch.tensor([1.0])
    ranks.add_up([tensor])
    ranks.tell(MemoryError())
    assert (ranks.rank(), ranks.size(), ranks.gathered(b"x"), tensor.item()) == (0, 1, [b"x"], 1.0)


def test_ranks_share_the_threads_that_one_process_would_have() -> None:
    """7 // 3 = 2; the first number is of all together."""
    torch.set_num_threads(7)
    try:
        shares = in_ranks(3, lambda: [ranks.threads(), torch.get_num_threads()])
    finally:
        torch.set_num_threads(1)
    assert shares == [[7, 2]] * 3
    assert ranks.threads() == 1
