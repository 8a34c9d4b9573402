"""The harnesses' programs: on the PATH, or the test is skipped. `benchmark/environment FOLDER` makes them."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from kit.driving import ROOT
from kit.harnesses import HOW


@pytest.fixture
def program(tmp_path):
    """Runs a program in the test's folder, with this swiftbench; (exit code, stdout, stderr)."""

    def run(name, *words, path=None, **environ):
        if shutil.which(name) is None:
            pytest.skip(f"{name}=absent: {HOW}")
        here = f"{Path(sys.executable).parent}:{os.environ['PATH']}" if path is None else path
        kept = {
            k: v for k, v in os.environ.items() if not k.startswith(("SUITE_", "RFM_", "JUBE_"))
        }
        kept |= {"PATH": here, "PYTHONPATH": f"{ROOT}", "MLFLOW_DISABLE_TELEMETRY": "true"}
        kept |= {"HOME": str(tmp_path), **environ}
        done = subprocess.run(
            [shutil.which(name), *map(str, words)], cwd=tmp_path, env=kept, capture_output=True,
            text=True, timeout=280,
        )  # fmt: skip
        return done.returncode, done.stdout, done.stderr

    return run
