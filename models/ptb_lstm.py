"""An LSTM that predicts the next word of Penn Treebank: the trainable form of the recorded table `ptb`.

hardware: 1 thread of a 2-core x86-64 virtual machine, shared (load 20 to 35); versions: torch 2.13.0
(CPU); n = 1 configuration each; number: see epoch_s (processor seconds an epoch of as many words as the
real training text has, 3 layers of 80, scaled up from 3 windows; 2 layers of 650: 1,090), on the
stand-in .85 (2 layers of 64); lineage: Zaremba et al. 2014 (arXiv 1409.2329); the table is of Baker et
al. 2017 (arXiv 1705.10823).

Perplexity of the stand-in's validation text after 6 epochs (2 layers of 64, rate 1, seed 1, n = 1):
14.6; by the words' frequencies alone: 98.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from models import checkpoint, torch_checkpoint, torch_training
from models.data.locate import DataChoice, check_split, choose, data_folder, reader
from models.split_training import SplitTraining, one_batch
from suite.core.errors import DivergedError
from suite.core.metric import Metric
from suite.core.seeds import stream_seed
from suite.core.space import Float, Int
from suite.core.target import Target, Training
from suite.core.types import Config

# Sentences side by side, and words through which a gradient goes back, as in Zaremba et al.
TRACKS, UNROLLED = 20, 35
# Largest norm of a step's gradient, as there.
CLIPPED = 5.0
# Half the range of the uniform initial weights: between the small (.1) and the medium network (.05) there.
INITIAL = 0.1
UNKNOWN, END = "<unk>", "<eos>"
# A perplexity beyond is no longer a number.
_MOST_NATS = 700.0


class PTBLSTM(Target):
    """A word-level language model; the objective is the perplexity of the validation text (lower is better).

    Embedding of n_inputs, n_layer LSTM layers of as many units, dropout before, between and after them,
    one linear layer onto the vocabulary. SGD on windows of 35 words of 20 tracks side by side; a track
    goes on where its last window ended, with the layers' state, and begins anew each epoch; the
    gradient's norm is cut at 5; the learning rate is multiplied by `decay` after each epoch. The
    vocabulary is that of the training text, other words are <unk>; a sentence ends with <eos>, which is
    predicted too.

    data: "real" needs the three published files in `<folder>/ptb/`, "stand_in" takes sentences of a
    small grammar (models/data/ptb_grammar.py), which are NOT the data set, "auto" the real ones where
    they are. The splits are the published ones: validation selects, test is for the winner. limit:
    rehearsals; at most so many training sentences and a quarter of it to validate and to test. Raises
    ConfigError for an argument out of range, DataError where data=real is not staged.

    Source: Zaremba et al. 2014, section 4.1. The recorded table varied n_layer (2 to 5) and n_inputs
    (10 to 1,390), the others held at values of its own framework; here all five are searched, n_inputs
    up to 650, their medium network. Deviation: the state begins at zero in each epoch, and `decay`
    works from the first epoch on, so that an epoch is a function of its number alone.
    """

    parameters = {
        "n_layer": Int(2, 5),
        "n_inputs": Int(10, 650, log=True),
        "learning_rate": Float(0.03, 3.0, log=True),
        "dropout": Float(0.0, 0.7),
        "decay": Float(0.7, 1.0),
    }
    default_configuration = {
        "n_layer": 2,
        "n_inputs": 650,
        "learning_rate": 1.0,
        "dropout": 0.5,
        "decay": 1.0,
    }
    default_source = (
        "the medium network of Zaremba et al. 2014 (two layers of 650, dropout .5, rate 1), without its "
        "decay by 1.2 after the sixth epoch"
    )
    metric = Metric("val_perplexity", "min")
    framework = "torch"
    data = "real"
    dataset = "ptb"
    checkpoint_bytes = 7_000_000
    epoch_s = 170.0

    def __init__(
        self,
        fixed: Mapping[str, Any] | None = None,
        data: DataChoice = "real",
        folder: str | None = None,
        limit: int | None = None,
    ) -> None:
        super().__init__(fixed)
        check_split("fixed", False, limit, "sentences")
        self.limit = limit
        self.folder = data_folder(folder, self.dataset)
        self.data = choose(data, self.dataset, self.folder)
        self.provenance: dict[str, str | int | bool] = {}

    def stage(self, device: str) -> None:
        """The three texts as word numbers on the device. Raises DataError for missing or damaged files."""
        import torch

        from models.data import ptb_grammar, splits

        self.device = device
        torch_training.set_precision("float32", device)
        torch.backends.cudnn.deterministic = True
        if self.data == "real":
            parts = reader(self.dataset).load(self.folder)
        else:
            parts = {part: ptb_grammar.sentences(part) for part in ptb_grammar.SIZES}
        if self.limit is not None:
            wanted = {"train": self.limit, "valid": self.limit // 4, "test": self.limit // 4}
            parts = {part: sentences[: wanted[part]] for part, sentences in parts.items()}
        self.words = vocabulary(parts["train"])
        numbers = {word: i for i, word in enumerate(self.words)}
        texts = {part: encoded(sentences, numbers) for part, sentences in parts.items()}
        train, valid, test = (texts[part] for part in ("train", "valid", "test"))
        sizes = np.array([len(parts[part]) for part in ("train", "valid", "test")])
        self.provenance = {
            "name": self.dataset,
            "sha256": splits.digest(train, valid, test),
            "stand_in": self.data != "real",
            "split": "published",
            "split_sha256": splits.digest(sizes),
            "n_train": int(sizes[0]),
            "n_valid": int(sizes[1]),
            "n_test": int(sizes[2]),
            "n_words": len(self.words),
        }

        def place(text: Any) -> tuple[Any, Any, Any]:
            words, following = tracks(text)
            counts = (following >= 0).sum(0)
            return (
                torch.from_numpy(words).to(device),
                torch.from_numpy(following).to(device),
                counts,
            )

        self.train, self.valid, self.test = place(train), place(valid), place(test)

    def warm_up(self) -> None:
        one_batch(self)

    def start(self, config: Config, seed: int) -> Training:
        return _LanguageModel(self, config, seed)


class _LanguageModel(SplitTraining):
    def __init__(self, target: PTBLSTM, config: Config, seed: int) -> None:
        import torch

        self.target, self.seed, self.config = target, seed, config
        # The same weights on every device.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(stream_seed(seed, "weights"))
            network = lstm(
                len(target.words), config["n_inputs"], config["n_layer"], config["dropout"]
            )
        self.network = network.to(target.device)
        self.optimizer = torch.optim.SGD(network.parameters(), lr=config["learning_rate"])
        settings = {"data": target.data, "limit": target.limit}
        self.origin = checkpoint.identity(
            type(target).__name__, config, settings, target.provenance["sha256"]
        )

    def train_epoch(self, epoch: int) -> None:
        self.note_loss(self.train(epoch), epoch)

    def train(self, epoch: int, n_batches: int | None = None) -> float:
        """Train the epoch's first windows, None: all of them; returns the mean loss in nats a word."""
        import torch

        rate = self.config["learning_rate"] * self.config["decay"] ** (epoch - 1)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        words, following, counts = self.target.train
        total = torch.zeros((), device=words.device)
        state, n = None, 0
        self.network.train()
        device = self.target.device
        with torch.random.fork_rng(devices=[device] if device.startswith("cuda") else []):
            torch.manual_seed(stream_seed(self.seed, "dropout", epoch))
            for first in range(0, words.shape[1], UNROLLED)[:n_batches]:
                window = slice(first, first + UNROLLED)
                scores, state = self.network(words[:, window], state)
                state = tuple(part.detach() for part in state)
                loss = summed_loss(scores, following[:, window])
                self.optimizer.zero_grad(set_to_none=True)
                # As there: the sum over a window's words, the mean over its tracks.
                (loss / TRACKS).backward()
                torch.nn.utils.clip_grad_norm_(self.network.parameters(), CLIPPED)
                self.optimizer.step()
                total += loss.detach()
                n += int(counts[window].sum())
        # The one synchronisation an epoch.
        return float(total) / n

    def evaluate(self, split: tuple[Any, Any, Any]) -> dict[str, float]:
        """Perplexity, and the loss in nats a word. Raises DivergedError where it is no number."""
        import torch

        words, following, counts = split
        total, state = torch.zeros((), device=words.device), None
        self.network.eval()
        with torch.no_grad():
            for first in range(0, words.shape[1], UNROLLED):
                window = slice(first, first + UNROLLED)
                scores, state = self.network(words[:, window], state)
                total += summed_loss(scores, following[:, window])
        nats = float(total) / int(counts.sum())
        if not nats < _MOST_NATS:
            raise DivergedError(f"val_loss={nats}: nats a word")
        return {"val_perplexity": math.exp(nats), "val_loss": nats}

    def save(self, path: Path) -> None:
        torch_checkpoint.save(path, self.network, self.optimizer, self.origin)

    def load(self, path: Path) -> None:
        torch_checkpoint.load(path, self.network, self.optimizer, self.origin)


