"""Events of CLIC as MLPF's authors prepare them from EDM4HEP: parquet of tracks, clusters, particles.

hardware: none; versions: pyarrow 25, numpy 2.4; n, number: nothing is measured here; lineage: Pata, Wulff,
Mokhtar, Southwick, Zhang, Girone and Duarte 2024 (Commun. Phys. 7:124); raw data Zenodo 8260741, prepared
8409592. The format is that of mlpf/data/key4hep/postprocessing.py and mlpf/conf.py of jpata/particleflow
(7e8a710, August 2026), whose reader is mlpf/heptfds/edm4hep_utils/utils_pf.py. Read there, and not seen:
none of the published files was at hand.

A file holds ONE row, a record of lists over its events. X_track (N, 16) and X_cluster (M, 17) of an event
have the columns TRACK and CLUSTER below; ytarget_track, ycand_track (N, 14) and ytarget_cluster,
ycand_cluster (M, 14) those of PARTICLE; row i is the particle of element i, PDG 0 is none. ycand is of the
rule-based particle flow Pandora. PDG is one of CODES: upstream makes each track's charged and each cluster's
neutral. From revision 2.0 to 3.1 the last column is absent (13). In 1.6 `ygen_track` and `ygen_cluster`
stand for ytarget, with the first 7 or 8 columns. GeV, mm, 1 / mm, ns, radian.

Further fields (hits and their targets, genmet, genjet, targetjet) are not read.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from suite.core.errors import DataError
from suite.core.extras import need
from suite.files import UnsafeFileError, open_regular, write_whole

# Columns of each array, in order, by upstream's names.
TRACK = (
    "elemtype", "pt", "eta", "sin_phi", "cos_phi", "p", "chi2", "ndf", "dEdx", "dEdxError",
    "radiusOfInnermostHit", "tanLambda", "D0", "omega", "Z0", "time",
)  # fmt: skip
CLUSTER = (
    "elemtype", "et", "eta", "sin_phi", "cos_phi", "energy", "position.x", "position.y", "position.z",
    "iTheta", "energy_ecal", "energy_hcal", "energy_other", "num_hits", "sigma_x", "sigma_y", "sigma_z",
)  # fmt: skip
PARTICLE = (
    "PDG", "charge", "pt", "eta", "sin_phi", "cos_phi", "energy", "ispu", "generatorStatus",
    "simulatorStatus", "gp_to_track", "gp_to_cluster", "jet_idx", "particle_number",
)  # fmt: skip
CODES = (0, 211, 130, 22, 11, 13)
"""PDG number of each class of models/data/delphes.py, in its order."""

WIDTHS = (7, 8, 13, 14)
"""Columns of a particle in upstream's revisions. Charge, momentum and energy are among the first 7 of all."""

IS_TRACK, IS_CLUSTER = 1.0, 2.0
MAX_FILE_BYTES = 1 << 31
MAX_BYTES = 1 << 31
"""Of the six arrays, unpacked. A hundred events of 200 elements are 4 MB."""

MAX_EVENTS = 100_000
"""Of a file."""

MAX_ELEMENTS = 100_000
"""Tracks or clusters of an event; a collision at 380 GeV has some hundred."""

Event = tuple[Any, Any, Any]
"""X (n, 17), y (n, 7) and candidates (n, 7), float64: tracks and then clusters. y: class, charge, pt, eta,
sin phi, cos phi, energy; a class that is none of CODES is -1. A track's last column of X is 0."""


def read(path: Path) -> list[Event]:
    """The events of one file, in order; each has at least no wrong shape: NaN, other classes and empty events
    are the caller's to count.

    What the file's head states (rows, values, bytes) is bounded before anything is unpacked, what came out
    after. Raises DataError naming the file and the remedy; ConfigError where pyarrow is not installed.
    """
    need("pyarrow")
    try:
        return _events(_columns(path))
    except DataError as error:
        raise DataError(f"{path}: {str(error).rstrip('.')}; prepare or copy it again.") from None


