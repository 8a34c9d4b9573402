"""A practice cluster on this machine: a Slurm of its own, with some nodes, for trying job scripts.

    swiftbench cluster up                     four nodes; prints what a shell needs to submit to it
    swiftbench cluster up --nodes 2           1 to 8
    swiftbench cluster status                 its nodes and jobs; exit code 1 where it is not whole
    swiftbench cluster down                   ends its jobs and daemons, and removes its folder

It needs Linux, root, and Debian's packages slurm-wlm and munge (or the programs slurmctld, slurmd, munged,
sinfo, squeue, scancel and unshare). It has a folder, a key and ports of its own, on loopback only: another
Slurm on this machine is neither used nor changed. All nodes share this machine's cores and memory, so a run
there says nothing of speed.

Exit code: 0; 1: not started, not whole or not there, or bad input; 2: wrong arguments; 130: Ctrl-C.
"""

from __future__ import annotations

import sys
from pathlib import Path

from suite.cluster.slurm import MOST_NODES, Practice
from suite.core.command import argument_parser, run_command
from suite.core.errors import ConfigError

FOLDER = Path("/run/swiftbench-cluster")


def main(arguments: list[str] | None = None) -> int:
    """Returns the exit code: 0; 1: refused, or the cluster is not whole."""
    parser = argument_parser("suite.cluster", __doc__)
    parser.add_argument("action", choices=("up", "status", "down"))
    parser.add_argument(
        "--nodes",
        type=int,
        default=4,
        metavar="N",
        help=f"1 to {MOST_NODES} (default: %(default)s)",
    )
    parser.add_argument(
        "--folder", type=Path, default=FOLDER, help="where it lives (default: %(default)s)"
    )
    options = parser.parse_args(arguments)
    return run_command(
        "cluster", lambda: _act(options.action, Practice(options.folder), options.nodes)
    )


def _act(action: str, cluster: Practice, nodes: int) -> int:
    if action == "down":
        cluster.down()
        print(f"{cluster.folder}: ended and removed")
        return 0
    if action == "up":
        if not 1 <= nodes <= MOST_NODES:
            raise ConfigError(f"--nodes {nodes}: must be 1 to {MOST_NODES}.")
        cluster.up(nodes)
        print(f"{nodes} nodes are up. In the clone's folder:\n")
        print(f"export SLURM_CONF={cluster.conf} SUITE_SITE=practice")
        print(
            f"sbatch --nodes={nodes} --ntasks-per-node=2 slurm/run.sbatch model=digits_cnn max_epochs=9"
        )
        return 0
    print(cluster.status(), end="")
    return 0 if cluster.is_whole() else 1


if __name__ == "__main__":
    sys.exit(main())
