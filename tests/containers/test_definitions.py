"""What can be said of the definition files and of containers/build without Apptainer."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from kit.driving import ROOT

CONTAINERS = ROOT / "containers"
DEFINITIONS = ("base", "torch", "tensorflow", "hepscore")
IMAGES = ("torch", "tensorflow")
SECTIONS = {"arguments", "files", "post", "environment", "labels", "help", "runscript", "test"}
HEADERS = {"Bootstrap", "From", "OSVersion", "MirrorURL", "Include"}
LOCKS = sorted([*CONTAINERS.glob("locks/*.lock"), *ROOT.glob("requirements*.lock")])
# What containers/build runs before it needs Apptainer; a folder of links to these is its PATH.
TOOLS = (
    "bash dirname sha256sum cut cat sort find xargs git awk grep sed head env mkdir df id python3"
)


def definition(name):
    """(header, sections by name, the whole text without comments) of a definition file."""
    header, sections, current = {}, {}, None
    lines = (CONTAINERS / f"{name}.def").read_text().splitlines()
    text = [line for line in lines if not line.lstrip().startswith("#")]
    for line in text:
        if match := re.match(r"%(\w+)\s*$", line):
            current = match[1]
            assert current not in sections, f"%{current} stands twice"
            sections[current] = []
        elif current:
            sections[current].append(line.strip())
        elif line:
            key, value = line.split(": ", 1)
            header[key] = value
    return header, sections, "\n".join(text)


@pytest.mark.parametrize("name", DEFINITIONS)
def test_a_definition_has_only_sections_and_headers_that_apptainer_knows(name):
    header, sections, _ = definition(name)
    assert set(sections) <= SECTIONS and set(header) <= HEADERS
    if name in IMAGES:
        assert set(sections) == SECTIONS


@pytest.mark.parametrize("name", DEFINITIONS)
def test_every_build_argument_is_declared_and_used(name):
    _, sections, text = definition(name)
    declared = {line.split("=")[0] for line in sections["arguments"] if line}
    assert declared == set(re.findall(r"{{ (\w+) }}", text))


def test_the_two_images_differ_in_the_framework_and_in_nothing_else():
    torch, other = ((CONTAINERS / f"{name}.def").read_text() for name in IMAGES)
    renamed = torch.replace("with torch", "with TensorFlow").replace("torch", "tensorflow")
    assert renamed == other


@pytest.mark.parametrize("name", IMAGES)
def test_the_environment_shuts_out_the_home_folder_and_holds_no_secret(name):
    _, sections, _ = definition(name)
    environment = "\n".join(sections["environment"])
    for setting in ("PYTHONNOUSERSITE=1", "PYTHONSAFEPATH=1", "OMP_NUM_THREADS=1"):
        assert setting in environment
    kept = "\n".join(sections["environment"] + sections["labels"] + sections["post"])
    assert not re.search(r"(?i)token|secret|passw|api_?key|credential", kept)


@pytest.mark.parametrize("name", IMAGES)
def test_what_it_copies_is_in_the_clone_and_what_it_runs_is_the_suite(name):
    _, sections, _ = definition(name)
    for line in filter(None, sections["files"]):
        assert (ROOT / line.split()[0]).exists(), line
    assert sections["runscript"][0] == 'exec python -m suite "$@"'
    assert sections["test"][0].endswith(f"selftest.py {name}")


def test_nothing_is_named_latest_and_no_base_is_named_by_tag():
    for path in CONTAINERS.rglob("*"):
        if path.is_file() and path.suffix in ("", ".def", ".sh", ".lock", ".py"):
            text = path.read_text()
            assert "latest" not in text.lower(), path
            for base in re.findall(r"docker://\S+", text):
                assert "@sha256:" in base or base.startswith("docker://*"), f"{path}: {base}"


@pytest.mark.parametrize("path", LOCKS, ids=lambda p: p.name)
def test_every_package_is_pinned_and_has_a_hash(path):
    text = "\n".join(line for line in path.read_text().splitlines() if not line.startswith("#"))
    entries = re.split(r"\n(?=\S)", text.strip())
    assert entries
    for entry in entries:
        assert re.match(r"[\w.-]+==[\w.+]+ \\\n", entry), entry
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", entry), entry


def test_a_device_lock_repeats_nothing_of_the_common_one():
    def packages(path):
        return set(re.findall(r"^([\w.-]+)==", path.read_text(), re.MULTILINE))

    common = packages(ROOT / "requirements.lock")
    for path in CONTAINERS.glob("locks/t*-c*.lock"):
        assert not packages(path) & common, path


# --- containers/build: what it refuses, before anything is built ---


@pytest.fixture
def bench(tmp_path):
    """Runs containers/build with commands of the test's own before the machine's."""
    stubs = tmp_path / "bin"
    stubs.mkdir()
    for name in TOOLS.split():
        if found := shutil.which(name):
            (stubs / name).symlink_to(found)

    def stub(name, text):
        (stubs / name).unlink(missing_ok=True)
        (stubs / name).write_text(f"#!/bin/sh\n{text}\n")
        (stubs / name).chmod(0o755)

    def run(*words, build=CONTAINERS / "build", **environ):
        environ = {"PATH": str(stubs), "HOME": str(tmp_path), "LC_ALL": "C.UTF-8"} | environ
        words = [*words, "--to", str(tmp_path / "images")]
        done = subprocess.run(
            [shutil.which("bash"), build, *words], capture_output=True, text=True, env=environ
        )
        return done.returncode, done.stdout, done.stderr

    run.stub = stub
    return run


def apptainer_works(bench):
    """Apptainer, ids and debootstrap are there, as far as containers/build can see."""
    bench.stub("apptainer", "echo apptainer version 1.4.5")
    bench.stub("getsubids", "exit 0")
    bench.stub("debootstrap", "exit 0")


def test_without_apptainer_it_says_so_at_once(bench):
    code, _, said = bench("--check")
    assert code == 2 and "apptainer=absent: 1.3 or newer must be on the PATH" in said


def test_an_apptainer_that_is_too_old_is_refused_with_its_version(bench):
    bench.stub("apptainer", "echo singularity-ce version 1.2.5-1.el8")
    code, _, said = bench("--check")
    assert code == 2 and "apptainer=1.2.5: must be 1.3 or newer" in said


def test_without_subordinate_ids_it_says_who_can_give_them(bench):
    apptainer_works(bench)
    bench.stub("getsubids", "exit 1")
    bench.stub("id", "echo nobody-in-particular")
    code, _, said = bench("--check")
    assert code == 2 and "no subordinate ids for nobody-in-particular" in said
    assert "usermod --add-subuids" in said


def test_a_full_disk_is_refused_before_anything_is_fetched(bench, tmp_path):
    apptainer_works(bench)
    bench.stub("df", "printf 'F S U A C M\\nx 9 9 123 9 /\\n'")
    code, _, said = bench("--check")
    assert code == 2 and "123 MiB are free, must be 8000; set CONTAINERS_CACHE" in said
    assert not list(tmp_path.rglob("*.whl"))


@pytest.mark.parametrize(
    "words, message",
    [
        (["--device", "gpu"], "device=gpu: must be cpu, cuda, cuda12 or rocm"),
        (["--mpi", "lam"], "mpi=lam: must be openmpi or mpich"),
        (["--base", "docker://debian:bookworm"], "must be named by digest"),
        (["--base", "nowhere.sif"], "base=nowhere.sif: no such file"),
        (["--device", "rocm"], "needs a vendor's base"),
        (
            ["hepscore", "--device", "rocm"],
            "or, for torch, let containers/lock make locks/torch-rocm",
        ),
        (["pytorch"], "pytorch: unknown; images are torch, tensorflow and hepscore"),
    ],
    ids=lambda x: "-".join(x) if isinstance(x, list) else "",
)
def test_a_setting_that_cannot_be_is_refused_with_what_can(bench, words, message):
    apptainer_works(bench)
    code, _, said = bench("--check", *words)
    assert code == 2 and message in said


def test_a_machine_that_can_build_is_told_what_would_be_built(bench):
    apptainer_works(bench)
    code, _, said = bench("--check")
    assert code == 0, said
    assert "torch: to be built" in said and "tensorflow: to be built" in said
    assert "hepscore" not in said
    code, _, said = bench("--check", "hepscore")
    assert code == 0 and "hepscore: to be built" in said


def test_the_workloads_image_copies_what_is_in_the_clone_and_runs_its_script():
    _, sections, _ = definition("hepscore")
    ((source, place),) = (line.split() for line in sections["files"] if line)
    script = sections["runscript"][0].split()[2]
    assert script.startswith(place)
    assert (ROOT / source / script.removeprefix(f"{place}/")).exists()


def test_the_key_changes_with_definition_and_lock_and_not_with_the_suite(bench, tmp_path):
    clone = tmp_path / "clone"
    for name in ("containers", "requirements.lock", "requirements-openmpi.lock", "pyproject.toml"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        clone.mkdir(exist_ok=True)
        copy(ROOT / name, clone / name)
    (clone / "suite").mkdir()

    def key(*words):
        code, out, said = bench("torch", "--key", *words, build=clone / "containers" / "build")
        assert code == 0, said
        assert re.fullmatch(r"torch [0-9a-f]{16}\n", out)
        return out

    first = key()
    (clone / "suite" / "new.py").write_text("x = 1\n")
    assert key() == first
    others = [("--mpi", "mpich"), ("--device", "cuda"), ("--device", "cuda12")]
    assert len({first, *(key(*words) for words in others)}) == 4
    for changed in ("requirements.lock", "containers/torch.def", "containers/base.def"):
        path: Path = clone / changed
        with open(path, "a") as file:
            file.write(f"# changed {os.getpid()}\n")
        assert key() != first, changed
        first = key()
