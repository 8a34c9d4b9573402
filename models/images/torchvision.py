"""The import of torchvision, also on a build of torch that its C++ library does not fit."""

from __future__ import annotations

import contextlib
import importlib.util
from pathlib import Path
from typing import Any

from suite.core.errors import ConfigError

# torch.library forgets a schema when its Library object is garbage-collected.
_libraries: list[Any] = []


def import_torchvision() -> Any:
    """torchvision, on any build of torch.

    Its wheel on the package index is linked against CUDA. On a CPU build of torch its C++ library
    does not load, nor are its operators known, and `import torchvision` ends in "operator
    torchvision::nms does not exist". Where the library does not load, the two schemas that the
    import asks for are defined first, without an implementation: models and transforms work,
    torchvision.ops.nms and image decoding do not (this project reads images with Pillow).
    This is the only place that imports torchvision.

    Raises ConfigError where it is not installed.
    """
    import torch

    spec = importlib.util.find_spec("torchvision")
    if spec is None or spec.origin is None:
        raise ConfigError(
            "torchvision: is not installed; install the version that belongs to torch "
            f"{torch.__version__} without its dependencies (pip install --no-deps torchvision)."
        )
    operators: Any = torch.ops
    library: Any = torch.library.Library
    for path in sorted(Path(spec.origin).parent.glob("_C.*")):
        with contextlib.suppress(OSError, ImportError):
            operators.load_library(path)
    for name, schema in (
        ("nms", "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"),
        ("qnms", "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"),
    ):
        if not hasattr(operators.torchvision, name):
            _libraries.append(library("torchvision", "FRAGMENT"))
            _libraries[-1].define(schema)
    import torchvision

    return torchvision
