"""What rank 0 and the workers say to each other: tuples (word, run_id, content), pickled by mpi4py.

  to a worker    begin(Begin) · job(Job) · score(Job) · pause() · end() · exit(finalize)
                 broken(why): the rank is given up, and ends · meet(port): of groups (backend.ranks_per_trial)
                 return(content): a process that is not only a worker continues (swiftbench.tune)
  from a worker  hello(ProcessIdentity) · joined(facts) · refused(why) · events([Event]) · paused() · ended()
                 leaving(why) · ready(port, facts)

A run is fenced: begin and end carry its id, workers answer both, and what carries another id is dropped.
What workers send is checked by received.py before rank 0 acts on it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from suite.worker.checkpoints import CheckpointPlace
from suite.worker.settings import WorkerSettings

TAG = 7
Message = tuple[str, str | None, Any]


@dataclass(frozen=True)
class Begin:
    """A run begins. model: the target's YAML leaf. checkpoints: where the run's are.

    local_index: which worker of its node this rank is, 0, 1, ... group: the ranks that train a trial
    together, this one among them; None: this rank is left over and idle. interface: over which they meet
    where they are on several nodes.
    """

    settings: WorkerSettings
    model: Mapping[str, Any]
    checkpoints: CheckpointPlace
    local_index: int
    group: tuple[int, ...] | None
    interface: str | None
