"""Optional dependencies: which extra of the package brings a module that is not installed."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager

from suite.core.errors import ConfigError

# Module -> (distribution, extra). A module's first parts count: dwave.samplers before dwave.
_EXTRAS = {
    "dimod": ("dimod", "qsvr"),
    "dwave.samplers": ("dwave-samplers", "qsvr"),
    "dwave": ("dwave-ocean-sdk", "qpu"),
    "minorminer": ("dwave-ocean-sdk", "qpu"),
    "hybrid": ("dwave-hybrid", "dwave-hybrid"),
    "openjij": ("openjij", "openjij"),
    "simulated_bifurcation": ("simulated-bifurcation", "bifurcation"),
    "hydra": ("hydra-core", "run"),
    "omegaconf": ("omegaconf", "run"),
    "msgspec": ("msgspec", "run"),
    "jsonschema": ("jsonschema", "run"),
    "yaml": ("pyyaml", "run"),
    "matplotlib": ("matplotlib", "run"),
    "PIL": ("pillow", "run"),
    "rich": ("rich", "watch"),
    "mlflow": ("mlflow", "mlflow"),
    "mpi4py": ("mpi4py", "mpi"),
    "torch": ("torch", "torch"),
    "torchvision": ("torchvision", "torch"),
    "tensorflow": ("tensorflow", "tensorflow"),
    "keras": ("tensorflow", "tensorflow"),
    "pythia8mc": ("pythia8mc", "hep"),
    "fastjet": ("fastjet", "hep"),
    "vector": ("vector", "hep"),
    "pyarrow": ("pyarrow", "hep"),
    "onnxruntime": ("onnxruntime", "lcbench"),
    "ConfigSpace": ("ConfigSpace", "configspace"),
    "optuna": ("optuna", "optuna"),
    "cmaes": ("cmaes", "optuna"),
    "dehb": ("dehb", "dehb"),
    "blackboxopt": ("blackboxopt", "blackboxopt"),
    "statsmodels": ("statsmodels", "blackboxopt"),
    "syne_tune": ("syne-tune", "syne-tune"),
    "xgboost": ("xgboost", "syne-tune"),
    "huggingface_hub": ("huggingface_hub", "syne-tune"),
    "fastparquet": ("fastparquet", "syne-tune"),
    "smac": ("smac", "smac"),
    "neps": ("neural-pipeline-search", "neps"),
}


class MissingExtraError(ConfigError, ImportError):
    """Install the extra that the message names."""


@contextmanager
def naming_extras() -> Iterator[None]:
    """Around imports of optional dependencies: a missing one becomes a MissingExtraError.

    Other missing modules pass unchanged, as a mistake in somebody's own code does.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if isinstance(error, MissingExtraError) or not (explained := explain(error)):
            raise
        raise explained from error


def explain(error: ModuleNotFoundError) -> MissingExtraError | None:
    """The error that names the extra; None where the missing module is no optional dependency.

    >>> print(explain(ModuleNotFoundError("No module named 'hydra'", name="hydra")))
    hydra-core is not installed; pip install 'swiftbench[run]'
    """
    parts = (error.name or "").split(".")
    for n in range(len(parts), 0, -1):
        if known := _EXTRAS.get(".".join(parts[:n])):
            distribution, extra = known
            return MissingExtraError(
                f"{distribution} is not installed; pip install 'swiftbench[{extra}]'"
            )
    return None


def need(module: str) -> None:
    """Raise MissingExtraError where the optional dependency `module` is not installed; imports nothing."""
    if importlib.util.find_spec(module) is None:
        explained = explain(ModuleNotFoundError(name=module))
        raise explained or ConfigError(f"{module} is not installed.")
