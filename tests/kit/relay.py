"""A slow, lossy cable: frames between two tap devices, each delayed and some lost. Run within the wire.

    relay.py PORT HOST DELAY_S LOSS SEED

For kernels without netem. Each frame waits DELAY_S and is lost with probability LOSS, in each direction.
"""

from __future__ import annotations

import contextlib
import fcntl
import heapq
import itertools
import os
import random
import select
import struct
import sys
import time

TUNSETIFF = 0x400454CA
IFF_TAP, IFF_NO_PI = 0x0002, 0x1000


def tap(name: str) -> int:
    descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(descriptor, TUNSETIFF, struct.pack("16sH", name.encode(), IFF_TAP | IFF_NO_PI))
    return descriptor


def main() -> None:
    port, host, delay_s, loss, seed = sys.argv[1:]
    ends = (tap(port), tap(host))
    other = {ends[0]: ends[1], ends[1]: ends[0]}
    chance, number = random.Random(int(seed)), itertools.count()
    waiting: list[tuple[float, int, int, bytes]] = []
    print("ready", flush=True)
    while True:
        left_s = max(waiting[0][0] - time.monotonic(), 0.0) if waiting else None
        readable, _, _ = select.select([0, *ends], [], [], left_s)
        if 0 in readable and not os.read(0, 1):
            return  # the maker of the cluster has ended
        now = time.monotonic()
        for end in set(readable) & set(ends):
            try:
                frame = os.read(end, 65536)
            except OSError:
                continue
            if chance.random() >= float(loss):
                heapq.heappush(waiting, (now + float(delay_s), next(number), other[end], frame))
        while waiting and waiting[0][0] <= now:
            *_, end, frame = heapq.heappop(waiting)
            # An interface that is down: a frame lost.
            with contextlib.suppress(OSError):
                os.write(end, frame)


if __name__ == "__main__":
    main()
