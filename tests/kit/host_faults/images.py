"""Images on the hosts: the host's mpirun starts each rank in the image, with its own MPI or the image's."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from kit.host_faults.case import Case, Row
from kit.host_faults.jobs import FOUR, begin, end, submit
from kit.host_runs import HostLaunch, decided
from kit.host_slurm import HostJob, Slurm
from kit.host_slurm import absent as slurm_absent
from kit.mpi_runs import ROOT, journals_in
from suite.run import journal as journals

IMAGE = "SUITE_TEST_IMAGE"
"""Names an image of torch that containers/build made."""
HOST_MPI = "SUITE_TEST_HOST_MPI"
"""Names the folder of an Open MPI 5, not below /tmp, of another version than the image's."""
TRAINING = ("model=digits_cnn", "max_epochs=3", "algorithm=hyperband", "overlap=false")


def absent(name: str) -> str:
    """What is missing for images here; empty: nothing."""
    if shutil.which("apptainer") is None:
        return "apptainer is absent"
    if not Path(os.environ.get(IMAGE, "")).is_file():
        return f"{IMAGE}={os.environ.get(IMAGE, '')}: must be an image (containers/build torch)"
    if "bound" in name and not (_prefix() / "bin" / "mpirun").exists():
        return f"{HOST_MPI}={os.environ.get(HOST_MPI, '')}: must be the folder of an Open MPI 5"
    return slurm_absent() if "slurm" in name else ""


def _prefix() -> Path:
    return Path(os.environ.get(HOST_MPI, ""))


def _digest() -> str:
    return "sha256:" + Path(os.environ[IMAGE] + ".sha256").read_text()[:64]


class ImageLaunch(HostLaunch):
    """`mpirun ... apptainer exec IMAGE python -m suite` over the hosts, nothing of the clone in it.

    bound: the MPI of HOST_MPI takes the place of the image's, and its mpirun starts the ranks.
    """

    def __init__(self, *arguments: Any, bound: bool = False, **options: Any) -> None:
        self._bound = bound
        cluster, image = arguments[0], os.environ[IMAGE]
        words = ["apptainer", "-s", "exec", "--bind", str(cluster.folder)]
        if bound:
            asked = [str(ROOT / "containers" / "bind-mpi"), image, str(_prefix())]
            words += subprocess.run(
                asked, capture_output=True, text=True, check=True, timeout=120
            ).stdout.splitlines()
        # What the clone and its tests offer to others must not reach the image's python.
        own = {"PYTHONPATH": "", "SUITE_PLUGINS": "", "SUITE_IMAGE_DIGEST": _digest()}
        super().__init__(*arguments, **{"prefix": [*words, image], **own, **options})

    def line(self, ranks: int, *overrides: str) -> list[str]:
        there = {sys.executable: "python"}
        if self._bound:
            there["mpirun"] = str(_prefix() / "bin" / "mpirun")
        return [there.get(word, word) for word in super().line(ranks, *overrides)]

    def kill(self, rank: int, number: int = 9) -> int:
        """A signal to that rank's python, as the kernel's when memory is short: not to what started it."""
        victims = [pid for pid, one in _pythons(self).items() if one == rank]
        for pid in victims:
            os.kill(pid, number)
        return len(victims)


def _pythons(launch: HostLaunch) -> dict[int, int]:
    """PID of each rank's python -> its rank. Apptainer's own processes have the same variables."""
    found = {}
    for pid, rank in launch.processes().items():
        with contextlib.suppress(OSError):
            name = os.path.basename(os.readlink(f"/proc/{pid}/exe"))
            if rank != "-" and name.startswith("python"):
                found[pid] = int(rank)
    return found


def _see_libraries(case: Case, bound: bool) -> None:
    """Every rank has loaded the one MPI that it should. Raises AssertionError."""
    case.launch.until(lambda: case.launch.n_epochs() > 3)
    where = f"{_prefix()}/lib/" if bound else "/opt/suite/venv/lib/"
    found = {}
    for pid, rank in _pythons(case.launch).items():
        words = Path(f"/proc/{pid}/maps").read_text().split()
        found[rank] = {word for word in words if "/libmpi.so" in word}
    n = len(case.cluster.hosts) + (1 if isinstance(case.launch, HostJob) else 0)
    assert len(found) == n, f"{found}: must be {n} ranks\n{case.launch.out[-2000:]}"
    for rank, names in found.items():
        assert len(names) == 1 and min(names).startswith(where), f"rank {rank}: {names}"