def vocabulary(sentences: list[list[str]]) -> list[str]:
    """<unk>, <eos>, then the words, the most frequent first and equally frequent ones by the alphabet."""
    counts = Counter(word for words in sentences for word in words)
    for special in (UNKNOWN, END):
        counts.pop(special, None)
    return [UNKNOWN, END, *sorted(counts, key=lambda word: (-counts[word], word))]


def encoded(sentences: list[list[str]], numbers: Mapping[str, int]) -> Any:
    """int64 (words,): the sentences' numbers in a row, <eos> after each."""
    unknown = numbers[UNKNOWN]
    return np.array(
        [numbers.get(word, unknown) for words in sentences for word in (*words, END)], np.int64
    )


def tracks(text: Any) -> tuple[Any, Any]:
    """Words and what follows them, int64 (TRACKS, k): the text cut into tracks of equal length.

    The first track begins with what follows a sentence's end. What is only padding has -1 to follow it.
    """
    end = 1
    words = np.concatenate([[end], text[:-1]])
    k = -(-len(text) // TRACKS)
    padded = np.full((2, TRACKS * k), end, np.int64)
    padded[1] = -1
    padded[:, : len(text)] = words, text
    return padded[0].reshape(TRACKS, k), padded[1].reshape(TRACKS, k)


def summed_loss(scores: Any, following: Any) -> Any:
    """Sum of the cross-entropies (nats) of scores (b, t, V); -1 in `following` (b, t) counts nowhere."""
    from torch.nn.functional import cross_entropy

    of_words = scores.flatten(0, 1), following.flatten()
    return cross_entropy(*of_words, ignore_index=-1, reduction="sum")


def lstm(n_words: int, n_inputs: int, n_layer: int, dropout: float) -> Any:
    """(b, t) word numbers and a state or None -> (b, t, n_words) scores and the state."""
    import torch
    from torch import nn

    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding = nn.Embedding(n_words, n_inputs)
            self.dropout = nn.Dropout(dropout)
            self.layers = nn.LSTM(n_inputs, n_inputs, n_layer, dropout=dropout, batch_first=True)
            self.scores = nn.Linear(n_inputs, n_words)
            with torch.no_grad():
                for weights in self.parameters():
                    weights.uniform_(-INITIAL, INITIAL)

        def forward(self, words: Any, state: Any) -> tuple[Any, Any]:
            found, state = self.layers(self.dropout(self.embedding(words)), state)
            return self.scores(self.dropout(found)), state

    return Network()
