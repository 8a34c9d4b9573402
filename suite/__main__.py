"""Floor 6, the door: rank 0 reads the command line; every other rank serves until rank 0 lets it
go.
"""

from __future__ import annotations

import os
import sys
import traceback


def main() -> None:
    from suite.backends import launcher
    from suite.core.extras import MissingExtraError, need
    from suite.run import limit

    try:
        need("hydra")  # and so the extra that brings it
        if launcher.launched():
            need("mpi4py")
    except MissingExtraError as error:
        sys.exit(f"suite: {error}")

    launched, rank = launcher.launched(), launcher.rank()
    limit.listen(worker=rank > 0)  # before anything slow
    if not launched:
        from suite.launch import cli

        sys.exit(cli.main(sys.argv[1:]))
    # Every rank has the same words: where they need no workers no rank begins MPI, which would wait for all.
    needed = launcher.needs_workers(sys.argv[1:])
    if rank > 0 and not needed:
        sys.exit(0)
    if rank > 0:
        from suite.backends.mpi.serve import serve

        serve()  # until rank 0 ends the process
    launcher.write_process_id()
    code = 1
    from suite.backends.mpi import world

    try:
        from suite.launch import cli

        code = cli.main(sys.argv[1:], ended=world.release)
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
        world.dismiss(code, may_wait=needed)
    os._exit(code)


if __name__ == "__main__":
    main()
