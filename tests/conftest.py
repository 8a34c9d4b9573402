"""Settings that all tests share; the builders are in driving.py."""

import os
import signal

import pytest
from hypothesis import HealthCheck, settings

# Frameworks in this process: one thread, as on every worker.
for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(name, "1")

# A shell's background job ignores Ctrl-C, and so would what the tests launch and interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile(
    "suite",
    derandomize=True,
    deadline=None,
    max_examples=40,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("suite")


def pytest_addoption(parser):
    parser.addoption(
        "--regenerate-golden",
        action="store_true",
        help="rewrite tests/golden/*.jsonl; say why in the changelog under `Results change`",
    )


def pytest_sessionstart(session):
    """With CI=true no test may skip for want of recorded curves: better no run than that."""
    import driving

    table = driving.DATA / "curves" / "mlpf_delphes.csv"
    if os.environ.get("CI") == "true" and not table.exists():
        raise pytest.UsageError(
            f"CI=true: {table.name} is not in SUITE_DATA={driving.DATA}; the tests need it there."
        )


def pytest_collection_modifyitems(config, items):
    """Slow tests run where CI=true, or when they are asked for with -m.

    Those of images and of Slurm only when asked for: as an ordinary user, who may submit jobs.
    """
    asked = config.getoption("-m")
    for item in items:
        for mark in ("apptainer", "slurm"):
            if item.get_closest_marker(mark) and mark not in asked:
                reason = f"-m {mark} runs it, as an ordinary user (.ci/run does)"
                item.add_marker(pytest.mark.skip(reason=reason))
    if os.environ.get("CI") == "true" or config.getoption("-m"):
        return
    for item in items:
        if "slow" in item.keywords:
            item.add_marker(pytest.mark.skip(reason="slow: CI=true or -m slow runs it"))


@pytest.fixture
def no_fsync(monkeypatch):
    """Tests that write thousands of small files need them in order, not on the disk."""
    monkeypatch.setattr(os, "fsync", lambda fd: None)
