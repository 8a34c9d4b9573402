"""scikit-learn's partial_fit, searched: python tune_sklearn.py, or mpirun -n 3 python tune_sklearn.py.

Nothing is saved here: trials stay in memory, and one that is needed in another process is trained again,
which costs milliseconds. That asks for a loop whose draws depend on `seed` alone.
"""

import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import SGDClassifier
from sklearn.model_selection import train_test_split

import swiftbench

images, labels = load_digits(return_X_y=True)
x_train, x_valid, y_train, y_valid = train_test_split(
    images / 16, labels, test_size=0.25, random_state=0, stratify=labels
)


def train(config, seed):
    draws = np.random.default_rng(seed)
    model = SGDClassifier(
        loss="log_loss", penalty=config["penalty"], alpha=config["alpha"],
        learning_rate="constant", eta0=config["eta0"], random_state=seed % 2**32,
    )  # fmt: skip
    while True:
        order = draws.permutation(len(x_train))
        model.partial_fit(x_train[order], y_train[order], classes=np.arange(10))
        yield {"val_accuracy": model.score(x_valid, y_valid)}


space = {
    "alpha": swiftbench.Float(1e-6, 1e-1, log=True),
    "eta0": swiftbench.Float(1e-4, 1.0, log=True),
    "penalty": swiftbench.Choice("l1", "l2"),
}

if __name__ == "__main__":
    result = swiftbench.tune(
        train, space, metric="val_accuracy", mode="max", max_epochs=9, algorithm="swift"
    )
    if result.is_main:
        print(result.config, result.value)
        print(result.data_frame().sort_values("last").tail())
