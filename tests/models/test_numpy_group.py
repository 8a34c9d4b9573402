"""The group that sums numpy arrays over the loopback: sums, strangers, a rank that dies."""

import multiprocessing
import os
import signal
import socket
import time

import numpy as np
import pytest

from kit.rank_threads import together
from kit.sockets import listening
from models.numpy_group import Group


def met(size, stranger=None, timeout_s=60.0):
    """Groups of `size` ranks of this process that have met; stranger(port) connects before the others."""
    groups = [Group(rank, size, "cpu", timeout_s, False) for rank in range(size)]
    address = groups[0].offer()
    if stranger is not None:
        stranger(int(address.partition(":")[0]))
    together([lambda group=group: group.join(address) for group in groups])
    return groups


def sums(groups, arrays):
    return together(
        [lambda g=g, a=a: g.total(a.copy()) for g, a in zip(groups, arrays, strict=True)]
    )


@pytest.mark.parametrize("size", [2, 3])
def test_all_ranks_hold_the_sum_in_the_order_of_ranks_bit_for_bit(size):
    """More bytes than the sockets' buffers hold, and both kinds of float."""
    groups = met(size)
    rng = np.random.default_rng(size)
    for kind, n in ((np.float32, 3_000_001), (np.float64, 1)):
        arrays = [rng.normal(size=n).astype(kind) for _ in range(size)]
        expected = arrays[0].copy()
        for array in arrays[1:]:
            expected += array
        for found in sums(groups, arrays):
            assert found.dtype == kind and np.array_equal(found, expected)


def test_what_is_true_on_any_rank_is_agreed_by_all():
    groups = met(2)
    flags = [(True, False, False), (True, True, False)]
    works = [lambda g=g, f=f: g.agree(*f) for g, f in zip(groups, flags, strict=True)]
    assert together(works) == [[True, True, False]] * 2


@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_shares_are_the_whole_batch_and_none_is_larger_by_two(size):
    for first, last in ((0, 32), (64, 65), (7, 9)):
        groups = [Group(rank, size, "cpu", 1.0, False) for rank in range(size)]
        shares = [group.share(first, last) for group in groups]
        assert [row for low, high in shares for row in range(low, high)] == [*range(first, last)]
        lengths = [high - low for low, high in shares]
        assert max(lengths) - min(lengths) <= 1
        assert {group.batch for group in groups} == {last - first}


def test_it_listens_on_the_loopback_alone_and_no_longer_than_until_all_have_met():
    before = listening()
    leader, other = (Group(rank, 2, "cpu", 60.0, False) for rank in range(2))
    address = leader.offer()
    new = [entry for entry in listening() if entry not in before]
    assert new == [("0100007F", int(address.partition(":")[0]))]
    together([lambda g=g: g.join(address) for g in (leader, other)])
    assert [entry for entry in listening() if entry not in before] == []


def test_between_nodes_it_listens_on_the_interface_alone(monkeypatch):
    monkeypatch.setattr("models.rank_group.address_of", {"ib0": "127.0.0.2"}.get)
    before = listening()
    groups = [Group(rank, 2, "cpu", 60.0, False, "ib0") for rank in range(2)]
    address = groups[0].offer()
    new = [entry for entry in listening() if entry not in before]
    assert new == [("0200007F", int(address.partition(":")[0]))]
    together([lambda g=g: g.join(address) for g in groups])
    assert [found[0] for found in sums(groups, [np.ones(1), np.ones(1)])] == [2.0, 2.0]


def leaves(port):
    socket.create_connection(("127.0.0.1", port)).close()


def guesses(port):
    wrong = socket.create_connection(("127.0.0.1", port))
    wrong.sendall(bytes(16) + (1).to_bytes(4, "big"))


@pytest.mark.parametrize("stranger", [leaves, guesses])
def test_who_does_not_know_the_secret_takes_no_part(stranger):
    groups = met(2, stranger)
    assert [found[0] for found in sums(groups, [np.ones(1), np.ones(1)])] == [2.0, 2.0]


def test_a_number_that_is_no_missing_rank_is_turned_away():
    leader = Group(0, 3, "cpu", 0.5, False)
    port, _, secret = leader.offer().partition(":")
    connected = []
    for rank in (1, 1, 7, 0):
        connected.append(socket.create_connection(("127.0.0.1", int(port))))
        connected[-1].sendall(bytes.fromhex(secret) + rank.to_bytes(4, "big"))
    with pytest.raises(TimeoutError, match=r"2 of 3 ranks of a group have met in 0\.5 s"):
        leader.join("")
    for other in connected:
        other.close()


def test_a_group_that_does_not_meet_says_so():
    alone = Group(0, 2, "cpu", 0.2, False)
    address = alone.offer()
    with pytest.raises(TimeoutError, match="1 of 2 ranks of a group have met in 0.2 s"):
        alone.join(address)


def sums_until_killed(address, started):
    group = Group(1, 2, "cpu", 60.0, False)
    group.join(address)
    group.total(np.ones(1000))
    started.set()
    time.sleep(600)


def test_a_sum_with_a_rank_that_is_killed_ends_by_an_error():
    """And not by waiting: the kernel closes what the process had open."""
    context = multiprocessing.get_context("spawn")
    started, leader = context.Event(), Group(0, 2, "cpu", 60.0, False)
    address = leader.offer()
    other = context.Process(target=sums_until_killed, args=(address, started))
    other.start()
    leader.join(address)
    assert leader.total(np.ones(1000))[0] == 2.0
    assert started.wait(60)
    os.kill(other.pid, signal.SIGKILL)
    with pytest.raises(OSError):
        for _ in range(2):
            leader.total(np.ones(1000))
    other.join(30)
