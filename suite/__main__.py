"""Floor 6, the door: rank 0 reads the command line; every other rank serves until rank 0 lets it
go.
"""

from __future__ import annotations

import contextlib
import os
import sys
import traceback
from pathlib import Path


def main() -> None:
    from suite import launch
    from suite.run import limit

    limit.listen(worker=launch.launched() and launch.rank() > 0)  # before anything slow
    if not launch.launched():
        from suite import cli

        sys.exit(cli.main(sys.argv[1:]))
    if launch.rank() > 0:
        from suite.backends.mpi_worker import serve

        serve()  # never returns
    code = 1
    try:
        from suite import cli

        code = cli.main(sys.argv[1:])
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except KeyboardInterrupt:
        code = 130
    except BaseException:
        traceback.print_exc()
    finally:
        from suite.backends import mpi_world

        if named := os.environ.get("SUITE_VERDICT"):  # mpirun may report another rank's code
            with contextlib.suppress(OSError):
                Path(named).write_text(f"{code}\n")
        sys.stdout.flush()
        sys.stderr.flush()
        mpi_world.dismiss(code)  # whatever happened, the workers must not wait for ever
    os._exit(code)


if __name__ == "__main__":
    main()
