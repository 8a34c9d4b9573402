"""Floor 8, the door: rank 0 reads the command line; every other rank serves until rank 0 lets it
go.
"""

from __future__ import annotations

import sys
from collections.abc import Callable


def main() -> None:
    from suite.backends import launcher, ranks
    from suite.core.extras import MissingExtraError, need
    from suite.run import limit

    try:
        need("hydra")  # and so the extra that brings it
        if launcher.launched():
            need("mpi4py")
    except MissingExtraError as error:
        sys.exit(f"suite: {error}")
    limit.listen(worker=launcher.rank() > 0)  # before anything slow

    def command(let_go: Callable[[], None]) -> int:
        from suite.launch import cli

        return cli.main(sys.argv[1:], ended=let_go)

    sys.exit(ranks.led(command, needs_workers=launcher.needs_workers(sys.argv[1:])))


if __name__ == "__main__":
    main()
