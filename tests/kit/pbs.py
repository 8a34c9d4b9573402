"""STAND-IN of PBS on this host, for tests: qsub, qstat, qdel and qsig after OpenPBS's manual pages (qsub(1B)
and the others, May 2020). No scheduler: a job begins when the jobs that it waits for have ended.

As there: directives up to the script's first command, overridden by the command line; no words behind a
script; `-J` arrays; `-l select=`, `-l walltime=`; `-V`, `-v`, and nothing else of the caller's
environment; the PBS_* variables; a login shell in the home folder; SIGTERM to all processes of a job when
its walltime is over or by qdel, and SIGKILL kill_delay (10 s) later; exit status 256 + signal. Refused:
what is not here.

Programs: `with StandIn(folder) as pbs:` puts them into pbs.bin.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

PROGRAMS = ("qsub", "qstat", "qdel", "qsig")
KILL_DELAY_S = 10.0
SERVER = "standin"
_WHERE = "PBS_STANDIN"
_WITH_VALUE = frozenset("ANPSWJejloqrv")
_KEPT = ("HOME", "LANG", "LOGNAME", "MAIL", "PATH", "SHELL", "TZ", "WORKDIR")
_ID = re.compile(r"([0-9]+)(\[[0-9]*\])?(\.\w+)?")


class UsageError(Exception):
    pass


# --- jobs, each a file -------------------------------------------------------------------------------


def _folder() -> Path:
    return Path(os.environ[_WHERE])


def _path(job: str) -> Path:
    return _folder() / f"{job}.json"


def _write(job: str, said: Mapping[str, Any]) -> None:
    made = _path(job).with_suffix(f".{os.getpid()}")
    made.write_text(json.dumps(said))
    made.replace(_path(job))


def _read(job: str) -> dict[str, Any]:
    return dict(json.loads(_path(job).read_text()))


def _is_deleted(job: str) -> bool:
    return _path(job).with_suffix(".deleted").exists()


def _change(job: str, **changes: Any) -> dict[str, Any]:
    said = _read(job) | changes
    _write(job, said)
    return said


def _named(text: str) -> list[str]:
    """Jobs of an identifier: of an array's, all its subjobs. Raises UsageError."""
    found = _ID.fullmatch(text)
    if not found:
        raise UsageError(f"illegally formed job identifier: {text}")
    number, index = found[1], found[2] or ""
    if index == "[]":
        jobs = sorted(p.stem for p in _folder().glob(f"{number}[[]*].json"))
    else:
        jobs = [f"{number}{index}"] if _path(f"{number}{index}").exists() else []
    if not jobs:
        raise UsageError(f"Unknown Job Id {text}")
    return jobs


def _processes(job: str) -> list[int]:
    """All that a job has begun, by the variable that it was given."""
    wanted = {f"PBS_JOBID={job}.{SERVER}".encode(), f"{_WHERE}={_folder()}".encode()}
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if wanted <= set((entry / "environ").read_bytes().split(b"\0")):
                found.append(int(entry.name))
    return found


def _signal(job: str, number: int) -> None:
    for pid in _processes(job):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


# --- qsub ----------------------------------------------------------------------------------------------


def qsub(words: Sequence[str]) -> int:
    given, script = _options(words)
    if script is None:
        raise UsageError("this stand-in takes a script, no standard input and no executable")
    path = Path(script)
    options = _directives(path.read_text())
    resources = options.get("l", {}) | given.get("l", {})
    options |= given
    wall_s = _seconds(resources.get("walltime", "1000000"))
    number = _next_number()
    environment = dict(os.environ) if "V" in options else {}
    for name in filter(None, options.get("v", "").split(",")):
        key, is_set, value = name.partition("=")
        environment[key] = value if is_set else os.environ[key]
    name = options.get("N", path.name[:15])
    said = {
        "name": name, "script": path.read_text(), "workdir": str(Path.cwd()), "state": "Q",
        "environment": environment, "wall_s": wall_s, "select": resources.get("select", "1"),
        "place": resources.get("place", "free"), "queue": options.get("q", "workq"),
        "project": options.get("P", "_pbs_project_default"), "account": options.get("A", ""),
        "shell": options.get("S", "/bin/bash"), "joined": options.get("j", "n") == "oe",
        "depend": _depend(options.get("W", "")), "rerunnable": options.get("r", "y"),
        "submitted": {k: os.environ.get(k, "") for k in _KEPT},
    }  # fmt: skip
    _lines(said["select"])
    jobs = {str(number): said}
    if "J" in options:
        jobs = {f"{number}[{i}]": said | {"index": i} for i in _indices(options["J"])}
    for job, each in jobs.items():
        suffix = f".{each['index']}" if "index" in each else ""
        _write(
            job, each | {"output": str(Path.cwd() / options.get("o", f"{name}.o{number}{suffix}"))}
        )
        subprocess.Popen(
            [sys.executable, __file__, "_run", job], start_new_session=True, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=dict(os.environ) | {"PBS_JOBID": ""},
        )  # fmt: skip
    print(f"{number}{'[]' if 'J' in options else ''}.{SERVER}")
    return 0


