"""`swiftbench.tune`: a search over a training loop of one's own, from a script or a notebook."""

from __future__ import annotations

import atexit
import os
import sys
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models import own_loop
from suite.backends import launcher
from suite.core.errors import ConfigError, PausedError, StoppedError, SuiteError, check_integer
from suite.core.extras import need
from suite.core.metric import Metric
from suite.core.space import Constraints, Parameter, When
from suite.core.space_words import described, described_constraints
from suite.core.target import DATA
from swiftbench.tune_arguments import (
    as_object,
    extra_settings,
    goal,
    module_name,
    named,
    searched_space,
    training_loop,
)

NAME = "tune"
"""The runs lie in runs/tune/ unless `name` or `folder` says otherwise."""
KEPT_ALIVE = 32
"""Trials kept in memory where nothing saves them: the widest rung of max_epochs=27 has 16."""


@dataclass(frozen=True)
class TuneResult:
    """How a search ended. The same on every rank of an MPI launch.

    config: the best configuration; value: its metric after max_epochs; trial_id: its trial. trials: a row
    for each trial in the order in which they began: trial_id, seed, status, n_epochs, the metric's last and
    best value, train_s, and the configuration's values under their names. curves: trial_id -> the metric
    after epoch 1, 2, ... record: as in record.json (results_schema/). folder: the run's; `load_run(folder)`
    gives everything else. is_main: False on the ranks of an MPI launch that trained, so that a script can
    print once.
    """

    config: dict[str, Any]
    value: float
    trial_id: int
    trials: list[dict[str, Any]]
    curves: dict[int, list[float]]
    record: dict[str, Any]
    folder: Path
    is_main: bool = True

    def data_frame(self) -> Any:
        """`trials` as a pandas DataFrame. Raises ConfigError where pandas is not installed."""
        try:
            import pandas
        except ModuleNotFoundError:
            raise ConfigError(
                "data_frame(): needs pandas; pip install pandas, or use the rows in `trials`."
            ) from None
        return pandas.DataFrame(self.trials)


def tune(
    train: Any,
    space: Mapping[str, Parameter | When] | None = None,
    *,
    metric: str | Metric | None = None,
    mode: str | None = None,
    max_epochs: int,
    algorithm: str = "swift_svr",
    seed: int = 0,
    save: Callable[[Any, Path], Any] | None = None,
    load: Callable[[Path], Any] | None = None,
    keep_alive: int | None = None,
    catch: Iterable[type[Exception]] = (),
    data: str = "real",
    name: str = NAME,
    folder: str | os.PathLike[str] | None = None,
    settings: Sequence[str] = (),
    constraints: Constraints | None = None,
) -> TuneResult:
    """Search the space for the configuration with the best metric after `max_epochs` epochs.

    train: a generator function train(config) that trains one configuration and yields, after each epoch, the
    metric's value or a mapping of metrics. It may also take `seed` (of this trial: seed every random number
    with it), `device` ("cpu", "cuda:0") and `state` (see save). It is asked for as many epochs as the search
    wants, so it loops for ever or at least max_epochs times. Or train is an object, or a class made without
    arguments, with the methods of swiftbench.Target: start(config, seed) gives a training with
    train_epoch(epoch) and validate(), and test(), save(path), load(path) if it has them; stage(device) and
    warm_up() are called once a process if they are there.

    space: name -> swiftbench.Float, Int, Choice or Ordered; or swiftbench.When, around one that plays a part
    at times only: then `config` has it at these times alone. constraints: swiftbench.Constraints, what is
    never drawn. metric: what is optimised, by name; mode: "min" or "max",
    which may be left out for a name that ends in loss or error. A swiftbench.Target says all three itself.

    save, load: a search trains many configurations a little and continues with the best, so trials are put
    aside. With save(state, path) and load(path) -> state, e.g. torch.save and torch.load, `train` yields
    pairs (metrics, state) and starts from its argument `state`, None at first. Without them up to
    `keep_alive` trials of a process stay in memory (32 if not said, 1 with save and load). One that is not
    in memory, or trains on in another process or after an interruption, is trained again from its first
    epoch to where it was: that costs time (`restore` in the record), and the search ends with an error where
    its values differ.

    catch: exceptions of `train` that give up a trial; any other ends the search. algorithm: a file of
    conf/algorithm. seed: of the search. data: what the record says of the data: real, recorded, stand-in or
    synthetic. name: of the experiment in records. folder: of the run; an unfinished run in it is continued,
    a completed one is read. settings: further settings as on the command line, e.g. "eta=3",
    "backend.threads=4" (a worker's threads are 1), "backend.device=cuda".

    Runs in this process, or over MPI where the script is started with mpirun -n RANKS python script.py: every
    rank runs the script, rank 0 decides, the others train, and all return the same result. By
    default decisions follow a logical clock (overlap=logical), so the result does not depend on the number of
    workers if `train` is a function of configuration and seed.

    Raises ConfigError for a wrong argument; StoppedError where the search failed or no trial reached
    max_epochs; PausedError at a job's time limit (call it again with the same folder).
    """
    target = as_object(train)
    metric = goal(target, metric, mode)
    parameters, limits = searched_space(target, space, constraints)
    loop = training_loop(target, save, load, catch)
    label = f"{module_name(target)}.{named(target).__qualname__}"
    own_loop.known[label] = loop
    if data not in DATA:
        raise ConfigError(f"data={data}: must be one of {', '.join(DATA)}.")
    saves = loop.save is not None
    leaf = {
        "_target_": "models.own_loop.OwnLoop",
        "loop": label,
        "space": {name: described(one) for name, one in parameters.items()},
        "metric": metric.name,
        "mode": metric.mode,
        "data": data,
        "saves": saves,
    }
    if limits:
        leaf["constraints"] = described_constraints(limits)
    kept = keep_alive if keep_alive is not None else (1 if saves else KEPT_ALIVE)
    words = [
        f"algorithm={algorithm}",
        f"name={name}",
        f"seed={check_integer('seed', seed, 0)}",
        f"max_epochs={check_integer('max_epochs', max_epochs, 1)}",
        f"backend.resident_trials={check_integer('keep_alive', kept, 1)}",
        "overlap=logical", "score_test=false", "report=false", "tracking=later",
        *extra_settings(settings),
    ]  # fmt: skip
    place = None if folder is None else Path(folder).absolute()
    need("hydra")
    if not launcher.launched():
        return _searched(words, leaf, label, place)
    need("mpi4py")
    _listen(worker=launcher.rank() > 0)
    if launcher.rank() > 0:
        return _served()
    return _led(lambda: _searched(words, leaf, label, place))


