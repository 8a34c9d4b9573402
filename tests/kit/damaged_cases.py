"""The damaged inputs of tests/kit/damaged_inputs.py: small whole ones, and how they are damaged by a seed."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from kit import mutations as m
from kit.driving import compose
from suite.core.run_settings import RunSettings
from suite.curves import recorder
from suite.launch import execute
from suite.run.paths import CONF

WORDS = (
    "", " ", "abc", "-1", "0", "1", "2", "3", "+2", "²", "٣", "1_0", "4(x2)", "1e3", "1e400", "nan",
    "inf", "4.0", "9" * 30, "9" * 5000, "null", "true", "[", "{a:", "{a: 1}", "[1,2]", "${x}",
    "${oc.env:HOME}", "'", '"', "range(3)", "a b", "a,b", "../x", "/", "/dev/null", "/dev/zero",
    "/etc/passwd", "http://me:X@h", "\x1b[2J", "\u202e", "é", "\n", "$(id)", "a;b", "NoDevFiles",
    "GPU-1", "MIG-1/2/3", "0,0", "0,abc", "-1,0", "all",
)  # fmt: skip
"""What no one would write for a setting or a variable. An environment holds no NUL."""

VARIABLES = (
    "SUITE_RUNS", "SUITE_STAMP", "SUITE_DATA", "SUITE_CACHE", "SUITE_STORE", "SUITE_PLUGINS",
    "SUITE_PROGRESS", "SUITE_END_TIME", "SUITE_WORLD_SIZE", "SUITE_SITE", "SUITE_VERDICT",
    "SUITE_IMAGE", "SUITE_IMAGE_DIGEST", "SUITE_GIT_REVISION", "SLURM_JOB_ID", "SLURM_NTASKS",
    "SLURM_PROCID", "SLURM_STEP_ID", "SLURM_JOB_END_TIME", "SLURM_RESTART_COUNT", "SLURM_CPUS_PER_TASK",
    "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK", "PMI_SIZE", "PMI_RANK", "PMIX_RANK",
    "CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES", "OMP_NUM_THREADS",
    "XDG_CACHE_HOME", "HOME", "USER", "LOGNAME", "COLUMNS", "MLFLOW_TRACKING_URI",
)  # fmt: skip

KEYS = (
    "seed", "name", "eta", "max_epochs", "n_seeds", "overlap", "report", "score_test",
    "keep_checkpoints", "margin_nregret", "budget", "budget.n_trials", "common", "common.n_curves",
    "model", "model.noise", "model.fixed", "model._target_", "backend", "backend.device",
    "backend.checkpoints", "backend.workers", "scheduler", "scheduler.n_trials", "scheduler._target_",
    "predictor", "predictor.features", "searcher", "algorithm", "task", "experiment", "tracking",
    "tracking.when", "resume", "virtual_cluster", "hydra", "hydra.mode", "hydra.run.dir",
    "hydra.sweep.dir", "hydra.sweep.subdir", "hydra.sweeper.params", "hydra.searchpath",
    "hydra.job.env_set", "hydra/launcher", "nothing", "", "=", "@",
)  # fmt: skip


class Case(NamedTuple):
    """A damaged input. what: for a failure's message."""

    what: str
    value: Any


PIECES = (
    b"", b",", b"\n", b"\r", b"\r\n", b'"', b"'", b"\0", b"\xef\xbb\xbf", b"\xff\xfe", b"\xed\xa0\x80",
    b"_", b"nan", b"inf", b"1e999", b"-", b"0x1", b"\xc3\xa9", b"\xe2\x80\xa8", b"9" * 400, b"9" * 5000,
    b"[", b"]", b"{", b"}", b": ", b"&a ", b"*a", b"!!x ", b"? ", b"- ", b"#", b"\t", b"|", b"${", b"}",
    b"\x1b[2J", b"x" * 140_000,
)  # fmt: skip


def edits(data: bytes, n: int, seed: int) -> Iterator[Case]:
    """One bit of a byte, or one to three places cut and written anew, or lines taken away or doubled."""
    draw = random.Random(seed)
    for _ in range(n):
        kind, changed = draw.randrange(4), bytearray(data)
        rows = data.splitlines(keepends=True)
        at = draw.randrange(len(data))
        if kind == 0:
            bit = draw.randrange(8)
            changed[at] ^= 1 << bit
            yield Case(f"byte {at}, bit {bit}", bytes(changed))
        elif kind == 1 and len(rows) > 1:
            i = draw.randrange(len(rows))
            again = draw.choice((0, 2))
            yield Case(
                f"line {i + 1} {again} times",
                b"".join([*rows[:i], *[rows[i]] * again, *rows[i + 1 :]]),
            )
        else:
            what = []
            for _ in range(draw.randint(1, 3)):
                at, cut, piece = (
                    draw.randrange(len(changed) + 1),
                    draw.randint(0, 3),
                    draw.choice(PIECES),
                )
                changed[at : at + cut] = piece
                what.append(f"byte {at}: -{cut} +{piece[:12]!r}")
            yield Case(", ".join(what), bytes(changed))


