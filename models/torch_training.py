"""One optimiser step of the torch targets, on CPUs and GPUs, and the precision that it computes in.

hardware: 1 thread of a 2-core x86-64 virtual machine (AVX-512); versions: torch 2.13.0 (CPU); n and
number: tests/benchmarks/image_epochs.py, its figures stand in the image targets' files; lineage:
cifar10-airbench. The fused optimiser is the faster one on CPUs too (measured), so it is always on.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any, Literal, get_args

from suite.core.errors import unknown_name

Precision = Literal["auto", "float32", "tf32", "bfloat16"]
PRECISIONS: tuple[str, ...] = get_args(Precision)
# Before a capture, in which cuDNN chooses its algorithms and the allocator grows.
WARM_UP_STEPS = 3


def set_precision(precision: str, device: str) -> str:
    """The precision that `auto` stands for on this device; sets torch's TF32 switches on GPUs.

    A CPU always computes in float32, so that its results repeat bit for bit. Raises ConfigError for
    an unknown name.
    """
    import torch

    if precision not in PRECISIONS:
        raise unknown_name("precision", precision, PRECISIONS)
    if not device.startswith("cuda"):
        return "float32"
    if precision == "auto":
        precision = "bfloat16" if torch.cuda.is_bf16_supported() else "tf32"
    allowed = precision != "float32"
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = allowed
    torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = True, False
    return precision


def autocast(precision: str, device: str) -> Any:
    """A context in which forward passes compute in bfloat16, if `precision` is that."""
    import torch

    if precision != "bfloat16":
        return contextlib.nullcontext()
    # Without the cache of cast weights: a captured step must cast them anew in every replay.
    return torch.autocast(device.split(":")[0], torch.bfloat16, cache_enabled=False)


@contextlib.contextmanager
def memory_errors() -> Any:
    """Where a CPU's memory does not suffice, torch raises a plain RuntimeError; here it becomes a
    MemoryError, by which a worker knows it and gives up that trial alone. (On GPUs torch has an
    OutOfMemoryError.)
    """
    try:
        yield
    except RuntimeError as error:
        _, refused, why = str(error).partition("DefaultCPUAllocator: ")
        if not refused:
            raise
        raise MemoryError(why) from error


class Step:
    """Forward, loss, backward, update; returns the batch's mean loss, still on the device.

    graph: on a GPU, full batches replay one CUDA graph, which saves the launches that bound small
    networks. Captured at the first full batch; a smaller last batch runs step by step.
    A graph and not torch.compile: a trial of a few minutes with its own shapes would spend up to
    one of them compiling.
    """

    def __init__(
        self,
        network: Any,
        optimizer: Any,
        loss: Callable[[Any, Any], Any],
        *,
        device: str,
        precision: str = "float32",
        prepare: Callable[[Any], Any] | None = None,
        graph_batch: int = 0,
    ) -> None:
        self.network, self.optimizer, self.loss = network, optimizer, loss
        self.device, self.precision = device, precision
        self.prepare = prepare or (lambda x: x)
        self.graph_batch = graph_batch
        self.forget()

    def forget(self) -> None:
        """Drop the captured graph. Call it after load: the optimiser's state has a new address."""
        self._graph: Any = None

    def __call__(self, x: Any, y: Any) -> Any:
        if len(x) != self.graph_batch:
            return self._eager(x, y)
        if self._graph is None:
            self._capture(x, y)
        self._x.copy_(x)
        self._y.copy_(y)
        self._graph.replay()
        return self._loss

    def _eager(self, x: Any, y: Any) -> Any:
        with autocast(self.precision, self.device):
            value = self.loss(self.network(self.prepare(x)), y)
        self.optimizer.zero_grad(set_to_none=True)
        value.backward()
        self.optimizer.step()
        return value.detach()

    def _capture(self, x: Any, y: Any) -> None:
        import torch

        self._x, self._y = x.clone(), y.clone()
        new_stream: Any = torch.cuda.Stream
        aside = new_stream()
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside), untouched(self.network, self.optimizer):
            for _ in range(WARM_UP_STEPS):
                self._eager(self._x, self._y)
        torch.cuda.current_stream().wait_stream(aside)
        self.optimizer.zero_grad(set_to_none=True)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            self._loss = self._eager(self._x, self._y)
        self._graph = graph


@contextlib.contextmanager
def untouched(network: Any, optimizer: Any) -> Any:
    """Steps within leave weights, buffers and optimiser state as they were, at the same addresses.

    State that they create is set to 0: where SGD's momentum, Adam's moments and step count, and
    Adadelta's averages begin.
    """
    import torch

    def tensors() -> dict[Any, Any]:
        by_owner: dict[Any, Any] = {("network", k): v for k, v in network.state_dict().items()}
        for parameter, state in optimizer.state.items():
            for k, v in state.items():
                if isinstance(v, torch.Tensor):
                    by_owner[id(parameter), k] = v
        return by_owner

    before = {key: value.clone() for key, value in tensors().items()}
    yield
    with torch.no_grad():
        for key, value in tensors().items():
            value.copy_(before[key]) if key in before else value.zero_()
