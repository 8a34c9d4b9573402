"""The smallest search: python tune_smallest.py, or mpirun -n 3 python tune_smallest.py; equal results."""

import swiftbench


def train(config):
    x, velocity = 10.0, 0.0
    while True:  # an epoch is one step of gradient descent with momentum on x ** 2
        velocity = config["momentum"] * velocity - config["lr"] * 2 * x
        x += velocity
        yield x**2


space = {"lr": swiftbench.Float(1e-3, 1.0, log=True), "momentum": swiftbench.Float(0.0, 1.0)}
result = swiftbench.tune(train, space, metric="loss", max_epochs=9)
if result.is_main:
    print(result.config, result.value)
