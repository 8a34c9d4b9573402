"""Jobs under the STAND-IN of PBS (kit.pbs): what batch/pbs.sh asks of it, by a launcher that trains nothing.

That launcher's file `codes` has the exit code of each start in turn; it notes its words and what it was
told.
"""

import shlex
import shutil

import pytest

from kit.batch_systems import ROOT, Pbs
from kit.pbs import StandIn

LAUNCHER = r"""#!/bin/bash
if [ "$1" = --version ]; then echo "mpirun (Open MPI) 5.0.1"; exit; fi
{ printf '%q ' "$@"; echo; } >>"$NOTES/words"
env | grep -E '^(SUITE_|PBS_)' | sort >"$NOTES/told-$PBS_JOBID"
for word; do [ "$word" != hang ] || sleep 60; done
exec 9>"$NOTES/lock" && flock 9
code=$(head -n 1 "$NOTES/codes")
sed -i 1d "$NOTES/codes"
case $code in lost) kill -KILL $$ ;; *) echo "$code" >"$SUITE_VERDICT"; exit "$code" ;; esac
"""


@pytest.fixture
def pbs(tmp_path):
    with StandIn(tmp_path / "pbs") as standing_in:
        system = Pbs(tmp_path / "jobs", standing_in)
        bins, notes = tmp_path / "bin", tmp_path / "notes"
        for folder in (bins, notes):
            folder.mkdir()
        for name, text in (("mpirun", LAUNCHER), ("python", "#!/bin/sh\n")):
            (bins / name).write_text(text)
            (bins / name).chmod(0o755)
        # A copy of the scripts: the .venv of this clone would come before these programs.
        shutil.copytree(ROOT / "batch", tmp_path / "clone" / "batch")
        system.variables["SUITE_ROOT"] = str(tmp_path / "clone")
        system.notes = notes
        system.variables |= {"NOTES": str(notes), "PATH": f"{bins}:{system.variables['PATH']}"}
        yield system


def starts(system):
    """The suite's words of each start."""
    lines = (system.notes / "words").read_text().splitlines()
    return [shlex.split(line.partition(" suite ")[2]) for line in lines]


def told(system, job):
    lines = (system.notes / f"told-{job}.standin").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines)


def test_a_paused_job_submits_its_continuation_which_goes_on_in_its_folder(pbs):
    (pbs.notes / "codes").write_text("75\n0\n")
    job = pbs.wait(pbs.submit(3, 240, "model=digits_cnn", "x={a: 1}", SUITE_STAMP="search"))
    assert (
        "pbs: paused: requeued" in job.out
        and "pbs: job 2, start 2: 3 rank(s), SUITE_STAMP=search" in job.out
    )
    words = ["resume=auto", "backend.device=cpu", "tracking=later", "model=digits_cnn", "x={a: 1}"]
    assert starts(pbs) == [words, words]
    first, second = told(pbs, "1"), told(pbs, "2")
    assert second["SUITE_STAMP"] == "search" and second["SUITE_JOB_RESTARTS"] == "1"
    assert (first["SUITE_JOB_ID"], second["SUITE_JOB_ID"]) == ("1", "2")
    # An end of its own, later by the time that the first one had run.
    assert int(first["SUITE_END_TIME"]) <= int(second["SUITE_END_TIME"])
    assert pbs.run("qstat", "-x", "-f", "2").count("walltime = 00:04:00") == 1


def test_a_task_of_an_array_trains_its_entry_and_its_continuation_too(pbs):
    (pbs.notes / "codes").write_text("75\n0\n")
    pbs.wait(pbs.submit(3, 240, "algorithm=hyperband", "seed=5,6", array=2))
    found = sorted((words[4], words[-1].rpartition("/")[2]) for words in starts(pbs))
    assert len(found) == 3 and set(found) == {
        ("seed=5", "0-${algorithm_name}-seed${seed}"), ("seed=6", "1-${algorithm_name}-seed${seed}")
    }  # fmt: skip
    assert {told(pbs, job)["SUITE_STAMP"] for job in ("1[0]", "1[1]", "2")} == {"job-1"}


def test_a_lost_rank_0_is_submitted_again_so_often_and_then_no_more(pbs):
    (pbs.notes / "codes").write_text("lost\nlost\n0\n")
    job = pbs.wait(pbs.submit(3, 240, "model=digits_cnn", SUITE_MAX_RESTARTS="1"))
    assert "1 of SUITE_MAX_RESTARTS=1): requeued" in job.out
    assert "rank 0 was lost 2 times" in job.out and len(starts(pbs)) == 2


def test_a_job_that_its_user_ends_is_not_submitted_again(pbs):
    number = pbs.submit(3, 240, "hang")
    pbs.until(lambda: (pbs.notes / "words").exists())
    pbs.end(number)
    job = pbs.wait(number)
    assert "SIGTERM came before the job's end, so somebody ended it: not started again" in job.out
    assert "Exit_status = 143" in pbs.run("qstat", "-x", "-f", number) and len(starts(pbs)) == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("batch/pbs.sh", "seed=1"), "the script must be the last argument"),
        (("-l", "walltime=soon", "batch/pbs.sh"), "Illegal attribute or resource value"),
        (("-Z", "batch/pbs.sh"), "not in this stand-in"),
    ],
)  # fmt: skip
def test_the_stand_in_refuses_what_pbs_does(pbs, words, said):
    with pytest.raises(AssertionError, match=said):
        pbs.run("qsub", *words)