def image_hosts(case: Case) -> Row:
    """Each rank in the image, by the host's mpirun: the run of four hosts is that of one."""
    case.hosts()
    case.start(launch=ImageLaunch)
    _see_libraries(case, bound=False)
    case.end()
    return _in_image(case, case.row(f"{len(case.launch.events('joined'))} workers joined"))


def image_trains(case: Case) -> Row:
    """The image's torch trains on three hosts: real curves, equal to those of one process in the image."""
    case.hosts(3)
    launch = case.launch = ImageLaunch(
        case.cluster, *TRAINING, f"seed={case.seed}", SUITE_STAMP="one"
    )
    case.n_launches += 1
    case.end()
    alone = case.folder / "alone"
    words = ["apptainer", "-s", "exec", "--bind", str(alone), os.environ[IMAGE], "python", "-m"]
    words += ["suite", *TRAINING, f"seed={case.seed}", "backend=inline", "tracking=later"]
    alone.mkdir()
    env = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "SUITE_"))}
    done = subprocess.run(
        [*words, "report=false"], cwd=alone, env=env | {"SUITE_RUNS": str(alone)},
        capture_output=True, text=True, timeout=1200,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    whole = decided(journals_in(alone)[0].parent)
    row = case.row(f"{len(launch.events('joined'))} workers trained {len(whole['curves'])} trials")
    row.equal = decided(launch.folder) == whole
    return _in_image(case, row)


def image_killed(case: Case) -> Row:
    """A worker in the image is killed: seen at once, the run goes on without it."""
    return _worker_killed(case)


def image_rank0_killed(case: Case) -> Row:
    """Rank 0 in the image is killed: the launch ends; the same line goes on."""
    case.hosts()
    launch = case.start(launch=ImageLaunch)
    case.strike(lambda: launch.kill(0))
    case.notice(lambda: launch.process.poll() is not None)
    case.end()
    case.start(launch=ImageLaunch)
    case.end()
    return _in_image(case, case.row("all ranks ended; resubmitted"))


def image_bound(case: Case) -> Row:
    """The host's Open MPI is bound into the image: the run of four hosts is that of one."""
    case.hosts()
    case.start(launch=ImageLaunch, bound=True)
    _see_libraries(case, bound=True)
    case.end()
    return _in_image(case, case.row(f"{len(case.launch.events('joined'))} workers joined"))


def image_bound_killed(case: Case) -> Row:
    """The same, and a worker is killed: seen at once, the run goes on without it."""
    return _worker_killed(case, bound=True)


def image_slurm(case: Case) -> Row:
    """sbatch with SUITE_IMAGE, mpirun within it: the run of four nodes is that of one."""
    slurm = begin(case)
    return _submit(case, slurm, bound=False)


def image_slurm_bound(case: Case) -> Row:
    """The same with SITE_BIND_MPI in the site file: its mpirun, its library in the image."""
    slurm = begin(case)
    site = slurm.root / "slurm" / "sites" / "hosts.sh"
    site.write_text(f"{site.read_text()}SITE_BIND_MPI=auto\nexport PATH={_prefix()}/bin:$PATH\n")
    row = _submit(case, slurm, bound=True)
    assert f"of {_prefix()} in the place of the image's own" in case.launch.out, case.launch.out
    return row


def _submit(case: Case, slurm: Slurm, bound: bool) -> Row:
    """slurm/run.sbatch with the image, to its end; nothing of the clone but its scripts."""
    shutil.copytree(
        ROOT / "containers", slurm.root / "containers", ignore=shutil.ignore_patterns("images")
    )
    own = {"SUITE_IMAGE": os.environ[IMAGE], "PYTHONPATH": "", "SUITE_PLUGINS": ""}
    job = submit(case, slurm, options=FOUR, **own)
    _see_libraries(case, bound)
    end(case, job)
    return _in_image(case, case.row(f"{len(job.events('joined'))} workers joined"))


def _worker_killed(case: Case, bound: bool = False) -> Row:
    case.hosts()
    launch = case.start(launch=ImageLaunch, bound=bound)
    case.strike(lambda: launch.kill(2))
    case.notice(case.lost)
    case.end()
    return _in_image(case, case.row(f"{len(case.lost())} worker lost; the run went on"))


def _in_image(case: Case, row: Row) -> Row:
    """The row, if the journal says that the run was in this image."""
    said = journals.read(case.launch.folder / journals.NAME)[0]["image"]
    assert said["digest"] == _digest() and said["label"].startswith("swiftbench "), said
    return row
