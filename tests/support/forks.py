"""Running a piece of a test in a process of its own, to kill it or to take something away from it."""

import ctypes
import os
import sys
from collections.abc import Callable
from traceback import print_exc

CAPSET, VERSION_3 = {"x86_64": 126, "aarch64": 91}, 0x20080522  # linux/capability.h


def forked(run: Callable[[], object]) -> int:
    """How a process that runs this ends: its exit code, or minus the signal that killed it."""
    return end_of(fork(run))


def end_of(child: int) -> int:
    """The same of a process that has been started."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def fork(run: Callable[[], object]) -> int:
    """Starts a process that runs this."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            run()
            code = 0
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else 1
        except BaseException:
            print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)
    return child


def without_privileges() -> None:
    """Has a process of root obey the permissions of files, on Linux, by giving up all its capabilities."""
    if os.geteuid() == 0:
        header, none = (ctypes.c_uint32 * 2)(VERSION_3, 0), (ctypes.c_uint32 * 6)()
        assert ctypes.CDLL(None).syscall(CAPSET[os.uname().machine], header, none) == 0
