"""A member of a group is killed while MLPF trains over MPI, in both frameworks. pytest -s prints.

Each rank imports its framework: some minutes of the processor. test_groups.py has a cheap target.
"""

import importlib.util

import pytest

from kit import toy_events
from kit.mpi_runs import Launch, curves

TWO = "backend.ranks_per_trial=2"
SHAPE = "dropout: 0.1, lr: 0.001, n_glayers_id: 1, n_glayers_reg: 1, output_dim: 16, weight_decay: 0.0001"
SEARCHES = {
    # Bins are cut by a sort, so that a rounding may move an element into another one.
    "mlpf": ("bin_size: 16", 1e-2),
    "mlpf_torch": ("layer: attention, num_heads: 2, head_dim: 8", 1e-4),
}


def difference(one, two):
    """The largest between two runs' losses, as a part of them."""
    a, b = curves(one.folder)["curves"], curves(two.folder)["curves"]
    assert a.keys() == b.keys() and all(len(a[i]) == len(b[i]) == 3 for i in a)
    return max(abs(x / y - 1) for i in a for x, y in zip(a[i], b[i], strict=True))


@pytest.fixture(autouse=True)
def patience(monkeypatch):
    """Four ranks import a framework and compile before the journal's first line."""
    monkeypatch.setattr(Launch, "still_s", 1800.0)


@pytest.mark.exhaustive
@pytest.mark.parametrize("model", SEARCHES)
def test_two_ranks_train_mlpf_as_one_and_a_killed_member_changes_nothing(launch, tmp_path, model):
    if importlib.util.find_spec("tensorflow" if model == "mlpf" else "torch") is None:
        pytest.skip(f"{model}: its framework is not installed")
    own, tolerance = SEARCHES[model]
    toy_events.write(tmp_path / "delphes_standin_pu0" / "a.pkl.bz2", toy_events.toy_events(40))
    search = (
        "algorithm=random_search", "scheduler.n_trials=2", "seed=1", "max_epochs=3",
        f"model={model}", "model.data=stand_in", f"model.folder={tmp_path}", "model.limit=21",
        f"model.fixed={{{own}, {SHAPE}}}", "backend.checkpoint_every_s=0.001",
    )  # fmt: skip
    one, two = launch(0, *search, "backend=inline"), launch(5, *search, TWO)
    assert one.code == 0, one.out
    assert two.code == 0, two.out
    marker = tmp_path / "struck"
    done = launch(
        5, *search, TWO, f"model=fault_{model}", "+model.fault=kill", "+model.fault_rank=2",
        "+model.fault_epoch=3", f"+model.marker={marker}",
    )  # fmt: skip
    assert marker.exists(), "the fault was never planted"
    assert done.code == 0, done.out
    assert done.status == "completed"
    (lost,) = [line for line in done.lines if line["event"] == "lost"]
    assert lost["worker"] == 1
    # Its trial goes on from a checkpoint, on the other worker, at once or when that is free.
    later = done.lines[done.lines.index(lost) :]
    again = [do for line in later for do in line.get("do", []) if do[0] == "start"]
    (_, worker, _, _, from_epoch, to_epoch) = again[0]
    assert len(again) == 1 and worker == 3 and from_epoch in (1, 2) and to_epoch == 3
    print(
        f"\n{model}: two ranks against one, {difference(two, one):.2g} of the loss; a member killed, "
        f"{difference(done, two):.2g}; {one.seconds:.0f}, {two.seconds:.0f}, {done.seconds:.0f} s"
    )
    assert difference(two, one) <= tolerance
    assert difference(done, two) == 0
