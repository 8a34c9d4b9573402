"""Groups of ranks whose members are on several hosts (backend.group_interface). pytest -s prints.

Tolerances are those of tests/mpi: sums over ranks are taken in another order, and roundings grow.
"""

import importlib.util

import pytest

from kit import toy_events
from kit.host_runs import HostLaunch, orphans
from kit.hosts import Cluster
from kit.mpi_runs import Launcher, curves

OVER_HOSTS = ("backend.ranks_per_trial=2", "backend.group_interface=eth0")
RANDOM = ("algorithm=random_search", "scheduler.n_trials=2", "seed=1", "max_epochs=2")
DIGITS = (*RANDOM, "model=digits_cnn", "model.fixed={learning_rate: 0.01, momentum: 0.5}")
SHAPE = "dropout: 0.1, lr: 0.001, n_glayers_id: 1, n_glayers_reg: 1, output_dim: 16, weight_decay: 0.0001"
MLPF = {
    "mlpf_torch": ("torch", "layer: attention, num_heads: 2, head_dim: 8", 1e-4),
    "mlpf": ("tensorflow", "bin_size: 16", 1e-2),
}


class Patient(HostLaunch):
    # All ranks import a framework before the journal's first line.
    still_s = 1800.0


@pytest.fixture
def on_hosts(tmp_path):
    """Runs: rank 0 on n1 and one worker rank on each other host, so that every group of two spans two."""

    def run(n_hosts, *overrides):
        with Cluster(n_hosts, tmp_path / "shared") as cluster:
            runs = cluster.folder / f"on-{n_hosts}" / "runs"
            done = Patient(cluster, *overrides, *OVER_HOSTS, runs=runs)
            done.until()
            assert done.code == 0, done.out
            assert orphans(cluster.hosts, 60.0)[0] == 0
        assert done.events("closed")[-1]["status"] == "completed"
        for joined in done.events("joined"):
            facts = joined["facts"]
            assert facts["ranks"] == 2
            assert len(facts["nodes"]) == 2 and facts["node"] == facts["nodes"][0]
        return done

    return run


def difference(one, two):
    """The largest between two runs' losses, as a part of them."""
    a, b = curves(one.folder)["curves"], curves(two.folder)["curves"]
    assert a.keys() == b.keys() and all(len(a[i]) == len(b[i]) == 2 for i in a)
    return max(abs(x / y - 1) for i in a for x, y in zip(a[i], b[i], strict=True))


@pytest.mark.exhaustive
def test_two_ranks_on_two_hosts_train_as_one_and_a_killed_member_changes_nothing(
    on_hosts, tmp_path
):
    one = Launcher(tmp_path)(0, *DIGITS, "backend=inline")
    assert one.code == 0, one.out
    two = on_hosts(3, *DIGITS)
    assert difference(two, one) <= 1e-4
    marker = tmp_path / "shared" / "struck"
    fault = (
        "model=fault_digits", "+model.fault=kill", "+model.fault_rank=2", "+model.fault_epoch=2",
    )  # fmt: skip
    done = on_hosts(5, *DIGITS, *fault, f"+model.marker={marker}")
    assert marker.exists(), "the fault was never planted"
    assert sorted(line["worker"] for line in done.events("joined")) == [1, 3]
    assert [line["worker"] for line in done.events("lost")] == [1]
    print(
        f"\ndigits_cnn: two hosts against one rank, {difference(two, one):.2g} of the loss; a member killed, "
        f"{difference(done, two):.2g}"
    )
    assert difference(done, two) == 0


@pytest.mark.exhaustive
@pytest.mark.parametrize("model", MLPF)
def test_mlpf_on_two_hosts_trains_as_on_one(on_hosts, tmp_path, model):
    framework, own, tolerance = MLPF[model]
    if importlib.util.find_spec(framework) is None:
        pytest.skip(f"{model}: {framework} is not installed")
    # What all hosts see.
    data = tmp_path / "shared"
    toy_events.write(data / "delphes_standin_pu0" / "a.pkl.bz2", toy_events.toy_events(40))
    search = (
        *RANDOM, f"model={model}", "model.data=stand_in", f"model.folder={data}", "model.limit=21",
        f"model.fixed={{{own}, {SHAPE}}}",
    )  # fmt: skip
    one = Launcher(tmp_path)(0, *search, "backend=inline")
    assert one.code == 0, one.out
    two = on_hosts(3, *search)
    print(f"\n{model}: two hosts against one rank, {difference(two, one):.2g} of the loss")
    assert difference(two, one) <= tolerance
