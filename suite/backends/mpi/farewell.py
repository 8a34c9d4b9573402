"""To workers that rank 0 never met: its run ended before MPI was begun, and they may wait in MPI_Init.

Rank 0 does not begin MPI for that, as it would wait without end where the other tasks of the launch are no
ranks of the suite (a shell that srun or mpirun started as one of its tasks). A process of its own does, in
rank 0's place and with a deadline.
"""

from __future__ import annotations

import os
import subprocess
import sys

from suite.backends import launcher

WAIT_S = 20.0


def send(n_others: int) -> None:
    """Let the other ranks go, if they come within WAIT_S."""
    command = [sys.executable, "-m", "suite.backends.mpi.farewell"]
    quiet = subprocess.DEVNULL
    try:
        subprocess.run(
            command, stdin=quiet, stdout=quiet, stderr=quiet, timeout=WAIT_S,
            pass_fds=launcher.descriptors(os.environ),
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        print(
            f"suite: the {n_others} other rank(s) of this launch were never met, and did not come within "
            f"{WAIT_S:g} s; left without them.",
            file=sys.stderr,
            flush=True,
        )
    except OSError as error:
        print(f"suite: other ranks may still wait for rank 0: {error}", file=sys.stderr, flush=True)


def main() -> None:
    from suite.backends.mpi.world import World

    World().exit(0)


if __name__ == "__main__":
    main()
