"""A module to be started by torchrun whose second rank does nothing, for ever, while the first waits for it."""

import os
import time

from detox.runtime import ranks
from stages import run_in_ranks


def main() -> None:
    if os.environ["RANK"] == "1":
        time.sleep(3600)
    ranks.gathered(b"")


if __name__ == "__main__":
    run_in_ranks(main)