def values(document: Any, n: int, seed: int) -> Iterator[Case]:
    """A value of a document of another type or size, or taken away, as JSON text."""
    everything = [Case(what, text.encode()) for what, text in m.changes(document, "")]
    yield from random.Random(seed).sample(everything, min(n, len(everything)))


TABLE = b"a,b,v1,v2,t1,t2\n0.1,x,3,4,1,1\n0.2,y,5,,1,1\n1e-3,z,0,0,1,1\n0.1,x,3,3.5,2,2\n0.3,w,2,1,1,1\n"
DESCRIPTION = {
    "file": "t.csv", "hyperparameters": ["a", "b"], "curve": {"prefix": "v", "first": 1, "last": 2},
    "train_s": {"prefix": "t", "first": 1, "last": 2}, "metric": "val_loss", "mode": "min",
    "types": {"a": "number", "b": "text"}, "trailing_zeros": "values", "data": "recorded", "licence": "MIT",
}  # fmt: skip
SCALED = {
    **{k: v for k, v in DESCRIPTION.items() if k != "types"}, "rows": 5, "unit": "1",
    "scales": {"a": "log", "b": ["w", "x", "y", "z"]},
}  # fmt: skip


def descriptions(folder: Path, n: int, seed: int) -> Iterator[Case]:
    for i, described in enumerate((DESCRIPTION, SCALED)):
        yield from values(described, n // 2, seed + i)


def table_bytes(folder: Path, n: int, seed: int) -> Iterator[Case]:
    yield from edits(TABLE, n, seed)


def model_yaml(folder: Path, n: int, seed: int) -> Iterator[Case]:
    leaf = {
        "_target_": "models.recorded_curves.Table", "folder": str(folder), "repeats": "draw",
        "description": DESCRIPTION,
    }  # fmt: skip
    yield from edits(yaml.safe_dump(leaf).encode(), n - n // 2, seed)
    yield from values(leaf, n // 2, seed)


def packages(folder: Path, n: int, seed: int) -> Iterator[Case]:
    whole = package(folder)
    descriptor = (whole / "datapackage.json").read_bytes()
    for case in values(json.loads(descriptor), n // 2, seed):
        yield Case(case.what, ("datapackage.json", case.value))
    for case in edits(descriptor, n // 4, seed):
        yield Case(case.what, ("datapackage.json", case.value))
    for case in edits((whole / "t.csv").read_bytes(), n - n // 2 - n // 4, seed + 1):
        yield Case(f"t.csv: {case.what}", ("t.csv", case.value))


def package(folder: Path) -> Path:
    """A recorded package, made once."""
    to = folder / "package"
    if not to.is_dir():
        words = ("model=table_target", "max_epochs=2", "backend=inline", "algorithm=random_search", "name=p",
                 "report=false", "tracking=later", "scheduler.n_trials=4")  # fmt: skip
        execute.run(RunSettings.of(compose(*words)), folder / "run")
        recorder.record([folder / "run"], to, name="t")
    return to


def retrained(folder: Path, n: int, seed: int) -> Iterator[Case]:
    one = {
        "rank": 1, "role": "winner", "trial": 3, "config": {"x": 0.5}, "seeds": [1, 2],
        "curves": {"values": [[3.0, 2.0], [3.0, 2.5]]},
        "validation": {"values": {"values": [2.0, 2.5], "unit": "1"}},
        "test": {"values": {"values": [2.1, 2.4], "unit": "1"}},
    }  # fmt: skip
    document = {
        "schema_version": "1.2.0", "run_id": "a", "algorithm": "hyperband", "seed": 0, "metric": "val_loss",
        "mode": "min", "data": "synthetic", "max_epochs": {"value": 2},
        "trials": [one, {**one, "role": "default"}],
        "gain": {"test": {"value": 0.1, "low": 0.0, "high": 0.2, "level": 0.95, "n": 2}},
    }  # fmt: skip
    yield from values(document, n - n // 3, seed)
    yield from edits(json.dumps(document, indent=1).encode(), n // 3, seed)


def catalogues(folder: Path, n: int, seed: int) -> Iterator[Case]:
    whole = yaml.safe_load((CONF / "curve_tables.yaml").read_text())
    family = next(iter(whole))
    tables = whole[family]["tables"]
    small = {family: {**whole[family], "tables": dict([next(iter(tables.items()))])}}
    yield from values(small, n - n // 3, seed)
    yield from edits(yaml.safe_dump(small).encode(), n // 3, seed)


def published_files() -> dict[str, tuple[str, dict[str, bytes]]]:
    """Family -> (table, files as its publisher writes them, small); the numbers are made up."""
    epochs = range(1, 41)
    klein = {
        "config": {"log10_learning_rate": -2, "batch_size": 100.123456789},
        "learning_curve": [0.5 / epoch for epoch in epochs], "time_steps": [10.0 * epoch for epoch in epochs],
    }  # fmt: skip
    rl = {
        "gamma": 0.8, "learning_rate": -1, "clip": 0.2, "returns_eval": [float(i) for i in range(100)],
        "timestamps_eval": [5.0 * (i + 1) for i in range(100)],
    }  # fmt: skip
    losses = [9.0, *(1.0 / i for i in range(1, 51))]
    taskset = [{"hp": {"beta1": 0.9}, "valid": {"loss": losses}}]
    deepobs = {
        "optimizer": "AdamOptimizer", "learning_rate": 1.584893192461114, "num_epochs": 100,
        "test_losses": [9.0, *(float(i) for i in range(1, 101))],
    }  # fmt: skip
    header = ["base_model", "training_dataset", "lr", "ss", *(f"acc_{i}" for i in range(501))]
    row = ["alexnet", "imagenet", "0.00019696571", "6667", *(str(i / 1000) for i in range(501))]
    trial = "logs/nadamw/study_0/wmt_jax/trial_1"
    settings = {
        "learning_rate": 1e-3, "one_minus_beta1": 0.1, "beta2": 0.99, "weight_decay": 0.1,
        "warmup_factor": 0.02, "dropout_rate": 0.1, "label_smoothing": 0.0,
    }  # fmt: skip
    bleu = [f"{value},{80.0 * i + 60}" for i, value in enumerate([1.0, 2.0, 9.0, 30.0, 31.0, 32.0])]
    measured = ["validation/bleu,accumulated_submission_time", *bleu, ""]
    return {
        "klein": ("cnn_cifar10_klein", {"data/config_2.json": json.dumps(klein).encode()}),
        "rl": ("rl_ppo_pong", {"a_eval.json": json.dumps(rl).encode()}),
        "taskset": ("t", {"t.json": json.dumps(taskset).encode()}),
        "deepobs": ("t", {"a.json": json.dumps(deepobs).encode()}),
        "alexnet": ("alexnet_imagenet", {"a.csv": "\n".join(map(",".join, [header, row])).encode()}),
        "algoperf": (
            "algoperf_wmt",
            {
                f"{trial}/eval_measurements.csv": "\n".join(measured).encode(),
                f"{trial}/hparams.json": json.dumps(settings).encode(),
            },
        ),
    }  # fmt: skip


def published(folder: Path, n: int, seed: int) -> Iterator[Case]:
    families = published_files()
    for family, (name, files) in families.items():
        each = n // len(families) // len(files)
        for path, content in files.items():
            damaged = list(edits(content, each - each // 2, seed))
            if path.endswith(".json"):
                damaged += values(json.loads(content), each // 2, seed)
            for case in damaged:
                yield Case(
                    f"{family}: {path}: {case.what}", (family, name, {**files, path: case.value})
                )


def words(folder: Path, n: int, seed: int) -> Iterator[Case]:
    draw = random.Random(seed)
    for _ in range(n):
        words = [
            f"{draw.choice(('', '', '', '+', '++', '~'))}{draw.choice(KEYS)}"
            f"{draw.choice(('=', '=', '=', ''))}{draw.choice(WORDS)}"
            for _ in range(draw.choice((1, 1, 2)))
        ]
        yield Case(repr(words), ["plan", *draw.choice(([], ["-m"])), "model=table_target", *words])


def environments(folder: Path, n: int, seed: int) -> Iterator[Case]:
    draw = random.Random(seed)
    for _ in range(n):
        named = draw.sample(VARIABLES, draw.choice((1, 1, 2, 4)))
        yield Case("", {name: draw.choice(WORDS) for name in named})
