"""The first line of a journal, parsed once into a frozen, typed header. No other reader uses its keys.

Headers of revision 0e27403 have no `choices`: what ran is then read from the classes that its configuration
names, and a run that was labelled otherwise is named by what ran.
"""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from suite.core import moved
from suite.core.errors import JournalError
from suite.core.metric import MODES, Metric
from suite.core.printable import printable
from suite.results.typed import COUNT, FLAG, INTEGER, NUMBER, TEXT, WORD, Keys, Rule, list_of
from suite.run import agreement
from suite.run import journal as journals

REQUIRED = ("run_id", "date_utc", "algorithm", "model", "seed", "max_epochs", "target")
Settings = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Parts:
    """What ran, by the names of the YAML files."""

    scheduler: str
    predictor: str
    searcher: str

    @property
    def name(self) -> str:
        """The scheduler, then the predictor if there is one, then the searcher if it is not random.

        >>> Parts("swift_hyperband", "constant", "random").name
        'swift_hyperband+constant'
        """
        names = [self.scheduler]
        names += [self.predictor] if self.predictor != "none" else []
        names += [self.searcher] if self.searcher != "random" else []
        return "+".join(names)


BASELINE = Parts("hyperband", "none", "random")

_LABELS_OF_0E27403 = {
    "asha": Parts("asha", "none", "random"),
    "asha_gp": Parts("asha", "none", "gp"),
    "bohb": Parts("hyperband", "none", "tpe"),
    "calibrated_gate": Parts("calibrated_gate", "none", "random"),
    "fast_hyperband": Parts("fast_hyperband", "loo_svr", "random"),
    "fit_and_threshold": Parts("fit_and_threshold", "svr", "random"),
    "grid_search": Parts("random_search", "none", "grid"),
    "hyperband": BASELINE,
    "pasha": Parts("pasha", "none", "random"),
    "random_search": Parts("random_search", "none", "random"),
    "successive_halving": Parts("successive_halving", "none", "random"),
    "swift": Parts("swift", "none", "extra_trees"),
    "swift_asha": Parts("swift_asha", "none", "extra_trees"),
    "swift_constant": Parts("swift_hyperband", "constant", "random"),
    "swift_qsvr": Parts("swift_hyperband", "qsvr", "random"),
    "swift_qsvr_published": Parts("swift_hyperband", "qsvr_published", "random"),
    "swift_random": Parts("swift", "none", "random"),
    "swift_save": Parts("swift", "none", "extra_trees"),
    "swift_svr": Parts("swift_hyperband", "svr", "random"),
}
"""What the labels of that revision's conf/algorithm stood for; its other labels are taken as they are."""


@dataclass(frozen=True, slots=True)
class TargetLabel:
    """What was trained. data: real, stand-in, recorded, surrogate or synthetic. conditional: names of
    hyperparameters that some trials have only.
    """

    metric: Metric
    data: str | None
    framework: str | None
    conditional: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reference:
    """Objective values of a curve table at max_epochs, in the metric's own direction."""

    best: float
    median: float


@dataclass(frozen=True, slots=True)
class BackendLabel:
    """What readers ask of a backend's settings. settings: all of them, for display and comparison."""

    dispatch: str
    job_overhead_s: float
    device: str
    threads: int
    settings: Settings


@dataclass(frozen=True, slots=True)
class RunHeader:
    """What a run was asked to do, and where. None: the journal does not say.

    command: the words of the command line that asked for the run; empty where it is unknown.
    algorithm: named by what ran; label: what the run called itself. parts: what ran. simulated: its seconds
    were made up. reference: of a curve table. table: its name. n_workers: asked for. overlap: true, false or
    "logical". config, model_settings, scheduler_settings: plain mappings, for display and comparison only.
    """

    run_id: str
    date_utc: str
    began: datetime.datetime
    algorithm: str
    label: str
    parts: Parts | None
    model: str
    task: str | None
    seed: int
    max_epochs: int
    target: TargetLabel
    command: tuple[str, ...]
    experiment: str | None
    suite_version: str | None
    n_workers: int | None
    overlap: Any
    reproducible: str | None
    simulated: bool
    reference: Reference | None
    table: str
    margin_nregret: float | None
    backend: BackendLabel
    scheduler_class: str | None
    predictor_class: str | None
    config: Settings | None
    model_settings: Settings | None
    target_settings: Settings
    versions: Settings | None
    git: Settings | None
    host: Settings | None
    image: Settings | None

    @property
    def metric(self) -> Metric:
        return self.target.metric

    @property
    def revision(self) -> str | None:
        """The suite's revision; None where it is unknown."""
        return (self.git or {}).get("revision")

    @property
    def changed(self) -> bool:
        """Whether the checkout held changes that were not committed."""
        return bool((self.git or {}).get("dirty"))

    @property
    def is_baseline(self) -> bool:
        """Whether plain Hyperband ran: by its parts, or by its label where no part is known."""
        return self.label == BASELINE.name if self.parts is None else self.parts == BASELINE

    @property
    def mislabelled(self) -> bool:
        """Whether the run called itself by the name of an algorithm that it did not run."""
        return self.algorithm != self.label


