"""Fixtures of the tests in images."""

import os
import subprocess

import pytest

from kit.image_files import build


@pytest.fixture(params=["torch", "tensorflow"])
def image(request):
    """Each image in turn."""
    return build(request.param)


@pytest.fixture
def torch_image():
    return build("torch")


@pytest.fixture
def container(tmp_path):
    """Runs a command in an image, with the test's folder bound and a home folder of its own."""
    (tmp_path / "home").mkdir()

    def run(image, *command, options=(), fails=False, **environ):
        words = ["apptainer", "-s", "exec", "--bind", str(tmp_path)]
        words += ["--home", str(tmp_path / "home"), "--pwd", str(tmp_path), *options]
        done = subprocess.run(
            [*words, str(image), *map(str, command)],
            capture_output=True,
            text=True,
            timeout=280,
            env=os.environ | {"SUITE_RUNS": str(tmp_path / "runs")} | environ,
        )
        assert fails or done.returncode == 0, done.stdout + done.stderr
        return done

    return run
