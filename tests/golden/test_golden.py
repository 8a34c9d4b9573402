"""One small journal for each scheduler that comes with the suite, byte for byte: a change of results is a
visible diff. A newcomer's scheduler needs none.

    python -m pytest tests/golden --regenerate-golden

rewrites them. The clock stands still, the header holds no fact of a host, and forecasts come
without a library, so
that the bytes are the same on every machine.
"""

from pathlib import Path

import pytest

from kit.driving import LastValue, compose, search
from models.synthetic_curves import TableTarget
from suite.core.plugins import make
from suite.run import journal as journals

GOLDEN = Path(__file__).parent
SMALL = ("max_epochs=8", "eta=2", "+common.n_curves=3", "overlap=false", "predictor=svr")
OURS = (
    "asha", "calibrated_gate", "fast_hyperband", "fit_and_threshold", "forecasting", "hyperband", "joint",
    "looped", "one_epoch",
    "pasha", "price", "random_search", "random_search_filling", "successive_halving", "swift", "swift_asha",
    "swift_hyperband",
)  # fmt: skip
# What makes a small run show what its scheduler is about.
MORE = {
    "calibrated_gate": ("max_epochs=16", "scheduler.least_share=0.6"),
    "asha": ("scheduler.min_epochs=2", "scheduler.eta=2", "scheduler.n_trials=16"),
    "forecasting": ("scheduler.min_epochs=2", "scheduler.eta=2", "scheduler.n_trials=24"),
    "joint": (
        "scheduler.n_epochs=150",
        "scheduler.optimizer={_target_: suite.optimizers.halving.Halving, eta: 2}",
    ),
    "looped": ("max_epochs=4", "scheduler.n_trials=25"),
    "one_epoch": ("scheduler.n_trials=18", "scheduler.k=17"),
    "pasha": ("scheduler.min_epochs=2", "scheduler.eta=2", "scheduler.n_trials=16"),
    "price": (
        "scheduler.policy=price",
        "scheduler.n_epochs=80",
        "scheduler.lowest_share=0.25",
        "scheduler.outlook_node_hours=null",
    ),
    "random_search": ("scheduler.n_trials=5",),
    "random_search_filling": ("scheduler.n_workers=3", "scheduler.most=9"),
    "successive_halving": ("scheduler.min_epochs=2",),
    "swift_hyperband": ("max_epochs=16", "scheduler.full_share=0.6"),
}
# What has no file in conf/scheduler: it is around another one, by the settings of `forecast`.
AROUND = {"forecasting": "asha"}


def composed(name, *more):
    return compose(f"scheduler={AROUND.get(name, name)}", *SMALL, *MORE.get(name, ()), *more)


def leaf_of(name):
    config = composed(name)
    if name not in AROUND:
        return config["scheduler"]
    around = {
        "_target_": f"suite.schedulers.{name}.{name.title()}",
        "scheduler": config["scheduler"],
    }
    return {**around, **config["forecast"]}


@pytest.mark.parametrize("name", OURS)
def test_the_journal_is_the_same_byte_for_byte(name, tmp_path, request, no_fsync):
    leaf = leaf_of(name)
    target = TableTarget(diverge_below=6)  # a trial in ten diverges
    search(
        tmp_path,
        make(leaf, "scheduler"),
        target,
        predictor=LastValue(),
        seed=5,
        header={"scheduler": leaf, "seed": 5},
    )
    fresh = (tmp_path / journals.NAME).read_text()
    golden = GOLDEN / f"{name}.jsonl"
    if request.config.getoption("--regenerate-golden"):
        golden.write_text(fresh)
    if not golden.exists():
        pytest.fail(f"no golden journal of {name}: --regenerate-golden writes one")
    was, now = golden.read_text().splitlines(), fresh.splitlines()
    for number, (old, new) in enumerate(zip(was, now, strict=False), start=1):
        assert new == old, (
            f"{golden.name}, line {number}: this version decides or computes differently. "
            "If that is meant, run with --regenerate-golden, look at the diff, and say why "
            "under `Results change` in CHANGELOG.md."
        )
    assert fresh == golden.read_text()


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.jsonl")), ids=lambda path: path.stem)
def test_a_golden_journal_shows_something_and_says_nothing_of_a_host(path):
    header, lines, size = journals.read(path)
    assert set(header) == {"journal", "scheduler", "seed"} and size == path.stat().st_size < 60_000
    assert path.stem in OURS, "its scheduler is gone: remove it too"
    assert lines[-1]["status"] == "completed" and all(
        not line.get("time_s") or line["time_s"] == [0.0] for line in lines
    )
    assert any(line["event"] == "failed" and line["reason"] == "diverged" for line in lines)
    if path.stem in ("forecasting", "swift_hyperband"):
        assert any(line.get("stopped") for line in lines) and any(
            line["event"] == "forecast" for line in lines
        )