def _columns(path: Path) -> dict[str, tuple[Any, Any]]:
    """Offsets (events + 1,) of the elements and rows (elements, width) of each array."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with open_regular(path) as file:
            size = file.seek(0, io.SEEK_END)
            if size > MAX_FILE_BYTES:
                raise DataError(f"has {size} bytes: at most {MAX_FILE_BYTES}.")
            file.seek(0)
            # pre_buffer would read every column that is asked for at once.
            parquet = pq.ParquetFile(
                file, pre_buffer=False, thrift_string_size_limit=1 << 26,
                thrift_container_size_limit=1 << 20,
            )  # fmt: skip
            names = _names(parquet.schema_arrow.names)
            _check_head(parquet.metadata, set(names.values()))
            return {
                key: _rows(name, parquet.read([name]).column(name)) for key, name in names.items()
            }
    # OSError: a truncated file too. TypeError, ValueError, ArrowException: whatever its bytes ask for.
    except (OSError, EOFError, TypeError, ValueError, MemoryError, pa.ArrowException) as error:
        raise DataError(f"cannot be read as parquet ({_first_line(error)}).") from None
    except UnsafeFileError as error:
        raise DataError(f"cannot be read ({error}).") from None


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


def _names(present: Sequence[str]) -> dict[str, str]:
    """Our key of each array -> the file's name of it. Raises DataError for one that is absent."""
    truth = "ytarget" if "ytarget_track" in present else "ygen"
    keys = {"X": "X", "y": truth, "cand": "ycand"}
    names = {
        f"{key}_{kind}": f"{name}_{kind}"
        for key, name in keys.items()
        for kind in ("track", "cluster")
    }
    absent = [name.replace("ygen", "ytarget") for name in names.values() if name not in present]
    if absent:
        raise DataError(f"does not hold {', '.join(absent)}: it is not of upstream's format.")
    return names


def _check_head(head: Any, wanted: set[str]) -> None:
    """Raises DataError for more rows, values or bytes than a file of events has."""
    if head.num_rows != 1 or head.num_row_groups != 1:
        raise DataError(
            f"holds {head.num_rows} rows in {head.num_row_groups} groups: must be one record of lists."
        )
    group = head.row_group(0)
    columns = [group.column(k) for k in range(group.num_columns)]
    mine = [c for c in columns if c.path_in_schema.split(".")[0] in wanted]
    n_bytes = sum(c.total_uncompressed_size for c in mine)
    n_values = sum(c.num_values for c in mine)
    if not (0 <= n_bytes <= MAX_BYTES and 0 <= 8 * n_values <= MAX_BYTES):
        raise DataError(f"unpacks to {max(n_bytes, 8 * n_values)} bytes: at most {MAX_BYTES}.")


def _rows(name: str, column: Any) -> tuple[Any, Any]:
    """Events' offsets and the rows of a column: list over events of list over elements of list of numbers."""
    import pyarrow as pa

    array: Any = pa.concat_arrays(column.chunks)
    counts = []
    for depth in ("events", "elements", "numbers"):
        if pa.types.is_null(array.type):
            # Where every list is empty, its writer knew no type.
            array = array.cast(pa.list_(pa.float64()))
        lengths, array = _unwrapped(f"{name}: {depth}", array)
        counts.append(lengths)
    events, elements, widths = counts
    if len(elements) > MAX_EVENTS:
        raise DataError(f"{name}: {len(elements)} events, at most {MAX_EVENTS}.")
    if elements.max(initial=0) > MAX_ELEMENTS:
        raise DataError(f"{name}: {elements.max()} elements in an event, at most {MAX_ELEMENTS}.")
    if len(events) != 1 or len(set(widths.tolist())) > 1:
        raise DataError(f"{name}: its rows are not of one width.")
    if pa.types.is_null(array.type):
        array = array.cast(pa.float64())
    if not (pa.types.is_floating(array.type) or pa.types.is_integer(array.type)):
        raise DataError(f"{name}: holds {array.type}, must be numbers.")
    if array.null_count:
        raise DataError(f"{name}: holds absent values.")
    width = int(widths[0]) if len(widths) else 0
    values = array.to_numpy(zero_copy_only=False).astype(np.float64, copy=False)
    return np.concatenate([[0], np.cumsum(elements)]), values.reshape(len(widths), width)


