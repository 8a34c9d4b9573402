"""A command under a launcher: rank 0 does it, every other rank serves until rank 0 lets it go."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable

from suite.backends import launcher

Command = Callable[[Callable[[], None]], int]


def led(command: Command, *, needs_workers: bool) -> int:
    """The exit code of the command, which only rank 0 of a launch does; without a launch, this process does.

    command: is given a function that lets the workers go early, while it still writes. needs_workers: whether
    it may train on workers, by the command line alone, so that every rank comes to the same answer; where it
    does not no rank begins MPI, which would wait for all. In a launch rank 0 ends its process here, and so do
    the others where they served.
    """
    if not launcher.launched():
        return command(lambda: None)
    if launcher.rank() > 0:
        if needs_workers:
            from suite.backends.mpi.serve import serve

            serve()  # until rank 0 ends the process
        return 0
    launcher.write_process_id()
    from suite.backends.mpi import world

    code = 1
    try:
        code = command(world.release)
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except KeyboardInterrupt:
        code = 130
    except BaseException:
        traceback.print_exc()
    finally:
        launcher.write_verdict(code)
        sys.stdout.flush()
        sys.stderr.flush()
        # Whatever happened, the workers must not wait for ever.
        world.dismiss(code, may_wait=needs_workers)
    os._exit(code)
