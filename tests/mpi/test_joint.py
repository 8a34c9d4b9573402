"""Another's optimizer over MPI: a worker is killed while it trains, and nothing that was trained is lost.

Of the adapters CI has Optuna's package; tests/optimizers/league_checks.py does the same with all of them.
"""

import json

import pytest

from suite.verify.checks import verify


@pytest.mark.slow
def test_optuna_goes_on_after_a_worker_is_killed(launch, tmp_path):
    pytest.importorskip("optuna", reason="optuna is not installed")
    marker = tmp_path / "struck"
    done = launch(
        3, "model=fault_digits", "max_epochs=3", "algorithm=optuna", "budget.n_epochs=12",
        "+model.fault=kill", "+model.fault_rank=1", "+model.fault_epoch=1", f"+model.marker={marker}",
    )  # fmt: skip
    assert marker.exists(), "the fault was never planted"
    assert done.code == 0, done.out
    assert done.status == "completed" and sum(x["event"] == "lost" for x in done.lines) == 1
    record = json.loads((done.folder / "record.json").read_text())
    trials, epochs = record["trials"], record["epochs"]
    assert (trials["open"]["value"], trials["given_up"]["value"]) == (0, 0)
    assert epochs["differing"]["value"] == 0
    assert verify(done.folder, "run").holds