def read_header(folder: Path, clean: Any = lambda line: line) -> RunHeader:
    """The header of a run folder's journal. clean: applied to it first. Raises JournalError."""
    return parse_header(clean(journals.read_header(folder / journals.NAME)), folder.name)


def parse_header(line: Mapping[str, Any], name: str) -> RunHeader:
    """The header of a journal's first line; name: of its folder, for errors.

    Raises JournalError for a header without what every run has, or with a key of another type, by its name.
    """
    try:
        return _parsed(Keys(line))
    except ValueError as error:
        raise JournalError(
            f"{printable(name)}: the journal's header: {error}; no version writes that. Restore the journal "
            "from a copy, or run it again."
        ) from None


def _parsed(line: Keys) -> RunHeader:
    _check(line)
    target, config = line.keys("target") or Keys({}), line.keys("config")
    has = config or Keys({})
    leaves = {part: has.keys(part) for part in (*_PARTS, "model", "backend")}
    backend = leaves["backend"] or Keys({})
    choices = line.keys("choices")
    parts = _chosen(choices) if choices else _classes(leaves)
    label, model = str(line.word("algorithm")), str(line.word("model"))
    return RunHeader(
        run_id=str(line.word("run_id")),
        date_utc=str(line.word("date_utc")),
        began=_date(line),
        algorithm=label if choices else _name(label, parts),
        label=label,
        parts=parts,
        model=model,
        task=choices.word("task") if choices else None,
        seed=line.get("seed", INTEGER),
        max_epochs=line.get("max_epochs", _POSITIVE),
        target=TargetLabel(
            Metric(str(target.word("metric")), target.get("mode", _MODE), target.word("unit") or "1"),
            target.word("data"), target.word("framework"),
            tuple(target.get("conditional", list_of(TEXT), ())),
        ),
        command=tuple(line.get("command", list_of(TEXT), ())),
        experiment=line.word("experiment"),
        suite_version=line.word("suite_version"),
        n_workers=line.get("n_workers", COUNT),
        overlap=line.get("overlap", _OVERLAP),
        reproducible=line.word("reproducible"),
        simulated=bool(line.get("simulated", FLAG)) or journals.simulated(line.values),
        reference=_reference(line.keys("reference")),
        table=_table(model, leaves["model"]) if "reference" in line.values else model,
        margin_nregret=has.get("margin_nregret", NUMBER),
        backend=BackendLabel(
            dispatch=backend.get("dispatch", TEXT, "free"),
            job_overhead_s=backend.get("job_overhead_s", NUMBER, 0.0),
            device=backend.word("device") or "auto",
            threads=backend.get("threads", COUNT, 1),
            settings=backend.values,
        ),
        scheduler_class=_class(leaves["scheduler"]),
        predictor_class=_class(leaves["predictor"]),
        config=config.values if config else None,
        model_settings=leaves["model"].values if leaves["model"] else None,
        target_settings=target.values,
        versions=_words(line, "versions"),
        git=_checked(line, "git", {"revision": TEXT, "dirty": FLAG}),
        host=_checked(line, "host", {"cpu": TEXT, "n_cores": COUNT, "os": TEXT, "mpi": TEXT}),
        image=_checked(line, "image", {"digest": TEXT, "label": TEXT}),
    )  # fmt: skip


_PARTS = ("scheduler", "predictor", "searcher")
_Leaves = Mapping[str, Keys | None]
_POSITIVE = Rule(lambda value: COUNT.holds(value) and value >= 1, "an integer >= 1")
_MODE = Rule(lambda value: value in MODES, "min or max")
_OVERLAP = Rule(
    lambda value: isinstance(value, bool) or value == "logical", "true, false or logical"
)
_YEARS = (1970, 9000)


