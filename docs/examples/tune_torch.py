"""A PyTorch training loop, searched: python tune_torch.py, or mpirun -n 3 python tune_torch.py.

The loop is yours but for three things: it takes config and seed, it yields after each epoch, and it hands
over its state there, so that a trial that was interrupted continues where it was.
"""

import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import swiftbench

images, labels = load_digits(return_X_y=True)
split = train_test_split(images / 16, labels, test_size=0.25, random_state=0, stratify=labels)
x_train, x_valid = (torch.tensor(x, dtype=torch.float32) for x in split[:2])
y_train, y_valid = (torch.tensor(y) for y in split[2:])


def train(config, seed, state=None):
    torch.manual_seed(seed)
    width, dropout = config["width"], torch.nn.Dropout(config["dropout"])
    model = torch.nn.Sequential(
        torch.nn.Linear(64, width), torch.nn.ReLU(), dropout, torch.nn.Linear(width, 10)
    )
    optimizer = torch.optim.SGD(model.parameters(), lr=config["lr"], momentum=0.9)
    epoch = 0
    if state is not None:
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        epoch = state["epoch"]
    while True:
        epoch += 1
        model.train()
        generator = torch.manual_seed(
            seed + epoch
        )  # an epoch's draws depend on seed and epoch alone
        for batch in torch.randperm(len(x_train), generator=generator).split(64):
            loss = torch.nn.functional.cross_entropy(model(x_train[batch]), y_train[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            output = model(x_valid)
        metrics = {
            "val_loss": torch.nn.functional.cross_entropy(output, y_valid),
            "val_accuracy": (output.argmax(1) == y_valid).double().mean(),
        }
        state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "epoch": epoch}
        yield metrics, state


space = {
    "lr": swiftbench.Float(1e-3, 1.0, log=True),
    "width": swiftbench.Choice(16, 32, 64),
    "dropout": swiftbench.Float(0.0, 0.5),
}

if __name__ == "__main__":
    result = swiftbench.tune(
        train, space, metric="val_loss", max_epochs=9, save=torch.save, load=torch.load
    )
    if result.is_main:
        print(result.config, result.value)
        print(f"swiftbench report {result.folder}")
