"""Small files in the formats in which the data sets are published, and a server on this machine."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import struct
import tarfile
import threading
import zipfile
from collections import Counter
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
from PIL import Image

from models.data.sources import SOURCES, File


def md5(content: bytes) -> str:
    return hashlib.md5(content).hexdigest()


# --- CIFAR-10 -------------------------------------------------------------------------------------


def python2_batch(data: np.ndarray, labels: list[int], kind: bytes = b"u1") -> bytes:
    """A batch as Python 2's cPickle wrote it, protocol 2: byte strings, and one numpy array."""

    def text(value: bytes) -> bytes:
        return b"U" + bytes([len(value)]) + value

    def number(value: int) -> bytes:
        return b"K" + bytes([value]) if value < 256 else b"M" + struct.pack("<H", value)

    minus = b"J" + struct.pack("<i", -1)
    dtype = b"cnumpy\ndtype\n" + text(kind) + b"K\x00K\x01\x87R"
    dtype += b"(K\x03" + text(b"|") + b"NNN" + minus + minus + b"K\x00tb"
    array = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85" + text(b"b")
    array += b"\x87R(K\x01" + number(data.shape[0]) + number(data.shape[1]) + b"\x86" + dtype
    raw = data.tobytes()
    array += b"\x89T" + struct.pack("<I", len(raw)) + raw + b"tb"
    told = b"](" + b"".join(map(number, labels)) + b"e"
    return (
        b"\x80\x02}(" + text(b"batch_label") + text(b"training batch 1 of 5") + text(b"labels")
        + told + text(b"data") + array + text(b"filenames") + b"]u."
    )  # fmt: skip


def cifar_batches(rows: int) -> tuple[dict[str, bytes], np.ndarray, np.ndarray]:
    """Six batches and batches.meta; all pixels and labels in the order of the names."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (6, rows, 3072), dtype=np.uint8)
    labels = rng.integers(0, 10, (6, rows))
    names = [*(f"data_batch_{k}" for k in range(1, 6)), "test_batch"]
    found = {
        name: python2_batch(x, y.tolist()) for name, x, y in zip(names, pixels, labels, strict=True)
    }
    return found | {"batches.meta": b"\x80\x02}."}, pixels, labels


def tar_gz(files: dict[str, bytes], extra: tuple[tarfile.TarInfo, ...] = ()) -> bytes:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        for info in extra:
            archive.addfile(info)
    return gzip.compress(raw.getvalue(), 1)


# --- Tiny ImageNet --------------------------------------------------------------------------------

WNIDS = ("n03", "n01", "n02")


def jpeg(colour: object, mode: str = "RGB", side: int = 64) -> bytes:
    raw = io.BytesIO()
    Image.new(mode, (side, side), colour).save(raw, "JPEG", quality=95)
    return raw.getvalue()


def tiny_files(per_class: int = 12, n_valid: int = 6) -> dict[str, bytes]:
    """Three classes; picture k of class c has red 60 c and green 15 k, one is in grey levels."""
    files = {"wnids.txt": "\n".join(WNIDS).encode(), "words.txt": b"n01\tfish\n"}
    for wnid in WNIDS:
        files[f"train/{wnid}/{wnid}_boxes.txt"] = b"boxes"
        for k in range(per_class):
            content = jpeg((60 * int(wnid[1:]), 15 * k, 100))
            files[f"train/{wnid}/images/{wnid}_{k}.JPEG"] = content
    files["train/n02/images/n02_1.JPEG"] = jpeg(77, "L")
    notes = []
    for k in range(n_valid):
        files[f"val/images/val_{k}.JPEG"] = jpeg((200, 40 * k, 0))
        notes.append(f"val_{k}.JPEG\t{WNIDS[k % 3]}\t0\t0\t62\t62")
    files["val/val_annotations.txt"] = "\n".join([*notes, ""]).encode()
    files["test/images/test_0.JPEG"] = jpeg((0, 0, 0))
    return {f"tiny-imagenet-200/{name}": content for name, content in files.items()}


def zipped(files: dict[str, bytes]) -> bytes:
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w", zipfile.ZIP_DEFLATED) as bundle:
        for name, content in files.items():
            bundle.writestr(name, content)
    return raw.getvalue()


# --- OpenML ---------------------------------------------------------------------------------------


def arff(rows: int = 40, features: int = 12) -> tuple[bytes, np.ndarray]:
    table = np.random.default_rng(1).normal(size=(rows, features + 1)).round(6)
    head = ["% made for a test", "@RELATION grid", ""]
    head += [f"@ATTRIBUTE x{k} REAL" for k in range(features)]
    head += ["@ATTRIBUTE 'stab' NUMERIC", "", "@DATA"]
    lines = [",".join(map(str, row)) for row in table.tolist()]
    return "\n".join([*head, *lines, ""]).encode(), table


# --- server ---------------------------------------------------------------------------------------


@dataclass
class Site:
    """What a server has, how it misbehaves, and what it was asked for."""

    files: dict[str, bytes]
    base: str = ""
    cut: dict[str, list[int]] = field(default_factory=dict)
    """Bytes after which the next answers break off."""
    fail: dict[str, int] = field(default_factory=dict)
    """How many answers are 503."""
    ranges: bool = True
    shifted: bool = False
    asked: list[tuple[str, str | None]] = field(default_factory=list)

    def count(self, name: str) -> int:
        return Counter(name for name, _ in self.asked)[name]


@contextlib.contextmanager
def served(files: dict[str, bytes]):
    site = Site(files)

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_):
            pass

        def do_GET(self):
            name, wanted = self.path.lstrip("/"), self.headers.get("Range")
            site.asked.append((name, wanted))
            if site.fail.get(name, 0) > 0:
                site.fail[name] -= 1
                self.send_error(503)
                return
            if name not in site.files:
                self.send_error(404)
                return
            content, first = site.files[name], 0
            if wanted and site.ranges:
                first = int(wanted.removeprefix("bytes=").rstrip("-"))
                if first >= len(content):
                    self.send_error(416)
                    return
                self.send_response(206)
                said = first + 1 if site.shifted else first
                self.send_header("Content-Range", f"bytes {said}-{len(content) - 1}/{len(content)}")
            else:
                self.send_response(200)
            body = content[first:]
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if site.cut.get(name):
                body = body[: site.cut[name].pop(0)]
            self.wfile.write(body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    site.base = f"http://127.0.0.1:{server.server_port}"
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()


def publish(monkeypatch, site, name, file, told=True, **changes):
    """Let the data set `name` be the server's `file`."""
    content = site.files[file]
    stated = SOURCES[name].files[0] if SOURCES[name].files else File(file, ())
    here = File(
        stated.name,
        (f"{site.base}/{file}",),
        len(content) if told else None,
        f"md5:{md5(content)}" if told else None,
    )
    monkeypatch.setitem(SOURCES, name, replace(SOURCES[name], files=(here,), **changes))