def _unwrapped(name: str, array: Any) -> tuple[Any, Any]:
    """Length of each list, and what is in all of them together."""
    import pyarrow as pa

    kind = array.type
    if array.null_count:
        raise DataError(f"{name}: holds absent lists.")
    if pa.types.is_fixed_size_list(kind):
        return np.full(len(array), kind.list_size, np.int64), array.flatten()
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return np.diff(array.offsets.to_numpy()).astype(np.int64), array.flatten()
    raise DataError(f"{name}: holds {kind}, must be lists.")


def _events(columns: Mapping[str, tuple[Any, Any]]) -> list[Event]:
    n = {key: len(offsets) - 1 for key, (offsets, _) in columns.items()}
    if len(set(n.values())) != 1:
        raise DataError(f"holds {n} events: must be equal.")
    for kind, names in (("track", TRACK), ("cluster", CLUSTER)):
        at, rows = columns[f"X_{kind}"]
        _check_width(f"X_{kind}", rows, (len(names),))
        for key in ("y", "cand"):
            offsets, particles = columns[f"{key}_{kind}"]
            _check_width(f"{key}_{kind}", particles, WIDTHS)
            if not np.array_equal(offsets, at):
                raise DataError(f"{key}_{kind}: another number of rows than X_{kind}.")
    events = []
    for e in range(n["X_track"]):
        tracks, clusters = (_of_event(columns[f"X_{kind}"], e) for kind in ("track", "cluster"))
        X = np.zeros((len(tracks) + len(clusters), len(CLUSTER)))
        X[: len(tracks), : tracks.shape[1]], X[len(tracks) :, : clusters.shape[1]] = (
            tracks,
            clusters,
        )
        # 1 is a track and 2 a cluster in upstream's files; else the event is damaged.
        X[: len(tracks), 0] = np.where(X[: len(tracks), 0] == IS_TRACK, IS_TRACK, np.nan)
        X[len(tracks) :, 0] = np.where(X[len(tracks) :, 0] == IS_CLUSTER, IS_CLUSTER, np.nan)
        y, cand = (
            np.concatenate(
                [
                    _particles(_of_event(columns[f"{key}_{kind}"], e))
                    for kind in ("track", "cluster")
                ]
            )
            for key in ("y", "cand")
        )
        events.append((X, y, cand))
    return events


def _check_width(name: str, rows: Any, allowed: Sequence[int]) -> None:
    if len(rows) and rows.shape[1] not in allowed:
        expected = " or ".join(map(str, allowed))
        raise DataError(f"{name}: {rows.shape[1]} columns, must be {expected}.")


def _of_event(column: tuple[Any, Any], e: int) -> Any:
    offsets, rows = column
    return rows[offsets[e] : offsets[e + 1]]


def _particles(rows: Any) -> Any:
    """(n, 7) with the class in place of the PDG number, -1 for one that is not of CODES."""
    y = np.zeros((len(rows), 7))
    if len(rows) == 0:
        return y
    y[:] = rows[:, :7]
    known = np.array(CODES, float)[:, None] == y[:, 0]
    y[:, 0] = np.where(known.any(axis=0), known.argmax(axis=0), -1)
    # No particle has neither momentum nor charge, whatever stands there.
    y[y[:, 0] == 0, 1:] = 0.0
    return y


def write(path: Path, events: Sequence[Mapping[str, Any]]) -> None:
    """The events as one such file, beside and renamed. Each: an array (rows, columns) of every name."""
    need("pyarrow")
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = {}
    for name in events[0]:
        arrays = [np.asarray(event[name], np.float32) for event in events]
        widths = np.repeat([a.shape[1] for a in arrays], [len(a) for a in arrays])
        numbers = pa.array(np.concatenate([a.ravel() for a in arrays]))
        rows = pa.ListArray.from_arrays(_offsets(widths), numbers)
        each = pa.ListArray.from_arrays(_offsets([len(a) for a in arrays]), rows)
        columns[name] = pa.ListArray.from_arrays(_offsets([len(arrays)]), each)
    packed = io.BytesIO()
    pq.write_table(pa.table(columns), packed, compression="zstd")
    write_whole(path, packed.getvalue())


def _offsets(lengths: Any) -> Any:
    import pyarrow as pa

    return pa.array(np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32))
