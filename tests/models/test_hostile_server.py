"""Servers that trickle, redirect or answer nonsense, and a data folder with links in it."""

import contextlib
import os
import socket
import threading
import time

import pytest

from models.data import fetch, transfer
from models.data.sources import SOURCES, File, Source
from models.data.transfer import Progress
from suite.core.errors import DataError
from suite.files import UnsafeFileError


@contextlib.contextmanager
def answering(chunks, pause_s=0.0):
    """A server that sends `chunks` to each connection, one by one; its address."""
    listener = socket.create_server(("127.0.0.1", 0))
    ended = threading.Event()

    def serve():
        with contextlib.suppress(OSError):
            while True:
                peer, _ = listener.accept()
                with peer, contextlib.suppress(OSError):
                    peer.recv(65536)
                    for chunk in chunks:
                        peer.sendall(chunk)
                        if ended.wait(pause_s):
                            break

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/file"
    finally:
        ended.set()
        listener.close()


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(transfer, "PAUSE_S", 0.0)
    monkeypatch.setattr(transfer, "RETRIES", 0)


def got(tmp_path, address):
    transfer.get(File("file", (address,)), tmp_path, 1 << 20, Progress())


OK = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.timeout(60)
def test_a_server_that_sends_a_byte_now_and_then_is_left(tmp_path, monkeypatch):
    monkeypatch.setattr(transfer, "TIMEOUT_S", 0.5)
    chunks = [OK + b"Content-Length: 100000\r\n\r\n", *[b"x"] * 2000]
    with answering(chunks, 0.02) as address:
        with pytest.raises(DataError, match=r"bytes came in \d+ s, fewer than 1000 a second"):
            got(tmp_path, address)
        with pytest.raises(DataError, match="fewer than 1000 a second"):
            transfer.text(address)


@pytest.mark.timeout(60)
def test_headers_that_come_a_byte_at_a_time_have_a_deadline(tmp_path, monkeypatch):
    monkeypatch.setattr(transfer, "ANSWER_S", 0.5)
    with answering([OK, *[b"x"] * 2000], 0.02) as address:
        begun = time.monotonic()
        with pytest.raises(DataError, match=r"no answer within 0\.5 s"):
            got(tmp_path, address)
    assert time.monotonic() - begun < 20


def moved(to):
    return [b"HTTP/1.1 302 Found\r\nLocation: " + to + b"\r\nContent-Length: 0\r\n\r\n"]


@pytest.mark.parametrize(
    ("chunks", "rule"),
    [
        (moved(b"ftp://127.0.0.1/file"), "redirected to ftp://127.0.0.1/file, which is refused"),
        (moved(b"file:///etc/passwd"), "file:///etc/passwd.*(is refused|not allowed)"),
        (moved(b"http://["), "answers what is not HTTP"),
        (moved(b"http://127.0.0.1:x/"), "answers what is not HTTP|nonnumeric port"),
        ([b"nonsense\r\n\r\n"], "nonsense"),
        ([b"HTTP/1.1 404 \x1b[2Jgone\r\n\r\n"], r"HTTP 404 \\x1b\[2Jgone"),
    ],
)
@pytest.mark.timeout(60)
def test_what_is_not_http_is_a_data_error_without_escapes(tmp_path, chunks, rule):
    with answering(chunks) as address:
        with pytest.raises(DataError, match=rule) as error:
            got(tmp_path, address)
        assert "\x1b" not in str(error.value)


@pytest.mark.parametrize("length", ["²".encode("latin1"), b"1e3", b"9" * 40, b" 7 7"])
@pytest.mark.timeout(60)
def test_a_content_length_that_is_no_number_is_not_trusted(tmp_path, length):
    answer = OK + b"Content-Length: " + length + b"\r\n\r\nhello"
    with answering([answer]) as address, contextlib.suppress(DataError):
        got(tmp_path, address)
    assert not (tmp_path / "file").exists() or (tmp_path / "file").read_bytes() in (b"hello", b"")


@pytest.mark.parametrize("name", [".lock", "one.part", "one", "listing"])
def test_a_link_in_a_data_folder_is_not_written_through(tmp_path, monkeypatch, name):
    precious, origin = tmp_path / "precious", tmp_path / "origin"
    precious.write_text("precious")
    origin.mkdir()
    (origin / "one").write_text("data")
    monkeypatch.setitem(SOURCES, "toy", Source("toy", "a toy", "none", (File("one", (), 4),)))
    folder = tmp_path / "data" / "toy"
    folder.mkdir(parents=True)
    (folder / name).symlink_to(precious)
    with contextlib.suppress(DataError, UnsafeFileError):
        fetch.stage("toy", tmp_path / "data", str(origin), progress=Progress())
    assert precious.read_text() == "precious"
    if name in ("one", "listing"):
        assert (folder / "one").read_text() == "data" and not (folder / "one").is_symlink()


@pytest.mark.timeout(20)
def test_a_pipe_in_a_data_folder_does_not_hang(tmp_path):
    os.mkfifo(tmp_path / "file")
    with pytest.raises(DataError, match="cannot be read"):
        transfer.check(tmp_path / "file", File("file", (), 4))
