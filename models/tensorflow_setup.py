"""The set-up of TensorFlow, the same for every target, once in a process."""

from __future__ import annotations

import contextlib
import os
from typing import Any


def set_up(device: str) -> Any:
    """Import tensorflow and make the settings that it takes only before its first operation.

    device: "cpu" or "cuda...". Operations use the environment's OMP_NUM_THREADS threads, one operation at a
    time, so that a worker takes the threads it was granted and no more. Memory of GPUs grows as needed, and
    sums repeat bit for bit. The settings of an earlier target of this process stay in force.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import tensorflow as tf

    with contextlib.suppress(RuntimeError):  # TensorFlow runs already
        if device == "cpu":
            tf.config.set_visible_devices([], "GPU")
        for gpu in tf.config.get_visible_devices("GPU"):
            tf.config.experimental.set_memory_growth(gpu, True)
        if (threads := os.environ.get("OMP_NUM_THREADS", "")).isdecimal():
            tf.config.threading.set_intra_op_parallelism_threads(int(threads))
            tf.config.threading.set_inter_op_parallelism_threads(1)
    # A step is traced for each architecture, which TensorFlow takes for a slip.
    tf.get_logger().setLevel("ERROR")
    tf.config.experimental.enable_op_determinism()
    return tf
