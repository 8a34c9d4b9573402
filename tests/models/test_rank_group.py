"""Two ranks against one, without MPI: weights and curves after equal epochs."""

import multiprocessing
import threading

import pytest
import torch

from kit.rank_threads import Threads
from kit.sockets import listening
from models.cifar10_cnn import CIFAR10CNN
from models.digits_cnn import DigitsCNN
from models.openml_mlp import OpenMLMLP
from models.torch_group import Group

DIGITS = {"num_layers": 2, "num_filters": 8, "batch_size": 32, "learning_rate": 0.02,
          "momentum": 0.5}  # fmt: skip
CNN = {"num_layers": 3, "num_filters": 16, "batch_size": 64, "learning_rate": 0.01,
       "momentum": 0.5}  # fmt: skip
# Calm: weights that begin 1e-7 apart end 5e-6 apart. At 0.1 they end 4e-4 apart, for one rank too.
VGG = {"learning_rate": 0.003, "dropout": 0.3, "weight_decay": 0.01}
MLP = {"alpha": 0.01, "batch_size": 64, "depth": 2, "learning_rate": 0.003, "width": 32}
CASES = {
    "openml": (OpenMLMLP, {"data": "stand_in", "limit": 200}, MLP),
    "digits": (DigitsCNN, {}, DIGITS),
    "cnn": (CIFAR10CNN, {"data": "stand_in", "limit": 128}, CNN),
    "vgg": (CIFAR10CNN, {"data": "stand_in", "limit": 65, "architecture": "vgg"}, VGG),
}


def trained(case, group=None, epochs=2):
    make, arguments, config = CASES[case]
    torch.set_num_threads(1)
    target = make(**arguments)
    target.stage("cpu")
    target.group = group
    training = target.start(config, 1)
    curve = []
    for epoch in range(1, epochs + 1):
        training.train_epoch(epoch)
        curve.append(dict(training.validate()))
    weights = {k: v.double().numpy().copy() for k, v in training.network.state_dict().items()}
    return curve, weights


def one_of(size, rank, ports, results, case):
    group = Group(rank, size, "cpu", 60.0, False)
    if rank == 0:
        port = group.offer()
        for _ in range(size - 1):
            ports.put(port)
    else:
        port = ports.get()
    group.join(port)
    results.put((rank, trained(case, group)))


def together(case, size=2):
    context = multiprocessing.get_context("spawn")
    ports, results = context.Queue(), context.Queue()
    ranks = [
        context.Process(target=one_of, args=(size, i, ports, results, case)) for i in range(size)
    ]
    for process in ranks:
        process.start()
    found = dict(results.get(timeout=120) for _ in ranks)
    for process in ranks:
        process.join(30)
    return [found[i] for i in range(size)]


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_shares_of_each_batch_train_as_the_whole_batch(case):
    curve, weights = trained(case)
    first, second = together(case)
    assert first[0] == second[0]  # bit for bit: all ranks hold the same sums
    assert all((first[1][k] == second[1][k]).all() for k in weights)
    moved = max(abs(first[1][k] - weights[k]).max() for k in weights)
    judged = max(abs(a[k] - b[k]) for a, b in zip(curve, first[0], strict=True) for k in a)
    print(f"\n{case}: weights differ by {moved:.2g}, curves by {judged:.2g}")
    assert moved < 1e-4 and judged < 1e-4


def test_a_group_listens_on_the_loopback_alone(monkeypatch):
    """Who reached its store from elsewhere could write keys: it asks for no name."""
    monkeypatch.delenv("GLOO_SOCKET_IFNAME", raising=False)
    monkeypatch.delenv("NCCL_SOCKET_IFNAME", raising=False)
    before = listening()
    leader = Group(0, 2, "cpu", 30.0, False)
    port = leader.offer()
    new = [socket for socket in listening() if socket not in before]
    assert new == [("0100007F", port)]
    other = torch.distributed.TCPStore("127.0.0.1", port, 2, False)
    other.set("key", "value")
    assert leader._store.get("key") == b"value"


def test_between_nodes_a_group_listens_on_the_interface_alone(monkeypatch):
    monkeypatch.setattr("models.rank_group.address_of", {"ib0": "127.0.0.2"}.get)
    before = listening()
    leader = Group(0, 2, "cpu", 30.0, False, "ib0")
    host, _, port = leader.offer().partition(":")
    assert host == "127.0.0.2"
    assert [x for x in listening() if x not in before] == [("0200007F", int(port))]


def in_float64(config, group=None):
    target = DigitsCNN()
    target.stage("cpu")
    target.train, target.valid = ((x.double(), y) for x, y in (target.train, target.valid))
    target.group = group
    return target.start(config, 1)


def curve_of(training, found):
    for epoch in (1, 2):
        training.train_epoch(epoch)
        found.append(training.validate()["val_loss"])


def test_in_float64_what_rounding_parts_in_float32_is_one_curve():
    """This configuration parts by 0.04 nats within 4 epochs of float32, as one rank does whose
    weights begin 1e-7 apart: what differs is rounding, amplified.
    """
    config = {"num_layers": 2, "num_filters": 5, "batch_size": 64, "learning_rate": 0.214,
              "momentum": 0.61}  # fmt: skip
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)
    try:
        alone: list[float] = []
        curve_of(in_float64(config), alone)
        parts, meeting = [None, None], threading.Barrier(2, timeout=60)
        trainings = [in_float64(config, Threads(i, parts, meeting)) for i in range(2)]
        curves = [[], []]
        ranks = [
            threading.Thread(target=curve_of, args=pair)
            for pair in zip(trainings, curves, strict=True)
        ]
        for rank in ranks:
            rank.start()
        for rank in ranks:
            rank.join()
    finally:
        torch.set_default_dtype(torch.float32)
    assert len(alone) == 2 and curves[0] == curves[1]
    assert curves[0] == pytest.approx(alone, abs=1e-9)


def test_shares_of_a_tables_rows_train_as_the_whole_batch():
    """Also those of a last batch of one row, of which a rank has none: 65 rows, batches of 64."""
    torch.set_num_threads(1)

    def start(group=None):
        target = OpenMLMLP(data="stand_in", limit=65)
        target.stage("cpu")
        target.group = group
        return target.start(MLP, 1)

    def curve(training, found):
        for epoch in range(1, 6):
            training.train_epoch(epoch)
            found.append((training.train_loss, training.validate()["val_loss"]))

    alone: list[tuple[float, float]] = []
    curve(start(), alone)
    parts, meeting = [None, None], threading.Barrier(2, timeout=60)
    curves = [[], []]
    ranks = [
        threading.Thread(target=curve, args=(start(Threads(i, parts, meeting)), curves[i]))
        for i in range(2)
    ]
    for rank in ranks:
        rank.start()
    for rank in ranks:
        rank.join()
    assert len(alone) == 5 and curves[0] == curves[1]
    for found, expected in zip(curves[0], alone, strict=True):
        assert found == pytest.approx(expected, rel=1e-5)
