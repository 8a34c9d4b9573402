"""LCBench (Zimmer, Lindauer and Hutter 2021, IEEE TPAMI 43) as YAHPO Gym's network answers it (Pfisterer et
al. 2022, AutoML): SURROGATE. 500 configurations, drawn from the published space with a fixed seed and equal
for all tasks, 52 epochs. Its seconds are those since the begin; where they fall, the largest before counts,
and a step has 1 ms at least.

Needs onnxruntime (extra `lcbench`). Measured with onnxruntime 1.32.0 on x86-64: all twelve tables end in the
catalogue's SHA-256; another version may round a last digit otherwise, and is then refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from models.data.converters import File, csv_text, number, steps
from suite.core.errors import DataError
from suite.core.extras import naming_extras
from suite.core.space import Float, Int, Space
from suite.core.types import Config

N_CONFIGS, N_EPOCHS, SEED = 500, 52, 20261128
SPACE = Space(
    {
        "batch_size": Int(16, 512, log=True),
        "learning_rate": Float(1e-4, 1e-1, log=True),
        "momentum": Float(0.1, 0.99),
        "weight_decay": Float(1e-5, 1e-1),
        "num_layers": Int(1, 5),
        "max_units": Int(64, 1024, log=True),
        "max_dropout": Float(0.0, 1.0),
    }
)
TASKS = (
    "126025", "126026", "126029", "146212", "167083", "167104", "167149", "167152", "167161",
    "167168", "167181", "167184", "167185", "167190", "167200", "167201", "168329", "168330",
    "168331", "168335", "168868", "168908", "168910", "189354", "189862", "189865", "189866",
    "189873", "189905", "189906", "189908", "189909", "34539", "3945", "7593",
)  # fmt: skip
"""OpenML tasks in the network's order; the first is its category 1."""
SECONDS, ACCURACY = 0, 1
"""Columns of its answer."""


def opened(path: str, content: bytes) -> Any:
    """The network of a file's content, on one thread. Raises DataError where onnxruntime cannot read it."""
    with naming_extras():
        import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    # 3: errors; what it thinks of the machine's devices is no word for a user's terminal.
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # each of onnxruntime's own classes derives from it
        raise DataError(f"{path}: onnxruntime cannot read it ({type(error).__name__}).") from error


def asked(
    network: Any, task: str, configs: Sequence[Config]
) -> list[tuple[list[float], list[float]]]:
    """Of each configuration: seconds of each epoch, and accuracy in percent; 52 of both.

    Raises DataError where the network has other inputs or outputs.
    """
    numbers = np.array(
        [[epoch, *config.values()] for config in configs for epoch in range(1, N_EPOCHS + 1)],
        dtype=np.float32,
    )
    categories = np.full((len(numbers), 1), 1 + TASKS.index(task), dtype=np.int32)
    try:
        (answer,) = network.run(None, {"x_cat": categories, "x_cont": numbers})
        answers = answer.reshape(len(configs), N_EPOCHS, -1).astype(float)
        pairs = [(each[:, SECONDS], each[:, ACCURACY]) for each in answers]
    except Exception as error:
        raise DataError(
            f"the network of LCBench: asked for task {task}, it fails ({type(error).__name__}); it needs the "
            "inputs x_cat (n x 1) and x_cont (n x 8), and one output (n x 2 or more)."
        ) from error
    return [
        (
            [max(s, 1e-3) for s in steps(np.maximum.accumulate(since).tolist())],
            accuracy.tolist(),
        )
        for since, accuracy in pairs
    ]


def convert(table: str, files: Iterable[File]) -> str:
    ((path, content),) = files
    network = opened(path, content)
    rng = np.random.default_rng(SEED)
    configs = [SPACE.sample(rng) for _ in range(N_CONFIGS)]
    answers = asked(network, table.removeprefix("lcbench_"), configs)
    rows = [
        [
            *(number(value, 7) for value in config.values()),
            *(number(value, 4) for value in accuracy),
            *(number(value, 4) for value in seconds),
        ]
        for config, (seconds, accuracy) in zip(configs, answers, strict=True)
    ]
    return csv_text([*SPACE], rows, N_EPOCHS, seconds=True)
