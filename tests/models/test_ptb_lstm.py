"""The language model on Penn Treebank: its text, its loss by hand, its stand-in, its files."""

import hashlib
import math

import numpy as np
import pytest
import torch

from models import ptb_lstm
from models.data import ptb, ptb_grammar
from models.data.sources import SOURCES
from models.ptb_lstm import PTBLSTM, TRACKS, encoded, lstm, tracks, vocabulary
from suite.core.errors import DataError, DivergedError

CONFIG = {"n_layer": 2, "n_inputs": 16, "learning_rate": 1.0, "dropout": 0.2, "decay": 0.9}


def staged(**arguments):
    target = PTBLSTM(data="stand_in", **{"limit": 400, **arguments})
    target.stage("cpu")
    return target


def test_words_are_numbered_by_frequency_and_others_are_unknown():
    sentences = [["b", "a", "a"], ["c", "<unk>", "b", "a"]]
    words = vocabulary(sentences)
    assert words == ["<unk>", "<eos>", "a", "b", "c"]
    numbers = {word: i for i, word in enumerate(words)}
    assert encoded([["a", "zebra"], ["c"]], numbers).tolist() == [2, 0, 1, 4, 1]


@pytest.mark.parametrize("n", [1, 19, 20, 21, 1000])
def test_each_word_is_predicted_once_from_the_one_before_it(n):
    text = np.arange(2, n + 2)
    words, following = tracks(text)
    assert words.shape == following.shape and len(words) == TRACKS
    is_word = following.ravel() >= 0
    assert following.ravel()[is_word].tolist() == text.tolist()
    assert words.ravel()[is_word].tolist() == [1, *text[:-1]]


def test_perplexity_is_that_of_a_plain_loop_over_the_words():
    target = staged(limit=60)
    training = target.start(CONFIG, 1)
    training.train_epoch(1)
    found = training.validate()
    words, following, _ = target.valid
    network = training.network.eval()
    losses = []
    with torch.no_grad():
        for track, after in zip(words, following, strict=True):
            state = None
            for word, right in zip(track, after, strict=True):
                scores, state = network(word.view(1, 1), state)
                if right >= 0:
                    losses.append(-float(scores.log_softmax(-1)[0, 0, right]))
    assert found["val_loss"] == pytest.approx(np.mean(losses), rel=1e-5)
    assert found["val_perplexity"] == pytest.approx(math.exp(np.mean(losses)), rel=1e-5)


def test_a_network_that_knows_nothing_has_the_vocabulary_as_perplexity():
    target = staged(limit=60)
    training = target.start(CONFIG, 1)
    with torch.no_grad():
        for weights in training.network.parameters():
            weights.zero_()
    assert training.validate()["val_perplexity"] == pytest.approx(len(target.words), rel=1e-4)


def test_it_has_the_weights_of_the_formula():
    n_words, n, layers = 50, 12, 3
    found = sum(p.numel() for p in lstm(n_words, n, layers, 0.1).parameters())
    assert found == n_words * n + layers * 4 * (2 * n * n + 2 * n) + n_words * (n + 1)


def test_every_hyperparameter_changes_the_training():
    target = staged(limit=100)

    def curve(config):
        training = target.start(config, 1)
        for epoch in (1, 2):
            training.train_epoch(epoch)
        return training.validate()

    reference = curve(CONFIG)
    other = {"n_layer": 3, "n_inputs": 20, "learning_rate": 0.5, "dropout": 0.4, "decay": 0.8}
    assert set(other) == set(target.space)
    for name, value in other.items():
        assert curve(CONFIG | {name: value}) != reference, name


def test_it_learns_its_stand_in_beyond_the_words_frequencies():
    target = staged(limit=None)
    training = target.start(CONFIG | {"n_inputs": 64, "dropout": 0.1}, 1)
    for epoch in (1, 2):
        training.train_epoch(epoch)
    text = target.train[1].flatten()
    share = torch.bincount(text[text >= 0], minlength=len(target.words)).double() + 1
    valid = target.valid[1].flatten()
    by_frequency = -(share / share.sum())[valid[valid >= 0]].log().mean()
    assert training.validate()["val_loss"] < 0.85 * float(by_frequency)