def _next_number() -> int:
    for number in range(1, 100_000):
        with contextlib.suppress(FileExistsError):
            (_folder() / f"number-{number}").touch(exist_ok=False)
            return number
    raise UsageError("no numbers left")


def _options(words: Sequence[str]) -> tuple[dict[str, Any], str | None]:
    """-l is a mapping, other options their last value; and the script."""
    options: dict[str, Any] = {}
    rest = list(words)
    while rest and rest[0].startswith("-") and len(rest[0]) > 1:
        word = rest.pop(0)
        letter, value = word[1], word[2:]
        if letter == "V" and not value:
            options["V"] = True
            continue
        if letter not in _WITH_VALUE:
            raise UsageError(f"usage: qsub: {word}: not in this stand-in")
        if not value and not rest:
            raise UsageError(f"usage: qsub: {word}: needs a value")
        value = value or rest.pop(0)
        if letter == "l":
            # A select has commas in no place; two resources are separated by one.
            parts = dict(part.partition("=")[::2] for part in value.split(","))
            options["l"] = options.get("l", {}) | parts
        else:
            options[letter] = value
    if len(rest) > 1:
        raise UsageError("usage: qsub [options] [script]: the script must be the last argument")
    return options, rest[0] if rest else None


def _directives(text: str) -> dict[str, Any]:
    words: list[str] = []
    for line in text.splitlines()[1:]:
        if line.startswith("#PBS "):
            words += shlex.split(line.removeprefix("#PBS "), comments=True)
        elif line.strip() and not line.startswith("#"):
            break
    return _options(words)[0]


def _seconds(text: str) -> float:
    if not re.fullmatch(r"([0-9]+:){0,2}[0-9]+", text):
        raise UsageError(
            f"qsub: Illegal attribute or resource value Resource_List.walltime: {text}"
        )
    total = 0
    for part in text.split(":"):
        total = total * 60 + int(part)
    return total


def _lines(select: str) -> int:
    """Lines of the node file: of each chunk its MPI processes, one if it does not say."""
    n = 0
    for chunk in select.split("+"):
        count, _, rest = chunk.partition(":")
        if not count.isdigit():
            count, rest = "1", chunk
        wanted = dict(part.partition("=")[::2] for part in filter(None, rest.split(":")))
        n += int(count) * int(wanted.get("mpiprocs", "1"))
    return n


def _indices(text: str) -> list[int]:
    found = re.fullmatch(r"([0-9]+)-([0-9]+)(?::([0-9]+))?", text)
    if not found or int(found[1]) >= int(found[2]):
        raise UsageError(f"qsub: illegal -J value: {text}")
    return list(range(int(found[1]), int(found[2]) + 1, int(found[3] or 1)))


def _depend(text: str) -> list[str]:
    if not text:
        return []
    found = re.fullmatch(r"depend=afterany:(.+)", text)
    if not found:
        raise UsageError(f"qsub: -W {text}: not in this stand-in")
    return [job for each in re.split(r":(?=[0-9])", found[1]) for job in _named(each)]


# --- what pbs_mom does ---------------------------------------------------------------------------------


