"""Joules of the whole job, as Slurm counts them (sstat)."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from suite.run import batch
from suite.worker.counters import reason_of
from suite.worker.energy import climbed

_NOTHING = 2**63  # Slurm's "no value" is near 2**64


class JobMeter:
    """Joules of this Slurm job since the meter was made, of all its nodes; rank 0 asks twice.

    A question is a process and a message to slurmctld: tens of milliseconds, at a run's begin and
    end only. Steps of one node are counted by the same node's counter: the largest step counts, so
    that nothing counts twice (a lower bound where no step spans all nodes).
    """

    def __init__(
        self,
        environ: Mapping[str, str] | None = None,
        run: Callable[..., Any] = subprocess.run,
        timeout_s: float = 10.0,
    ) -> None:
        self._job = batch.slurm_job_id(environ)
        self._run, self._timeout_s = run, timeout_s
        self.why: str | None = None if self._job else "slurm: not in a job"
        self._began = self._read()

    def _read(self) -> float | None:
        if not self._job:
            return None
        words = ["sstat", "-a", "-n", "-P", "-j", self._job, "-o", "ConsumedEnergyRaw"]
        try:
            done = self._run(words, capture_output=True, text=True, timeout=self._timeout_s)
            if done.returncode:
                self.why = f"slurm: sstat: {' '.join(done.stderr.split())[:160]}"
                return None
            return consumed(done.stdout.splitlines())
        except (OSError, subprocess.TimeoutExpired, ValueError) as error:
            self.why = f"slurm: sstat: {reason_of(error)}"
            return None

    def reading(self) -> dict[str, Any]:
        """{"joules", "source", "scope", "excludes"}, or {"joules": None, "source": "none", "why"};
        for the journal's closing line.
        """
        now = self._read()
        # 0: no step was measured.
        if now:
            joules = climbed(self._began or 0.0, now, None)
            return {
                "joules": joules,
                "source": "slurm",
                "scope": "job",
                "excludes": "what the site's plugin does not see",
            }
        self.why = self.why or "slurm: measures none (AcctGatherEnergyType=none?)"
        return {"joules": None, "source": "none", "why": self.why}


def consumed(lines: Iterable[str]) -> float:
    """J of the largest step in sstat's or sacct's ConsumedEnergyRaw, 0 where none was measured."""
    words = [line.strip().rstrip("|") for line in lines]
    # Superscripts are digits too, but no numbers.
    numbers = [int(word) for word in words if word.isascii() and word.isdigit() and len(word) <= 20]
    return float(max((number for number in numbers if number < _NOTHING), default=0))
