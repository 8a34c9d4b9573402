"""Settings that all tests share; the builders are in kit/driving.py."""

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

MOST_WORKERS = 4
GIB_EACH = 4  # a process may hold two frameworks

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


def pytest_xdist_auto_num_workers(config):
    """Folders are tested by one process more than there are cores, as tests of MPI and of clocks wait for
    a third of their time; four at most, and no more than there is memory for.

    0, which is this process alone: for files and single tests, with -s, and for images and Slurm
    jobs, of which a machine takes one at a time.
    """
    folders = all((config.invocation_params.dir / path).is_dir() for path in config.args)
    machine = any(mark in config.getoption("-m") for mark in ("apptainer", "slurm"))
    if not folders or machine or config.getoption("-s") == "no":
        return 0
    gib = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    by_memory = max(1, int(gib / GIB_EACH))
    return min(len(os.sched_getaffinity(0)) + 1, MOST_WORKERS, by_memory)


def pytest_configure(config):
    """CI=true demands every test, but only where recorded curves were promised: by SUITE_DATA
    (.ci/run sets it) or by a data folder beside the checkout. Public forges set CI=true as well and
    have none: there it is as on anybody's machine, and what is skipped says so.
    """
    if os.environ.get("CI") != "true":
        return
    # It sets SUITE_DATA where there is a folder beside the checkout.
    from kit import driving

    if not os.environ.get("SUITE_DATA"):
        del os.environ["CI"]
    elif not (table := driving.DATA / "curves" / "mlpf_delphes.csv").exists():
        raise pytest.UsageError(
            f"CI=true: {table.name} is not in SUITE_DATA={driving.DATA}; put the recorded curves "
            "there, or unset SUITE_DATA to skip the tests that need them."
        )


def pytest_report_header(config):
    """Say once where recorded curves are taken from; the public workflow's summary shows it."""
    from kit import driving

    if driving.DATA.is_dir():
        return f"recorded curves: {driving.DATA}"
    return "recorded curves: none (SUITE_DATA names no folder); tests that need them are skipped"


def pytest_collection_modifyitems(config, items):
    """Slow tests run where CI=true, or when they are asked for with -m.

    Those of images and of Slurm only when asked for: as an ordinary user, who may submit jobs; so are those
    that fetch packages, and further cases of a kind of which CI runs a sample (-m exhaustive).
    """
    asked = config.getoption("-m")
    user = ", as an ordinary user (.ci/run does)"
    for item in items:
        for mark, how in (
            ("apptainer", user),
            ("slurm", user),
            ("network", ""),
            ("exhaustive", ""),
        ):
            if item.get_closest_marker(mark) and mark not in asked:
                reason = f"-m {mark} runs it{how}"
                item.add_marker(pytest.mark.skip(reason=reason))
    if os.environ.get("CI") == "true" or config.getoption("-m"):
        return
    for item in items:
        if "slow" in item.keywords:
            item.add_marker(pytest.mark.skip(reason="slow: CI=true or -m slow runs it"))


@pytest.fixture(autouse=True)
def own_environment():
    """What a test sets for frameworks it imports must not reach the next one in this process."""
    before = dict(os.environ)
    yield
    for name in os.environ.keys() - before.keys():
        del os.environ[name]
    for name in before.keys() - {k for k, v in os.environ.items() if before.get(k) == v}:
        os.environ[name] = before[name]


@pytest.fixture
def tmp_path(tmp_path):
    """A folder without siblings: many tests use it as a run's, and a run reads those beside it."""
    folder = tmp_path / "test"
    folder.mkdir()
    return folder


@pytest.fixture
def no_fsync(monkeypatch):
    """Tests that write thousands of small files need them in order, not on the disk."""
    monkeypatch.setattr(os, "fsync", lambda fd: None)
