"""A wall clock that is off on one host, as Python tells it, from the interpreter's start.

SUITE_CLOCK=HOST:FILE; the file holds the seconds to add, and may change. Monotonic clocks stay true, as those
of a host whose date is set anew. (libfaketime 0.9.10, asked for just that, lets time.sleep fail.)
"""

import os
import socket
import time

_host, _, _file = os.environ.get("SUITE_CLOCK", "").partition(":")
if _host and socket.gethostname() == _host:
    _true = time.time

    def _shifted() -> float:
        with open(_file) as offset:
            return _true() + float(offset.read() or 0)

    time.time = _shifted
    time.time_ns = lambda: int(_shifted() * 1e9)
