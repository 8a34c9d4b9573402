"""Ranks of a group as threads of one process: no launcher, no sockets."""

import threading

from models import numpy_group, torch_group


class Threads(torch_group.Group):
    """Two ranks in torch. parts: a list of two, shared by both; meeting: a threading.Barrier of two."""

    def __init__(self, rank, parts, meeting):
        super().__init__(rank, 2, "cpu", 60.0, False)
        self.parts, self.meeting = parts, meeting

    def total(self, value):
        self.parts[self.rank] = value.detach().clone()
        self.meeting.wait()
        whole = self.parts[0] + self.parts[1]
        self.meeting.wait()
        return value.copy_(whole)


class ArrayThreads(numpy_group.Group):
    """As many ranks as parts, which sum numpy arrays."""

    def __init__(self, rank, parts, meeting):
        super().__init__(rank, len(parts), "cpu", 60.0, False)
        self.parts, self.meeting = parts, meeting

    def total(self, value):
        self.parts[self.rank] = value.copy()
        self.meeting.wait()
        value[...] = sum(self.parts[1:], self.parts[0])
        self.meeting.wait()
        return value


def in_arrays(size, timeout_s=600.0):
    """The groups of `size` ranks that sum numpy arrays."""
    parts, meeting = [None] * size, threading.Barrier(size, timeout=timeout_s)
    return [ArrayThreads(rank, parts, meeting) for rank in range(size)]


def together(works):
    """What each of the functions returns, called in threads that wait for one another."""
    found = [None] * len(works)

    def call(rank):
        found[rank] = works[rank]()

    ranks = [threading.Thread(target=call, args=(rank,)) for rank in range(len(works))]
    for rank in ranks:
        rank.start()
    for rank in ranks:
        rank.join()
    return found
