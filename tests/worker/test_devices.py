"""Which GPU a worker takes, by the variables of CUDA, HIP and ROCR."""

import doctest
import os

import pytest

from suite.core.errors import ConfigError
from suite.worker import devices

VARIABLES = [f"{x}_VISIBLE_DEVICES" for x in ("CUDA", "HIP", "ROCR")]


@pytest.fixture(autouse=True)
def machine(monkeypatch, tmp_path):
    """A machine without drivers and tools; what `pin` sets is taken back."""
    for name in [*VARIABLES, "CUBLAS_WORKSPACE_CONFIG"]:
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.setattr(devices, "KFD", tmp_path / "kfd")
    monkeypatch.setattr(devices, "NVIDIA", tmp_path / "nvidiactl")
    monkeypatch.setattr(devices, "_pinned", {})
    monkeypatch.setenv("PATH", str(tmp_path))


def test_the_nth_worker_of_a_node_takes_the_nth_visible_gpu(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,GPU-abc,5")
    assert devices.pin("auto", 1) == "cuda:0"
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "GPU-abc"


def test_a_worker_without_a_gpu_of_its_own_is_refused(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    with pytest.raises(ConfigError, match=r"share_gpus=false: worker 3 .* 2 GPUs visible.*=true"):
        devices.pin("auto", 3)
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "0,1"


def test_workers_share_gpus_where_asked_for(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,6")
    assert devices.pin("cuda", 3, share=True) == "cuda:0"
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "6"


def test_a_worker_that_is_pinned_again_keeps_its_gpu(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,6")
    devices.pin("auto", 1)
    assert devices.pin("auto", 1) == "cuda:0"  # the next model of a sweep
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "6"


def test_cpu_leaves_the_gpus_alone_and_auto_does_without(monkeypatch):
    assert devices.pin("auto", 7) == "cpu"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    assert devices.pin("cpu", 7) == "cpu"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,-1,1")
    assert devices.visible_gpus() == ["0"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    with pytest.raises(ConfigError, match="no GPU is visible"):
        devices.pin("cuda", 0)


def test_gpus_of_amd_are_given_out_by_hip(monkeypatch):
    monkeypatch.setenv("HIP_VISIBLE_DEVICES", "3,1")
    assert devices.pin("auto", 1) == "cuda:0"
    assert os.environ["HIP_VISIBLE_DEVICES"] == "1"
    assert "CUDA_VISIBLE_DEVICES" not in os.environ


def test_hip_numbers_anew_what_rocr_leaves(monkeypatch):
    monkeypatch.setenv("ROCR_VISIBLE_DEVICES", "2,3")
    devices.pin("auto", 1)
    assert os.environ["ROCR_VISIBLE_DEVICES"] == "2,3"
    assert os.environ["HIP_VISIBLE_DEVICES"] == "1"
    with pytest.raises(ConfigError, match="2 GPUs visible"):
        devices.pin("auto", 2)


def test_slurm_names_both_kinds_and_the_driver_decides(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,3")
    monkeypatch.setenv("ROCR_VISIBLE_DEVICES", "2,3")
    assert not devices.amd()  # no driver to be seen: CUDA's name
    devices.KFD.touch()
    devices.pin("auto", 1)
    assert os.environ["HIP_VISIBLE_DEVICES"] == os.environ["CUDA_VISIBLE_DEVICES"] == "1"
    devices.NVIDIA.touch()
    assert not devices.amd()


def test_without_variables_the_vendor_s_tool_is_asked(monkeypatch, tmp_path):
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 'GPU 0: A (UUID: GPU-1)'\necho 'GPU 1: A (UUID: GPU-2)'\n")
    tool.chmod(0o755)
    assert devices.visible_gpus() == ["0", "1"]
    devices.pin("auto", 1)
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "1"


NONE = [
    "NoDevFiles", "none", "void", "abc", "²", "٣", "-1", "", " ", ",", "-1,0", "NoDevFiles,0", "1e3", "0x1",
    "GPU-", "99999999999999999999", "0;1", "gpu:1", "0 1",
]  # fmt: skip
LISTS = [
    ("0,0", ["0"]), ("0,00,0", ["0"]), ("0, 1", ["0", "1"]), ("0,1,-1,2", ["0", "1"]),
    ("1,abc,0", ["1"]), (",0,,1,", ["0", "1"]), ("0,NoDevFiles", ["0"]), ("3,²", ["3"]),
    ("GPU-8a5c,GPU-8a5c", ["GPU-8a5c"]), ("GPU-8a5c,GPU-8A5C0d11", ["GPU-8a5c"]),
    ("GPU-8a,GPU-8b", ["GPU-8a", "GPU-8b"]), ("MIG-8a5c-1,MIG-8a5c-2", ["MIG-8a5c-1", "MIG-8a5c-2"]),
    ("MIG-GPU-8a/1/1,MIG-GPU-8a/1/10", ["MIG-GPU-8a/1/1", "MIG-GPU-8a/1/10"]),
]  # fmt: skip


@pytest.mark.parametrize("value", NONE)
@pytest.mark.parametrize("variable", VARIABLES)
def test_words_that_name_no_gpu_leave_the_processor(monkeypatch, variable, value):
    monkeypatch.setenv(variable, value)
    assert devices.visible_gpus() == [] and devices.pin("auto", 0) == "cpu"
    assert os.environ[variable] == value
    with pytest.raises(ConfigError, match="no GPU is visible"):
        devices.pin("cuda", 0)
    assert devices.hidden_by() == f"{variable}={value}"


def test_a_list_without_a_wrong_word_hides_nothing(monkeypatch):
    for value in ("0", "0, 1,", "GPU-8a,MIG-8b"):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", value)
        assert devices.hidden_by() == ""


@pytest.mark.parametrize(("value", "gpus"), LISTS)
def test_a_list_names_each_gpu_once_up_to_the_first_word_that_names_none(monkeypatch, value, gpus):
    for variable in ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES"):
        monkeypatch.setattr(devices, "_pinned", {})
        monkeypatch.setenv(variable, value)
        assert devices.visible_gpus() == gpus
        taken = []
        for index in range(len(gpus)):
            monkeypatch.setattr(devices, "_pinned", {})
            monkeypatch.setenv(variable, value)
            devices.pin("auto", index)
            taken.append(os.environ[variable])
        assert taken == gpus
        monkeypatch.setattr(devices, "_pinned", {})
        monkeypatch.setenv(variable, value)
        with pytest.raises(ConfigError, match="share_gpus=false"):
            devices.pin("auto", len(gpus))
        monkeypatch.delenv(variable)


def test_the_examples_of_the_docstrings():
    assert doctest.testmod(devices).failed == 0
