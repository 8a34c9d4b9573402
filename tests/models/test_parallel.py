"""Two ranks against one, without MPI: weights and curves after equal epochs."""

import multiprocessing

import pytest
import torch

from models.cifar10_cnn import CIFAR10CNN
from models.digits_cnn import DigitsCNN

DIGITS = {"num_layers": 2, "num_filters": 8, "batch_size": 32, "learning_rate": 0.02,
          "momentum": 0.5}  # fmt: skip
CNN = {"num_layers": 3, "num_filters": 16, "batch_size": 64, "learning_rate": 0.01,
       "momentum": 0.5}  # fmt: skip
VGG = {"learning_rate": 0.1, "dropout": 0.3, "weight_decay": 0.01}
CASES = {
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
    from models.parallel import Group

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
