"""One trial on several ranks, in torch: shares of each batch, one sum of gradients a step.

hardware: 2-core x86-64 virtual machine, shared; versions: torch 2.13.0 (CPU, gloo); n, number: see
tests/models/test_rank_group.py (two ranks against one); lineage: see models/rank_group.py, and batch
norm over the whole batch (SyncBatchNorm; torch's own has no CPU version).
"""

from __future__ import annotations

import datetime
import os
import socket
from typing import Any

from models.rank_group import HOST, RankGroup

# The loopback's name among a system's interfaces.
INTERFACE = "lo"
# Of one sum, which should have none.
SUM_TIMEOUT = datetime.timedelta(days=7)


class Group(RankGroup):
    """Sums tensors by torch.distributed: gloo on CPUs, NCCL on GPUs of their own.

    Between nodes neither torch's store nor gloo asks who connects: the network must be the cluster's own.
    """

    def __init__(
        self,
        rank: int,
        size: int,
        device: str,
        timeout_s: float,
        shared: bool,
        interface: str | None = None,
    ) -> None:
        super().__init__(rank, size, device, timeout_s, shared, interface)
        self._patience = datetime.timedelta(seconds=timeout_s)
        # NCCL refuses two ranks on one GPU.
        self._backend = "nccl" if device.startswith("cuda") and not shared else "gloo"
        self._store: Any = None

    def offer(self) -> int | str:
        """The leader listens at a port that the system picks, of the loopback: returns it; or of the
        interface between the nodes: returns "<address>:<port>".

        torch's own socket would listen on every interface, and whoever reached it could write keys.
        """
        import torch.distributed

        dist: Any = torch.distributed
        with socket.create_server((self.host, 0), backlog=max(self.size, 128)) as listener:
            port = int(listener.getsockname()[1])
            self._store = dist.TCPStore(
                self.host, port, self.size, True, timeout=self._patience, wait_for_workers=False,
                master_listen_fd=listener.fileno(),
            )  # fmt: skip
            # The store's from here on.
            listener.detach()
        return port if self.interface is None else f"{self.host}:{port}"

    def join(self, address: int | str) -> None:
        """Connect to the other ranks, where the leader listens.

        Raises torch's DistError or RuntimeError after timeout_s.
        """
        import torch.distributed

        dist: Any = torch.distributed
        # The name of a host may not resolve, or be that of another interface.
        interface = self.interface or INTERFACE
        if interface in (name for _, name in socket.if_nameindex()):
            for variable in ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME"):
                os.environ.setdefault(variable, interface)
        if self._store is None:
            host, _, port = str(address).rpartition(":")
            self._store = dist.TCPStore(
                host or HOST, int(port), self.size, False, timeout=self._patience
            )
        dist.init_process_group(
            self._backend, store=self._store, rank=self.rank, world_size=self.size,
            timeout=SUM_TIMEOUT,
        )  # fmt: skip
        # Connects the ranks now and not in the first trial.
        self.agree(False)

    def total(self, value: Any) -> Any:
        """The sum over ranks of a tensor, equal bit for bit on all; in place."""
        import torch.distributed as dist

        dist.all_reduce(value)
        return value

    def agree(self, *flags: bool) -> list[bool]:
        """For each flag: is it true on any rank?"""
        import torch

        votes = torch.tensor(flags, dtype=torch.float32, device=self.device)
        return [x > 0 for x in self.total(votes).tolist()]

    def adapt(self, network: Any, optimizer: Any) -> None:
        """Sum gradients before each step; batch norm and dropout over the whole batch."""
        from torch import nn

        weights = [p for p in network.parameters() if p.requires_grad]
        optimizer.register_step_pre_hook(lambda *_: self._sum_gradients(weights))
        layer: Any
        for layer in network.modules():
            if isinstance(layer, nn.BatchNorm2d):
                layer.__dict__["forward"] = _batch_norm(layer, self)
            elif isinstance(layer, nn.Dropout):
                layer.__dict__["forward"] = _dropout(layer, self)

    def _sum_gradients(self, weights: list[Any]) -> None:
        import torch

        for p in weights:
            if p.grad is None:
                p.grad = torch.zeros_like(p)
        flat = self.total(torch.cat([p.grad.reshape(-1) for p in weights]))
        for p, part in zip(weights, flat.split([p.numel() for p in weights]), strict=True):
            p.grad.copy_(part.view(p.shape))

    def loss(self, scores: Any, labels: Any) -> Any:
        """This share's part of the batch's mean cross-entropy."""
        from torch.nn.functional import cross_entropy

        return cross_entropy(scores, labels, reduction="sum") / self.batch


def _summed(group: Group) -> Any:
    """A differentiable sum over ranks: its gradient is the sum of theirs."""
    import torch

    class Summed(torch.autograd.Function):
        @staticmethod
        def forward(_: Any, x: Any) -> Any:
            return group.total(x.clone())

        @staticmethod
        def backward(_: Any, grad: Any) -> Any:
            return group.total(grad.contiguous().clone())

    return Summed.apply


def _batch_norm(layer: Any, group: Group) -> Any:
    """BatchNorm2d's forward, (b, c, h, w), with the moments of the whole batch in training."""
    import torch

    own, summed = layer.forward, _summed(group)

    def forward(x: Any) -> Any:
        # In an evaluation each rank has all examples.
        if not layer.training or not torch.is_grad_enabled():
            return own(x)
        # In float32 at least, as torch's own.
        wide = x.float() if x.dtype.itemsize < 4 else x
        n = group.batch * x.shape[2] * x.shape[3]
        mean = summed(wide.sum((0, 2, 3))) / n
        centred = wide - mean[:, None, None]
        var = summed((centred * centred).sum((0, 2, 3))) / n
        if layer.track_running_stats:
            with torch.no_grad():
                layer.num_batches_tracked.add_(1)
                layer.running_mean.lerp_(mean, layer.momentum)
                layer.running_var.lerp_(var * (n / max(n - 1, 1)), layer.momentum)
        scale = layer.weight * torch.rsqrt(var + layer.eps)
        return (centred * scale[:, None, None] + layer.bias[:, None, None]).to(x.dtype)

    return forward


def _dropout(layer: Any, group: Group) -> Any:
    """Dropout's forward, equal for any number of ranks.

    Every rank draws the mask of the whole batch and takes its own rows of it.
    """
    import torch
    from torch.nn.functional import dropout

    own = layer.forward

    def forward(x: Any) -> Any:
        if not layer.training or not torch.is_grad_enabled():
            return own(x)
        whole = torch.ones((group.batch, *x.shape[1:]), dtype=x.dtype, device=x.device)
        low, high = group.share(0, group.batch)
        return x * dropout(whole, layer.p, True)[low:high]

    return forward
