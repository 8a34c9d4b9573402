"""A search over two batch jobs, in real time, cut at lines of its journal: a third job goes on."""

import os

import pytest

from kit.cuts import cut, went_on
from kit.driving import configured
from suite.launch.begin import Begin
from suite.results.fold import load_run
from suite.run import journal as journals

WORDS = (
    "model=table_target", "model.sleep_s=0.02", "max_epochs=4", "backend=inline", "budget.end=job",
    "budget.allow_short=true", "backend.pause_before_s=2", "tracking=later", "report=false", "resume=auto",
)  # fmt: skip
PRICE = ("scheduler.n_trees=2", "scheduler.n_candidates=8", "scheduler.n_least=4")
ALGORITHMS = {
    "price": ("algorithm=price", *PRICE),
    "price_rank": ("algorithm=price_rank", *PRICE),
    "hyperband_looped": ("algorithm=hyperband_looped",),
}
SAMPLE, JOB_S = 3, 0.5


@pytest.fixture(params=ALGORITHMS.values(), ids=ALGORITHMS)
def words(request, job, short, no_fsync):
    short(JOB_S)
    job(600.0)
    return (*WORDS, *request.param)


def trained(folder, words):
    return Begin(configured(*words), folder, "auto").run()


class Kept:
    """The checkpoints of a run as they were when each line of its journal was written.

    Each file is linked once; of a line, the names that there were.
    """

    def __init__(self, checkpoints, to):
        self._checkpoints, self._to = checkpoints, to
        self._then = []
        to.mkdir()

    def note(self):
        files = [path for path in self._checkpoints.rglob("*") if path.is_file()]
        self._then.append({f.relative_to(self._checkpoints): str(f.stat().st_ino) for f in files})
        for file in files:
            if not (held := self._to / str(file.stat().st_ino)).exists():
                os.link(file, held)

    def restore(self, n, to):
        """As they were after n lines."""
        for name, held in self._then[n - 1].items():
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            os.link(self._to / held, to / name)


@pytest.fixture
def whole(tmp_path, words, monkeypatch):
    """The journal's lines of a run over two jobs, and its checkpoints as they were at each."""
    folder, write = tmp_path / "whole", journals.Journal.write
    kept, n_written = Kept(folder / "checkpoints", tmp_path / "kept"), 0

    def noted(self, line):
        nonlocal n_written
        write(self, line)
        n_written += 1
        kept.note()

    with monkeypatch.context() as patch:
        patch.setattr(journals.Journal, "write", noted)
        for _ in range(2):
            outcome = trained(folder, words)
            assert outcome.status == "completed" and outcome.reason.startswith("budget.end=job: ")
    rows = (folder / journals.NAME).read_text().splitlines(keepends=True)
    assert sum('"event":"allocation"' in row for row in rows) >= 2 and len(rows) == n_written
    return rows, kept


def goes_on_after(whole, n, folder, words):
    rows, kept = whole
    n_unsaved = cut(rows, n, folder)
    kept.restore(n, folder / "checkpoints")
    n_before = load_run(folder).n_epochs
    view = went_on(trained(folder, words), rows[:n], n_unsaved, folder)
    assert view.n_epochs > n_before, n


@pytest.mark.slow
def test_cut_at_a_line_the_next_job_goes_on(tmp_path, whole, words):
    for i in range(1, SAMPLE + 1):
        at = i * len(whole[0]) // (SAMPLE + 1)
        goes_on_after(whole, at, tmp_path / str(at), words)


@pytest.mark.exhaustive
@pytest.mark.timeout(7200)
def test_so_it_does_at_every_line(tmp_path, whole, words):
    for at in range(1, len(whole[0]) + 1):
        goes_on_after(whole, at, tmp_path / str(at), words)
    print(f"\n{len(whole[0])} cuts")