def test_a_loss_that_is_no_number_is_a_diverged_trial():
    training = staged(limit=60).start(CONFIG, 1)
    with torch.no_grad():
        next(training.network.parameters()).fill_(float("nan"))
    with pytest.raises(DivergedError, match="nan"):
        training.validate()


# --- the stand-in ---------------------------------------------------------------------------------


def test_the_stand_in_is_the_same_every_time_and_its_parts_differ():
    some = ptb_grammar.sentences("train", 50)
    assert some == ptb_grammar.sentences("train", 80)[:50] != ptb_grammar.sentences("valid", 50)
    text = "\n".join(" ".join(words) for words in some)
    digest = hashlib.sha256(text.encode()).hexdigest()
    assert digest.startswith("10905b9b2aaff767")


def test_its_verbs_agree_with_their_subjects():
    """What can be a noun too is left out; "the" says nothing of the number."""
    topics = ptb_grammar._TOPICS.values()
    nouns = {noun for words, _, _ in topics for noun in words.split()}
    nouns |= {ptb_grammar._plural(noun) for noun in nouns}
    verbs = {verb for _, words, _ in topics for verb in words.split()}
    verbs = {v: ptb_grammar._third_person(v) for v in verbs}
    verbs = {v: s for v, s in verbs.items() if not {v, s} & nouns}
    n = 0
    for words in ptb_grammar.sentences("test", 300):
        is_plural = words[0] in ("some", "these", "many")
        if not is_plural and words[0] not in ("a", "this", "every"):
            continue
        found = [w for w in words if w in verbs or w in verbs.values()]
        # Only where the first clause has such a verb: else another clause's would be judged.
        if found and not {"but", "and", "while", "because", "although", "as", ","} & set(words):
            assert (found[0] in verbs) == is_plural, words
            n += 1
    assert n > 30


# --- the published files --------------------------------------------------------------------------


def write(folder, monkeypatch, **texts):
    folder.mkdir(parents=True)
    for part, name in ptb.FILES.items():
        content = texts.get(part, f" a b <unk> \n c {part} \n").encode()
        (folder / name).write_bytes(content)
        monkeypatch.setitem(ptb.MD5, name, hashlib.md5(content).hexdigest())


def test_the_published_files_are_read_and_labelled_real(tmp_path, monkeypatch):
    write(tmp_path / "ptb", monkeypatch)
    target = PTBLSTM(data="auto", folder=str(tmp_path))
    target.stage("cpu")
    assert target.data == "real" and target.provenance["stand_in"] is False
    assert target.words == ["<unk>", "<eos>", "a", "b", "c", "train"]
    assert [target.provenance[k] for k in ("n_train", "n_valid", "n_test")] == [2, 2, 2]


def test_another_file_or_a_missing_one_is_refused_by_name(tmp_path, monkeypatch):
    with pytest.raises(DataError, match=r"swiftbench fetch ptb .*model.data=stand_in"):
        PTBLSTM(folder=str(tmp_path))
    write(tmp_path / "ptb", monkeypatch)
    target = PTBLSTM(folder=str(tmp_path))
    (tmp_path / "ptb" / "ptb.valid.txt").write_text("other\n")
    with pytest.raises(DataError, match=r"ptb.valid.txt: md5 is .*fetch ptb"):
        target.stage("cpu")


def test_what_fetch_brings_is_what_the_reader_takes():
    files = {file.name: file.checksum for file in SOURCES["ptb"].files}
    assert files == {name: f"md5:{ptb.MD5[name]}" for name in ptb.FILES.values()}
    assert ptb_lstm.PTBLSTM.dataset in SOURCES
