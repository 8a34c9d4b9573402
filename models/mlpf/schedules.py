"""Learning-rate schedules of MLPF: a rate from a step's number, so that a trial resumes where it was.

hardware: none; versions: none; n, number: nothing is measured here; lineage: Keras' ExponentialDecay and
CosineDecay, as jpata/particleflow (0114ba4) sets them up.
"""

from __future__ import annotations

import math

from models.mlpf.spaces import COSINE

DECAY_RATE = 0.99
"""Of the exponential decay: what is left after each decay_steps."""


def learning_rate(
    schedule: str, lr: float, step: int, *, decay_steps: int, staircase: bool, total_steps: int
) -> float:
    """The rate of step 0, 1, ...

    exponentialdecay: lr * .99^(step / decay_steps), the exponent rounded down if `staircase`. cosinedecay:
    half a cosine from lr to 0 at total_steps, and 0 from there.
    """
    if schedule == COSINE:
        return 0.5 * lr * (1.0 + math.cos(math.pi * min(step / total_steps, 1.0)))
    exponent = step // decay_steps if staircase else step / decay_steps
    return lr * float(DECAY_RATE**exponent)
