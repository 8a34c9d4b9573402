"""Where the images under test are: built by containers/build, or in the folder of SUITE_IMAGES."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from kit.driving import ROOT

CANARY = "CANARY-not-a-token-9f31"
_built: dict[str, Path] = {}


def build(name):
    """One image's file. What is up to date (the cache of CONTAINERS_CACHE) is not built again."""
    if name in _built:
        return _built[name]
    if not shutil.which("apptainer"):
        text = "apptainer=absent: these tests need it on the PATH"
        if os.environ.get("CI") == "true":
            pytest.fail(text)
        pytest.skip(text)
    if folder := os.environ.get("SUITE_IMAGES"):
        path = Path(folder) / f"{name}.sif"
        if not path.exists():
            pytest.fail(f"SUITE_IMAGES={folder}: has no {path.name}; unset it to build one.")
    else:
        # A secret of whoever builds must not end up in what others get.
        environ = os.environ | {"DWAVE_API_TOKEN": CANARY, "MLFLOW_TRACKING_PASSWORD": CANARY}
        subprocess.run([ROOT / "containers" / "build", name], check=True, env=environ, timeout=1800)
        path = ROOT / "containers" / "images" / f"{name}.sif"
    return _built.setdefault(name, path)