def _run(job: str) -> int:
    said = _read(job)
    while any(_read(other)["state"] != "F" for other in said["depend"]) and not _is_deleted(job):
        time.sleep(0.1)
    if _is_deleted(job):
        _change(job, state="F")
        return 0
    number = job.partition("[")[0]
    place = _folder() / f"{job}.d"
    place.mkdir()
    (place / "nodes").write_text(f"{socket.gethostname()}\n" * _lines(said["select"]))
    (place / "script").write_text(said["script"])
    (place / "script").chmod(0o700)
    variables = {f"PBS_O_{k}": v for k, v in said["submitted"].items() if v} | {
        "PBS_O_WORKDIR": said["workdir"], "PBS_O_HOST": socket.gethostname(), "PBS_O_QUEUE": said["queue"],
        "PBS_O_SYSTEM": platform.system(), "PBS_JOBID": f"{job}.{SERVER}", "PBS_JOBNAME": said["name"],
        "PBS_NODEFILE": str(place / "nodes"), "PBS_QUEUE": said["queue"], "PBS_ENVIRONMENT": "PBS_BATCH",
        "PBS_JOBDIR": said["submitted"]["HOME"], "NCPUS": "1", "HOME": said["submitted"]["HOME"],
        "LOGNAME": said["submitted"]["LOGNAME"], _WHERE: str(_folder()),
    }  # fmt: skip
    if "index" in said:
        variables |= {"PBS_ARRAY_INDEX": str(said["index"]), "PBS_ARRAY_ID": f"{number}[].{SERVER}"}
    begun = time.time()
    with Path(said["output"]).open("ab") as out:
        process = subprocess.Popen(
            ["-bash", str(place / "script")], executable=said["shell"], cwd=said["submitted"]["HOME"],
            env=said["environment"] | variables, stdin=subprocess.DEVNULL, stdout=out,
            stderr=out if said["joined"] else subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        _change(job, state="R", stime=begun)
        code = _awaited(job, process, begun + said["wall_s"])
    _signal(job, signal.SIGKILL)
    _change(job, state="F", exit_status=code if code >= 0 else 256 - code)
    return 0


def _awaited(job: str, process: subprocess.Popen[bytes], end_s: float) -> int:
    kill_s: float | None = None
    while process.poll() is None:
        now = time.time()
        if kill_s is None and (now >= end_s or _is_deleted(job)):
            _signal(job, signal.SIGTERM)
            kill_s = now + KILL_DELAY_S
        elif kill_s is not None and now >= kill_s:
            _signal(job, signal.SIGKILL)
        time.sleep(0.05)
    return process.returncode


# --- qstat, qdel, qsig -----------------------------------------------------------------------------------


def qstat(words: Sequence[str]) -> int:
    full, history = "-f" in words, "-x" in words
    for word in (w for w in words if w not in ("-f", "-x")):
        for job in _named(word):
            said = _read(job)
            if said["state"] == "F" and not history:
                print(
                    f"qstat: {word} Job has finished, use -x or -H to obtain historical job information"
                )
                return 35
            if not full:
                print(f"{job}.{SERVER:<12} {said['name']:<16} {said['state']} {said['queue']}")
                continue
            print(f"Job Id: {job}.{SERVER}")
            for name, value in _attributes(said):
                print(f"    {name} = {value}")
    return 0


def _attributes(said: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    hours, rest = divmod(int(said["wall_s"]), 3600)
    yield "Job_Name", said["name"]
    yield "job_state", said["state"]
    yield "queue", said["queue"]
    yield "Rerunable", said["rerunnable"]
    yield "Resource_List.place", said["place"]
    yield "Resource_List.select", said["select"]
    yield "Resource_List.walltime", f"{hours:02d}:{rest // 60:02d}:{rest % 60:02d}"
    yield "project", said["project"]
    if said["account"]:
        yield "Account_Name", said["account"]
    if "stime" in said:
        yield "stime", time.ctime(said["stime"])
    if "exit_status" in said:
        yield "Exit_status", str(said["exit_status"])


def qdel(words: Sequence[str]) -> int:
    for word in words:
        for job in _named(word):
            if _read(job)["state"] == "F":
                raise UsageError(f"qdel: Job has finished {word}")
            _path(job).with_suffix(".deleted").touch()
    return 0


def qsig(words: Sequence[str]) -> int:
    rest = list(words)
    number = signal.SIGTERM
    if rest[:1] == ["-s"]:
        number = signal.Signals[f"SIG{rest[1].removeprefix('SIG')}"]
        rest = rest[2:]
    for word in rest:
        for job in _named(word):
            if _read(job)["state"] != "R":
                raise UsageError(f"qsig: Request invalid for state of job {word}")
            _signal(job, number)
    return 0


class StandIn:
    """Its programs in `bin`, its jobs in a folder; at the end every job of it is killed."""

    def __init__(self, folder: Path) -> None:
        self.bin, self._jobs = folder / "bin", folder / "jobs"

    def __enter__(self) -> StandIn:
        for each in (self.bin, self._jobs):
            each.mkdir(parents=True)
        for name in PROGRAMS:
            text = f'#!/bin/sh\nexec {shlex.quote(sys.executable)} {shlex.quote(__file__)} {name} "$@"\n'
            (self.bin / name).write_text(text)
            (self.bin / name).chmod(0o755)
        return self

    def states(self) -> list[str]:
        """Q, R or F of each of its jobs."""
        return [json.loads(path.read_text())["state"] for path in self._jobs.glob("*.json")]

    def environment(self, base: Mapping[str, str] = os.environ) -> dict[str, str]:
        kept = {k: v for k, v in base.items() if not k.startswith(("PBS_", "SGE_", "SLURM_"))}
        return kept | {"PATH": f"{self.bin}:{base['PATH']}", _WHERE: str(self._jobs)}

    def __exit__(self, *_: object) -> None:
        wanted = f"{_WHERE}={self._jobs}".encode()
        for _ in range(2):
            for entry in Path("/proc").glob("[0-9]*"):
                with contextlib.suppress(OSError, ValueError):
                    if wanted in (entry / "environ").read_bytes().split(b"\0"):
                        os.kill(int(entry.name), signal.SIGKILL)


def main(words: Sequence[str]) -> int:
    called = {"qsub": qsub, "qstat": qstat, "qdel": qdel, "qsig": qsig}
    try:
        return _run(words[1]) if words[0] == "_run" else called[words[0]](words[1:])
    except (UsageError, OSError, KeyError) as error:
        print(f"{words[0]}: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
