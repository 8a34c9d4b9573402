"""What can be known of images for GPUs without one: their locks, and what their %test says."""

import importlib.util
import re
import shutil
import subprocess

import pytest

from kit.driving import ROOT

spec = importlib.util.spec_from_file_location("selftest", ROOT / "containers" / "selftest.py")
selftest = importlib.util.module_from_spec(spec)
spec.loader.exec_module(selftest)

# uv's answer: one package of the common lock, and what this index has of the framework.
UV = """#!/bin/sh
while [ $# -gt 1 ]; do shift; [ "$1" != -o ] || out=$2; done
{ echo 'numpy==9 \\'; echo '    --hash=sha256:00'; cat "$ANSWER"; } >"$out"
"""


@pytest.fixture
def image(tmp_path, monkeypatch):
    """image(device, build, n_gpus, driver): the machine and image that the self-test sees."""

    def make(device, build, n_gpus=0, driver=False):
        (tmp_path / "device").write_text(f"{device}\n")
        monkeypatch.setattr(selftest, "DEVICE", tmp_path / "device")
        monkeypatch.setattr(selftest, "_run", lambda command: f"a warning\n{build};{n_gpus}")
        monkeypatch.setattr(selftest, "_is_here", lambda name: driver)
        monkeypatch.setattr(selftest, "_one_epoch", lambda *words: f"trained by {words}")

    return make


@pytest.mark.parametrize(
    "device, build, driver, option",
    [
        ("cuda", "13.0", "NVIDIA's driver is missing (libcuda.so.1)", "--nv"),
        ("cuda12", "12.8", "NVIDIA's driver is missing (libcuda.so.1)", "--nv"),
        ("rocm", "ROCm 7.0", "AMD's driver is missing (/dev/kfd)", "--rocm"),
    ],
)
def test_without_a_driver_it_names_the_driver_and_passes(image, device, build, driver, option):
    image(device, build)
    said = selftest.gpu("torch")
    assert "NOT RUN ON A GPU" in said and driver in said and said.endswith(f"test {option}")


def test_with_a_driver_it_trains_on_a_gpu(image):
    image("cuda", "13.0", n_gpus=2, driver=True)
    assert selftest.gpu("torch") == "built for CUDA 13.0, 2 here; trained by ('torch', 'cuda:0')"


def test_a_driver_with_which_the_build_sees_no_gpu_fails(image):
    image("cuda", "13.0", driver=True)
    with pytest.raises(AssertionError, match="sees no GPU: the driver is too old for 13.0"):
        selftest.gpu("torch")


@pytest.mark.parametrize("device, build", [("cuda", "CPU"), ("rocm", "13.0"), ("cpu", "12.8")])
def test_another_devices_build_fails(image, device, build):
    image(device, build)
    with pytest.raises(AssertionError, match=f"device={device}, but torch is built for {build}"):
        selftest.gpu("torch")


def test_for_processors_it_asks_for_no_driver(image):
    image("cpu", "CPU")
    assert selftest.gpu("torch") == "none is used: built for processors"


# --- the locks ---


def test_each_devices_lock_holds_the_framework_for_it_and_says_what_was_not_done():
    expected = {"torch-cuda": r"^nvidia-.*-cu13==", "torch-cuda12": r"^nvidia-.*-cu12==",
                "tensorflow-cuda": r"^nvidia-.*-cu12=="}  # fmt: skip
    for name, pattern in expected.items():
        text = (ROOT / "containers" / "locks" / f"{name}.lock").read_text()
        assert re.search(pattern, text, re.MULTILINE), name
        assert re.search(rf"^{name.split('-')[0]}==[\d.]+ ", text, re.MULTILINE)
        head = text.split("\n", 2)
        assert "never run on a GPU by its authors" in head[0]
        assert head[1] == f"# To refresh: containers/lock {name}"


@pytest.fixture
def lock(tmp_path):
    """lock(answer, *words) -> code, what was said; in a clone whose index holds numpy and the answer."""
    (tmp_path / "containers" / "locks").mkdir(parents=True)
    shutil.copy(ROOT / "containers" / "lock", tmp_path / "containers" / "lock")
    (tmp_path / "requirements.lock").write_text("numpy==9 \\\n    --hash=sha256:00\n")
    (tmp_path / "uv").write_text(UV)
    (tmp_path / "uv").chmod(0o755)

    def run(answer, *words):
        (tmp_path / "answer").write_text(answer)
        done = subprocess.run(
            [tmp_path / "containers" / "lock", *words], capture_output=True, text=True, timeout=60,
            env={"PATH": "/usr/bin:/bin", "UV": f"{tmp_path}/uv", "ANSWER": f"{tmp_path}/answer"},
        )  # fmt: skip
        return done.returncode, done.stderr

    return run


ROCM = "torch==2.13.0+rocm7.0 \\\n    --hash=sha256:aa \\\n    --hash=sha256:bb\n"


def test_a_lock_is_what_the_index_has_less_the_common_packages(lock, tmp_path):
    file = tmp_path / "containers" / "locks" / "torch-rocm.lock"
    code, said = lock(ROCM, "torch-rocm")
    assert code == 0 and "torch-rocm: 1 packages" in said
    head, text = file.read_text().split("To refresh: containers/lock torch-rocm\n")
    assert text == ROCM and "Resolved, never run" in head
    # A wheel more is no harm; one that is gone is told.
    assert lock(f"{ROCM.rstrip()} \\\n    --hash=sha256:cc\n", "torch-rocm", "--check")[0] == 0
    code, said = lock(ROCM.replace("bb", "cc"), "torch-rocm", "--check")
    assert code == 1 and "the index has not: torch==2.13.0+rocm7.0 sha256:bb (1 in all)" in said
    assert file.read_text().endswith(ROCM)


def test_an_index_without_a_build_for_the_device_is_refused(lock):
    code, said = lock("torch==2.13.0 \\\n    --hash=sha256:aa\n", "torch-rocm")
    assert code == 2 and "torch==2.13.0 is no build for rocm; name an index that has one" in said
    code, said = lock(ROCM, "jax-rocm")
    assert code == 2 and "jax-rocm: unknown; locks are" in said
