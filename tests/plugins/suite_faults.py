"""Targets and schedulers that go wrong on purpose, admitted by SUITE_PLUGINS=suite_faults as a
user's package would be.
"""

import inspect
import os
import signal
import sys
import time

from models.digits_cnn import DigitsCNN
from models.mlpf import MLPF
from models.mlpf.mlpf_torch import MLPFTorch
from models.synthetic_curves import TableTarget
from suite.schedulers.hyperband import Hyperband


def _rank() -> int:
    return int(os.environ.get("OMPI_COMM_WORLD_RANK", 0))


def _once(marker: str) -> bool:
    """True for the first caller in all processes; notes the time, so that a test can say how long
    until noticed.
    """
    try:
        with open(marker, "x") as file:
            file.write(str(time.time()))
    except FileExistsError:
        return False
    return True


def _strike(fault: str) -> None:
    if fault == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif fault == "stop":
        os.kill(os.getpid(), signal.SIGSTOP)
    elif fault == "exit":
        os._exit(1)
    elif fault == "sys_exit":
        sys.exit(1)
    elif fault == "raise":
        raise RuntimeError("planted: a worker that raises in a job")
    elif fault == "raise_outside":
        from suite.backends.mpi.serve import _Server

        def receive(self):
            raise RuntimeError("planted: a worker that raises outside a job")

        _Server.receive = receive
    elif fault == "enospc":
        raise OSError(28, "No space left on device")


class _Faulty:
    fault, fault_rank, fault_epoch, marker = "none", 1, 2, ""

    def arm(self, training):
        inner = training.train_epoch

        def train_epoch(epoch):
            inner(epoch)
            if (
                self.fault != "none"
                and _rank() == self.fault_rank
                and epoch == self.fault_epoch
                and _once(self.marker)
            ):
                _strike(self.fault)

        training.train_epoch = train_epoch
        return training


class FaultTable(_Faulty, TableTarget):
    default_configuration = {"learning_rate": 0.5, "width": 8, "optimizer": "sgd"}

    def __init__(
        self,
        fixed=None,
        sleep_s=0.0,
        diverge_below=0,
        noise=0.01,
        fault="none",
        fault_rank=1,
        fault_epoch=2,
        marker="",
    ):
        super().__init__(fixed, sleep_s, diverge_below, noise)
        self.fault, self.fault_rank, self.fault_epoch, self.marker = (
            fault,
            fault_rank,
            fault_epoch,
            marker,
        )
        if fault == "enospc":
            # Full for everybody: no host has room for so much.
            self.checkpoint_bytes = 1 << 60

    def start(self, config, seed):
        return self.arm(super().start(config, seed))


class FaultDigits(_Faulty, DigitsCNN):
    def __init__(
        self, fixed=None, weight_decay=5e-4, fault="none", fault_rank=1, fault_epoch=2, marker=""
    ):
        super().__init__(fixed, weight_decay)
        self.fault, self.fault_rank, self.fault_epoch, self.marker = (
            fault,
            fault_rank,
            fault_epoch,
            marker,
        )

    def start(self, config, seed):
        return self.arm(super().start(config, seed))


def _armed(cls):
    """The class with a fault's settings beside its own."""

    class Armed(_Faulty, cls):
        def __init__(self, *, fault="none", fault_rank=1, fault_epoch=2, marker="", **own):
            super().__init__(**own)
            self.fault, self.fault_rank = fault, fault_rank
            self.fault_epoch, self.marker = fault_epoch, marker

        def start(self, config, seed):
            return self.arm(super().start(config, seed))

    # A leaf's settings are checked by the names of the arguments.
    own = inspect.signature(cls.__init__).parameters.values()
    mine = inspect.signature(Armed.__init__).parameters.values()
    settings = [p for p in mine if p.kind is p.KEYWORD_ONLY]
    Armed.__init__.__signature__ = inspect.Signature([*own, *settings])
    return Armed


class FaultMLPF(_armed(MLPF)):
    pass


class FaultMLPFTorch(_armed(MLPFTorch)):
    pass


class Escapes(BaseException):
    """Caught by nothing that expects an Exception."""


class FaultHyperband(Hyperband):
    """Strikes on rank 0 at the n-th finished job."""

    def __init__(
        self, max_epochs, eta, overlap=True, order="longest_path", fault="none", at=10, marker=""
    ):
        super().__init__(max_epochs, eta, overlap, order)
        self.fault, self.at, self.marker, self.n = fault, at, marker, 0

    def tell(self, trial_id, curve):
        self.n += 1
        if self.n == self.at and self.fault != "none" and _once(self.marker):
            if self.fault == "escape":
                raise Escapes("planted: rank 0 raises what nobody catches")
            _strike(self.fault)
        super().tell(trial_id, curve)