# --- the search ---------------------------------------------------------------------------------------


def _searched(
    words: Sequence[str], leaf: Mapping[str, Any], label: str, folder: Path | None
) -> TuneResult:
    """One run, to its end. Only rank 0 comes here."""
    from suite.core.run_settings import RunSettings
    from suite.launch.begin import begin_or_continue
    from suite.launch.checks import check_folder, check_plain
    from suite.launch.compose import beside_hydra
    from suite.launch.runs import Runs

    with beside_hydra():
        runs = Runs(words)
        if runs.is_sweep:
            raise ConfigError(
                "settings: name one value each; tune is one search, call it once for each."
            )
        (run,) = runs
    config = {**run.config, "model": dict(leaf)}
    config["choices"] = {**config["choices"], "model": label, "task": None}
    check_plain(config)
    if folder is not None:
        check_folder(folder)
    outcome = begin_or_continue(RunSettings.of(config), folder or run.folder)
    if outcome.status == "interrupted":
        raise KeyboardInterrupt
    if outcome.status == "paused":
        why = outcome.reason.partition(";")[0]
        raise PausedError(f"{why}; call tune again with folder={outcome.folder} to continue.")
    if outcome.status == "failed":
        raise StoppedError(f"{outcome.reason} ({outcome.folder})")
    return _read(outcome.folder)


def _read(folder: Path) -> TuneResult:
    from suite.results import record
    from suite.results.fold import load_run

    view = load_run(folder)
    if view.winner is None:
        kinds = [trial.status for trial in view.trials.values()]
        count = ", ".join(f"{kinds.count(kind)} {kind}" for kind in sorted(set(kinds)))
        raise StoppedError(
            f"no trial reached max_epochs={view.header.max_epochs} ({count}); nothing is best. See {folder}."
        )
    winner = view.trials[view.winner]
    curves = {
        trial_id: [view.value(objective) for objective in trial.curve]
        for trial_id, trial in view.trials.items()
    }
    best = min if view.mode == "min" else max
    rows = [
        {
            "trial_id": trial_id,
            "seed": trial.seed,
            "status": trial.status,
            "n_epochs": len(trial.epochs),
            "last": curves[trial_id][-1] if curves[trial_id] else None,
            "best": best(curves[trial_id]) if curves[trial_id] else None,
            "train_s": sum(epoch.train_s + epoch.eval_s for epoch in trial.epochs),
            **trial.config,
        }
        for trial_id, trial in view.trials.items()
    ]
    value = view.value(winner.epochs[view.header.max_epochs - 1].objective)
    return TuneResult(
        dict(winner.config), value, view.winner, rows, curves, record.of(view), folder
    )


# --- over MPI -----------------------------------------------------------------------------------------


def _led(search: Callable[[], TuneResult]) -> TuneResult:
    """The search on rank 0; its result, or what went wrong, is handed to every other rank."""
    from suite.backends.mpi.world import world

    workers = world()
    _leave_cleanly(lambda: workers.is_whole)
    try:
        result = search()
    except KeyboardInterrupt:
        # mpirun ends the workers.
        raise
    except BaseException as error:
        known = isinstance(error, SuiteError)
        workers.hand_back(
            error if known else StoppedError(f"rank 0: {type(error).__name__}: {error}")
        )
        raise
    workers.hand_back(result)
    return result


def _served() -> TuneResult:
    """Train what rank 0 says, until the search is over."""
    from dataclasses import replace

    from suite.backends.mpi.serve import serve

    result, is_whole = serve()
    _leave_cleanly(lambda: is_whole)
    if isinstance(result, SuiteError):
        raise result
    assert isinstance(result, TuneResult)
    return replace(result, is_main=False)


_at_exit: list[Callable[[], bool]] = []


def _leave_cleanly(is_whole: Callable[[], bool]) -> None:
    """At the script's end: without a lost rank mpi4py ends MPI, with one that might wait for ever; after an
    error that nobody caught the other ranks must not wait for this one.
    """
    if not _at_exit:
        atexit.register(_leave)
    _at_exit[:] = [is_whole]


def _leave() -> None:
    from suite.backends.mpi import library

    sys.stdout.flush()
    sys.stderr.flush()
    if getattr(sys, "last_value", None) is not None:
        library.load().COMM_WORLD.Abort(1)
    if not _at_exit[0]():
        os._exit(0)


def _listen(worker: bool) -> None:
    """SIGUSR1 asks for a pause; mpirun forwards it to every rank."""
    from suite.run import limit

    if threading.current_thread() is threading.main_thread():
        limit.listen(worker=worker)
