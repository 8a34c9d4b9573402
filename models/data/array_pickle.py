"""Pickles of arrays from outside, read without numpy or any other code being called by the file.

A pickle is a program. Admitting numpy's own constructors is not safe: `ndarray` called with a buffer of the
file's choice and dtype object reads an address out of the file, strides of zero make a gigabyte of a byte,
and a memo index of four bytes allocates gigabytes. So the file's calls end in stand-ins that only note what
they were given, its opcodes are looked at first, and the array is made here from bytes of the right number.
"""

from __future__ import annotations

import io
import math
import pickle
import pickletools
from typing import Any

import numpy as np

from suite.core.errors import DataError

MAX_OPCODES = 2_000_000
"""Of a file of 100 events some 10,000; of a CIFAR-10 batch 60,000."""

# What dicts, lists, tuples, text, numbers and arrays need in protocols 2 to 5. No instances, no persistent
# ids, no extension codes, no out-of-band buffers.
_OPCODES = frozenset({
    "PROTO", "FRAME", "STOP", "MARK", "POP", "POP_MARK", "EMPTY_DICT", "EMPTY_LIST",
    "EMPTY_TUPLE", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "LIST", "DICT", "APPEND", "APPENDS",
    "SETITEM", "SETITEMS", "NONE", "NEWTRUE", "NEWFALSE", "BININT", "BININT1", "BININT2", "LONG1",
    "BINFLOAT", "BINSTRING", "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8",
    "BYTEARRAY8", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "GLOBAL", "STACK_GLOBAL",
    "REDUCE", "BUILD", "MEMOIZE", "BINPUT", "LONG_BINPUT", "BINGET", "LONG_BINGET",
})  # fmt: skip


class Dtype:
    """Stands for numpy.dtype(kind, align, copy) and its state; only plain numbers are admitted."""

    __slots__ = ("order", "size", "sort")

    def __init__(self, kind: object, *_: object) -> None:
        word = kind.decode("ascii", "replace") if isinstance(kind, bytes) else kind
        if word not in ("u1", "f4", "f8"):
            raise DataError(f"holds an array of {str(word)[:20]!r}: must be u1, f4 or f8.")
        self.sort, self.size, self.order = (
            str(word)[0],
            int(str(word)[1:]),
            "|" if word == "u1" else "=",
        )

    def __setstate__(self, state: Any) -> None:
        order = state[1].decode("ascii", "replace") if isinstance(state[1], bytes) else state[1]
        if order not in ("<", ">", "|", "="):
            raise DataError(f"holds an array of byte order {str(order)[:20]!r}.")
        self.order = order

    def numpy(self) -> np.dtype[Any]:
        return np.dtype(f"{self.order}{self.sort}{self.size}")


class Array:
    """Stands for an array: what the file says of it, until `numpy()` makes it."""

    __slots__ = ("content", "dtype", "order", "shape")

    def __init__(self, *_: object) -> None:
        self.shape: Any = None
        self.dtype: Any = None
        self.content: Any = None
        self.order = "C"

    def __setstate__(self, state: Any) -> None:
        _, self.shape, self.dtype, by_column, self.content = state
        self.order = "F" if by_column else "C"

    def n_bytes(self) -> int:
        """Bytes in the file. Raises DataError where it is no array of plain numbers."""
        if not isinstance(self.dtype, Dtype) or not isinstance(self.content, bytes | bytearray):
            raise DataError("holds no array of plain numbers.")
        shape = self.shape
        if not isinstance(shape, tuple) or not all(type(n) is int and n >= 0 for n in shape):
            raise DataError("holds an array without a shape.")
        if math.prod(shape) * self.dtype.size != len(self.content):
            raise DataError(f"holds {len(self.content)} bytes for an array of shape {shape[:8]}.")
        return len(self.content)

    def numpy(self) -> Any:
        """The array, read-only. Raises DataError as `n_bytes` does."""
        self.n_bytes()
        flat = np.frombuffer(self.content, self.dtype.numpy())
        return flat.reshape(self.shape, order=self.order)  # type: ignore[call-overload]


def _from_buffer(content: object, dtype: object, shape: object, order: object) -> Array:
    """Stands for numpy's _frombuffer, by which protocol 5 writes contiguous arrays."""
    array = Array()
    array.content, array.dtype, array.shape = content, dtype, shape
    array.order = "F" if order == "F" else "C"
    return array


def _encode(text: object, encoding: object = "latin1") -> bytes:
    """Stands for _codecs.encode, by which protocol 2 writes bytes."""
    if not isinstance(text, str) or encoding != "latin1":
        raise DataError("holds text in an encoding that no array needs.")
    return text.encode("latin1")


def _no_bytes(*arguments: object) -> bytes:
    """Stands for bytes(), by which protocol 2 writes no bytes."""
    if arguments:
        raise DataError("holds bytes made of another thing, which no array needs.")
    return b""


_ADMITTED: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): Array,
    ("numpy", "dtype"): Dtype,
    ("_codecs", "encode"): _encode,
    ("__builtin__", "bytes"): _no_bytes,
    **{
        (f"numpy.{core}.{module}", name): stand_in
        for core in ("core", "_core")
        for module, name, stand_in in (
            ("multiarray", "_reconstruct", Array),
            ("numeric", "_frombuffer", _from_buffer),
        )
    },
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ADMITTED:
            raise DataError(f"asks for {module}.{name}, which no array needs: not trusted.")
        return _ADMITTED[module, name]


def load(data: bytes, *, encoding: str = "ASCII") -> Any:
    """The file's dicts, lists, numbers and text, with an `Array` where it holds an array.

    encoding: as in `pickle.load`; "bytes" for what Python 2 wrote. Raises DataError for everything else
    that a pickle can ask for, and for one that is damaged.
    """
    try:
        check(data)
        return _Unpickler(io.BytesIO(data), encoding=encoding).load()
    except DataError:
        raise
    # A damaged pickle raises whatever its bytes happen to ask for.
    except Exception as error:
        raise DataError(f"is a damaged pickle ({type(error).__name__}: {error}).") from error


def check(data: bytes) -> None:
    """Raises DataError for an opcode, a memo index or a number of opcodes that no file of arrays needs."""
    number = 0
    for number, (opcode, argument, _) in enumerate(pickletools.genops(data)):
        if opcode.name not in _OPCODES:
            raise DataError(
                f"uses the pickle opcode {opcode.name}, which no array needs: not trusted."
            )
        # The unpickler allocates its memo up to the largest index.
        if opcode.name in ("BINPUT", "LONG_BINPUT") and int(argument or 0) > number + 1:
            raise DataError(f"uses memo index {argument} at opcode {number}: not trusted.")
        if number >= MAX_OPCODES:
            raise DataError(f"has more than {MAX_OPCODES} pickle opcodes: not trusted.")
    if number == 0:
        raise DataError("is an empty pickle.")