def _check(line: Keys) -> None:
    """What every run has."""
    missing = [key for key in REQUIRED if line.values.get(key) is None]
    target = line.keys("target")
    if target is not None:
        absent = [key for key in ("metric", "mode") if target.values.get(key) in (None, "")]
        missing += [f"target.{key}" for key in absent]
    if missing:
        raise ValueError(f"has no {', '.join(missing)}")
    if not line.get("run_id", _RUN_ID):
        raise line.refusal("run_id", _RUN_ID.words)


_RUN_ID = Rule(lambda value: WORD.holds(value) and value != "", "text or a number")


def _date(line: Keys) -> datetime.datetime:
    rule = f"like 2026-01-31T12:00:00Z, of the years {_YEARS[0]} to {_YEARS[1]}"
    try:
        date = datetime.datetime.fromisoformat(str(line.word("date_utc")))
    except ValueError:
        raise line.refusal("date_utc", rule) from None
    if not _YEARS[0] <= date.year <= _YEARS[1]:
        raise line.refusal("date_utc", rule)
    return date if date.tzinfo else date.replace(tzinfo=datetime.UTC)


def _words(line: Keys, key: str) -> Settings | None:
    """A mapping from names to words."""
    inner = line.keys(key)
    return None if inner is None else {name: inner.word(name) for name in inner.values}


def _checked(line: Keys, key: str, rules: Mapping[str, Rule]) -> Settings | None:
    """A mapping of which these keys are asked for."""
    if (inner := line.keys(key)) is None:
        return None
    for name, rule in rules.items():
        inner.get(name, rule)
    return inner.values


def _class(leaf: Keys | None) -> str | None:
    return leaf.get("_target_", TEXT) if leaf else None


def _chosen(choices: Keys) -> Parts | None:
    names = [choices.word(part) for part in _PARTS]
    return None if None in names else Parts(*map(str, names))


def _classes(leaves: _Leaves) -> Parts | None:
    """The parts whose classes a configuration names; None where it does not name all of them."""
    named = [leaf for part in _PARTS if (leaf := leaves[part]) and "_target_" in leaf.values]
    if len(named) < len(_PARTS):
        return None
    classes = [_class(leaf) for leaf in named]
    if not classes[0] or not classes[2]:
        return None
    parts = Parts(*(module_of(path) or "none" for path in classes))
    if parts.predictor == "qsvr" and named[1].values.get("encoding") == "published":
        return dataclasses.replace(parts, predictor="qsvr_published")
    return parts


def module_of(path: str | None) -> str | None:
    """The last module of a class's dotted path, as it is called today.

    >>> module_of("models.table.Table")
    'recorded_curves'
    """
    return moved.current(path).split(".")[-2] if path and "." in path else path or None


def _name(label: str, parts: Parts | None) -> str:
    """What ran: the label where it stands for it, else the one label that does, else the parts."""
    if parts is None or _LABELS_OF_0E27403.get(label, parts) == parts:
        return label
    others = [name for name, known in _LABELS_OF_0E27403.items() if known == parts]
    return others[0] if len(others) == 1 else parts.name


def _reference(values: Keys | None) -> Reference | None:
    if values is None or not values.values:
        return None
    best, median = values.get("best", NUMBER), values.get("median", NUMBER)
    if best is None or median is None:
        raise ValueError("reference: must have best and median")
    return Reference(float(best), float(median))


def _table(model: str, settings: Keys | None) -> str:
    """The curve table's name, which is its file's."""
    description = settings.keys("description") if settings else None
    file = description.get("file", TEXT) if description else None
    return (file or "table").removesuffix(".csv")


def as_trained(header: RunHeader, facts: Sequence[Mapping[str, Any]]) -> RunHeader:
    """The header with what became of the run: `data` by what its workers staged, and `reproducible` by
    whether one code trained all of it.

    facts: of rank 0's first process, of each that resumed the run, of each worker.
    """
    label = agreement.data_label(header.target.data, [one.get("data_set") for one in facts])
    target = dataclasses.replace(header.target, data=label)
    alike = agreement.is_one_training(facts)
    reproducible = header.reproducible if alike or not header.reproducible else "prefix only"
    return dataclasses.replace(header, target=target, reproducible=reproducible)
