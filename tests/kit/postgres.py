"""A PostgreSQL of the test's own, and an MLflow server on it that can be killed and started again."""

import contextlib
import getpass
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

USER = "suite"


def programs():
    """The folder of initdb and postgres; None where PostgreSQL is not installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), reverse=True)
    beside = shutil.which("initdb")
    return Path(beside).resolve().parent if beside else found[0].parent if found else None


def _as_ordinary_user():
    """PostgreSQL refuses root: the words that run a command as `nobody`, and that user's name."""
    if os.geteuid() != 0:
        return [], getpass.getuser()
    return ["runuser", "-u", "nobody", "--"], "nobody"


@contextlib.contextmanager
def postgres():
    """Yields SQLAlchemy's address of an empty data base, reached by a socket in a folder of its own."""
    words, user = _as_ordinary_user()
    folder = Path(tempfile.mkdtemp(prefix="suite-pg-"))
    owner = pwd.getpwnam(user)
    os.chown(folder, owner.pw_uid, owner.pw_gid)
    bin_folder = programs()
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"}
    plain = {"cwd": folder, "env": environment, "check": True, "stdout": subprocess.DEVNULL}
    data = folder / "data"
    begun = None
    try:
        subprocess.run(
            [*words, bin_folder / "initdb", "-D", data, "-U", USER, "-A", "trust", "--no-sync"],
            **plain,
        )
        begun = subprocess.Popen(
            [*words, bin_folder / "postgres", "-D", data, "-k", folder, "-c", "listen_addresses=",
             "-c", "fsync=off", "-c", "full_page_writes=off"],
            cwd=folder, env=environment, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        ready = [bin_folder / "pg_isready", "-q", "-h", folder, "-U", USER]
        _until(lambda: subprocess.run(ready, check=False).returncode == 0, begun)
        yield f"postgresql+pg8000://{USER}@/postgres?unix_sock={folder}/.s.PGSQL.5432"
    finally:
        if begun is not None:
            # At once: nothing of it is needed again.
            os.killpg(begun.pid, signal.SIGQUIT)
            begun.wait(20)
        shutil.rmtree(folder, ignore_errors=True)


class Server:
    """`mlflow server` on a data base; artifacts go into `folder`."""

    def __init__(self, database, folder):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.uri = f"http://127.0.0.1:{self.port}"
        self._command = [
            sys.executable, "-m", "mlflow", "server", "--backend-store-uri", database,
            "--artifacts-destination", str(folder), "--host", "127.0.0.1", "--port", str(self.port),
            "--workers", "1",
        ]  # fmt: skip
        self._folder, self._process = folder, None

    def start(self):
        environment = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
        self._process = subprocess.Popen(
            self._command, cwd=self._folder, env=environment, start_new_session=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        _until(self._answers, self._process)

    def _answers(self):
        try:
            return urllib.request.urlopen(f"{self.uri}/health", timeout=5).read() == b"OK"
        except OSError:
            return False

    def kill(self):
        """SIGKILL, its workers too."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(20)


def _until(is_so, process, limit_s=120.0):
    end = time.monotonic() + limit_s
    while not is_so():
        assert process.poll() is None, f"ended with {process.returncode}"
        assert time.monotonic() < end
        time.sleep(0.1)
