"""A small network in ONNX's format, written field by field: a test needs no package that makes one.

Format: onnx/onnx.proto3 of the ONNX project (field numbers), Protocol Buffers' encoding.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

_FLOAT, _INT32 = 1, 6


def _varint(value: int) -> bytes:
    out = b""
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _bytes(field: int, value: bytes | str) -> bytes:
    value = value.encode() if isinstance(value, str) else value
    return _varint(field << 3 | 2) + _varint(len(value)) + value


def _node(operation: str, inputs: list[str], output: str, *attributes: bytes) -> bytes:
    body = b"".join(_bytes(1, name) for name in inputs) + _bytes(2, output) + _bytes(4, operation)
    return _bytes(1, body + b"".join(_bytes(5, attribute) for attribute in attributes))


def _tensor(name: str, array: np.ndarray) -> bytes:
    body = b"".join(_number(1, n) for n in array.shape)
    body += _number(2, _FLOAT) + _bytes(8, name) + _bytes(9, array.astype("<f4").tobytes())
    return _bytes(5, body)


def _value(field: int, name: str, kind: int, n_columns: int) -> bytes:
    shape = _bytes(1, _bytes(2, "n")) + _bytes(1, _number(1, n_columns))
    return _bytes(
        field, _bytes(1, name) + _bytes(2, _bytes(1, _number(1, kind) + _bytes(2, shape)))
    )


def linear_network(weights: np.ndarray, of_category: np.ndarray) -> bytes:
    """x_cat (n x 1, int32), x_cont (n x k) -> x_cont @ weights + x_cat @ of_category.

    weights: k x m; of_category: 1 x m.
    """
    to_float = _bytes(1, "to") + _number(3, _FLOAT) + _number(20, 2)
    k, m = weights.shape
    graph = (
        _node("Cast", ["x_cat"], "category", to_float)
        + _node("MatMul", ["x_cont", "W"], "numbers")
        + _node("MatMul", ["category", "C"], "shift")
        + _node("Add", ["numbers", "shift"], "y")
        + _bytes(2, "linear")
        + _tensor("W", weights)
        + _tensor("C", of_category)
        + _value(11, "x_cat", _INT32, 1)
        + _value(11, "x_cont", _FLOAT, k)
        + _value(12, "y", _FLOAT, m)
    )
    return _number(1, 8) + _bytes(7, graph) + _bytes(8, _bytes(1, "") + _number(2, 13))


def write_lcbench(root: Path) -> None:
    """Below the data root, a network with LCBench's inputs: seconds are 2 an epoch and the category's number
    once; accuracy grows by 1 an epoch and depends on each hyperparameter.
    """
    weights = np.zeros((8, 6))
    weights[0, :2] = 2.0, 1.0
    weights[1:, 1] = 0.01, 5.0, 10.0, 5.0, 0.5, 0.001, -3.0
    of_category = np.zeros((1, 6))
    of_category[0, 0] = 1.0
    folder = root / "lcbench"
    folder.mkdir(parents=True)
    (folder / "model.onnx").write_bytes(linear_network(weights, of_category))
