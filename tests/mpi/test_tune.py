"""swiftbench.tune in a script under mpirun: the result of one process, and no rank that waits for ever."""

import json
import subprocess
import sys

import pytest

from kit.mpi_runs import environment

SCRIPT = """
import json, os, sys
import swiftbench
from pathlib import Path

out, fault = Path(sys.argv[1]), sys.argv[2]
rank = os.environ.get("OMPI_COMM_WORLD_RANK", "0")

def tuned(width, algorithm="swift_svr"):
    def train(config):
        x = 10.0
        while True:
            if fault == "kill" and rank == "2":
                os.kill(os.getpid(), 9)
            x -= config["lr"] * x / width
            yield x ** 2
    space = {"lr": swiftbench.Float(1e-3, 1.0)}
    return swiftbench.tune(train, space, metric="loss", max_epochs=8, algorithm=algorithm)

results = [tuned(2.0), tuned(3.0)]
try:
    tuned(2.0, algorithm="swift_swr")
except Exception as error:
    refused = str(error)
said = {"main": results[0].is_main, "refused": refused,
        "results": [[r.config, r.value, sorted(r.curves.items())] for r in results]}
(out / f"{rank}.json").write_text(json.dumps(said))
if fault == "raise" and rank == "0":
    raise ValueError("after the search")
"""


def run(tmp_path, fault="none", ranks=0):
    """The script's process, and what each rank wrote."""
    script, out = tmp_path / "script.py", tmp_path / f"{fault}-{ranks}"
    script.write_text(SCRIPT)
    out.mkdir()
    start = [sys.executable, str(script), str(out), fault]
    if ranks:
        start = ["mpirun", "--with-ft", "ulfm", "--oversubscribe", "-n", str(ranks), *start]
    env = environment(out / "runs")
    done = subprocess.run(start, capture_output=True, text=True, env=env, timeout=240)
    return done, {path.stem: json.loads(path.read_text()) for path in out.glob("*.json")}


@pytest.fixture(scope="module")
def expected(launch_module, tmp_path_factory):
    """What one process finds. launch_module: there is an mpirun."""
    done, found = run(tmp_path_factory.mktemp("alone"))
    assert done.returncode == 0, done.stderr
    return found["0"]


@pytest.mark.slow
def test_a_script_gives_one_result_on_every_rank_and_in_one_process(expected, tmp_path):
    done, found = run(tmp_path, ranks=3)
    assert done.returncode == 0, done.stderr
    assert "Did you mean swift_svr" in expected["refused"]
    assert found == {rank: expected | {"main": rank == "0"} for rank in ("0", "1", "2")}


@pytest.mark.slow
def test_a_killed_rank_changes_no_result_and_the_others_end(expected, tmp_path):
    _, found = run(tmp_path, "kill", ranks=3)
    assert found == {"0": expected, "1": expected | {"main": False}}


@pytest.mark.slow
def test_an_error_after_the_search_ends_every_rank(launch, tmp_path):
    done, _ = run(tmp_path, "raise", ranks=3)
    assert done.returncode != 0 and "after the search" in done.stderr
