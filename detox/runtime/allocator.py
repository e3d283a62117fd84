"""Freed tensors: kept for the next ones, or given back to the kernel. No result depends on it. glibc alone."""

import ctypes
import platform

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of mallopt(3)


def keep_freed() -> None:
    """Has glibc keep freed tensors for the next ones.

    By default it gives large ones back to the kernel, which clears every page before it lends it again: a quarter of
    the time of a PPO step on a CPU.
    """
    if platform.libc_ver()[0] == "glibc":
        for parameter in (M_TRIM_THRESHOLD, M_MMAP_THRESHOLD):
            ctypes.CDLL(None).mallopt(parameter, 2**31 - 1)


def give_back() -> None:
    """Gives what is free back to the kernel, between two kinds of work whose tensors do not fit into each other's gaps.

    Twice a PPO step it lowers the peak of T5-base by 0.3 GiB.
    """
    if platform.libc_ver()[0] == "glibc":
        ctypes.CDLL(None).malloc_trim(0)
