"""The step and the checkpoints of torch targets; augmentation against slow loops."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from kit.driving import ROOT
from models import checkpoint, torch_checkpoint, torch_training
from models.images import augment, torchvision
from models.images.augment import Augmentation, Normalise
from models.torch_training import Step
from suite.core.errors import ConfigError, DataError


def pictures(n=6, side=10, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (n, side, side, 3), dtype=torch.uint8, generator=generator)


def drawn(n, how, seed=3):
    return augment.draw(n, how, torch.Generator().manual_seed(seed), "cpu")


def test_torchvision_imports_on_this_build_of_torch_and_again():
    script = (
        "from models.images.torchvision import import_torchvision as t; assert t() is t(); "
        "print(sum(p.numel() for p in t().models.resnet18().parameters()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.stdout.strip() == "11689512", done.stderr


def test_without_torchvision_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setattr(torchvision.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"torchvision.*--no-deps"):
        torchvision.import_torchvision()


@pytest.mark.parametrize("edge", [False, True])
def test_crops_and_flips_are_those_of_a_loop_over_images(edge):
    how = Augmentation(side=10, crop=10, pad=2, edge=edge, mirror=0.5, upturn=0.5)
    images, draws = pictures(), drawn(6, how)
    padded = augment.pad(images, how)
    expected = []
    for order, top, left, mirrored, upturned in zip(*(d.tolist() for d in draws), strict=True):
        mode = {"mode": "edge"} if edge else {"mode": "constant"}
        one = np.pad(images[order].numpy(), ((2, 2), (2, 2), (0, 0)), **mode)
        one = one[top : top + 10, left : left + 10]
        one = one[:, ::-1] if mirrored else one
        expected.append(one[::-1] if upturned else one)
    assert len(set(draws.mirrored.tolist())) == 2, "a seed that draws both"
    assert len(set(draws.upturned.tolist())) == 2
    assert (augment.augment(padded, draws, 0, 6, how).numpy() == np.stack(expected)).all()
    assert (augment.augment(padded, draws, 2, 5, how).numpy() == np.stack(expected[2:5])).all()


def test_resizing_is_pillows_bilinear_to_one_grey_level():
    from PIL import Image

    images = pictures(4, 56)
    ours = augment.resize(images, 64).numpy().astype(int)
    for image, mine in zip(images.numpy(), ours, strict=True):
        theirs = np.asarray(Image.fromarray(image).resize((64, 64), Image.Resampling.BILINEAR))
        assert abs(mine - theirs.astype(int)).max() <= 1


def test_every_place_and_both_flips_are_drawn_evenly_and_the_order_is_a_permutation():
    how = Augmentation(side=32, crop=32, pad=4, mirror=0.5, upturn=0.3)
    draws = drawn(20_000, how)
    assert sorted(draws.order.tolist()) == list(range(20_000))
    for corner in (draws.tops, draws.lefts):
        counts = torch.bincount(corner)
        assert len(counts) == 9
        assert (counts - 20_000 / 9).abs().max() < 5 * (20_000 / 9) ** 0.5
    assert abs(draws.mirrored.float().mean() - 0.5) < 0.02
    assert abs(draws.upturned.float().mean() - 0.3) < 0.02


def test_an_epochs_draws_are_a_function_of_the_seed():
    how = Augmentation(side=32, crop=32, pad=4, mirror=0.5)
    one, same, other = drawn(50, how, 1), drawn(50, how, 1), drawn(50, how, 2)
    assert all(torch.equal(a, b) for a, b in zip(one, same, strict=True))
    assert not torch.equal(one.order, other.order)


def test_normalised_pixels_are_scaled_centred_and_channels_last():
    normalise = Normalise((0.5, 0.4, 0.3), (0.2, 0.3, 0.4), "cpu")
    images = pictures()
    before = images.clone()
    found = normalise(images)
    wanted = (images.permute(0, 3, 1, 2) / 255 - torch.tensor([0.5, 0.4, 0.3]).view(3, 1, 1)) / (
        torch.tensor([0.2, 0.3, 0.4]).view(3, 1, 1)
    )
    assert torch.allclose(found, wanted, atol=1e-6)
    assert found.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(images, before)


def network():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.BatchNorm1d(3))


def optimizers(net):
    yield torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9, fused=True)
    yield torch.optim.AdamW(net.parameters(), lr=0.1, fused=True)
    yield torch.optim.Adadelta(net.parameters(), lr=0.1)


@pytest.mark.parametrize("which", [0, 1, 2])
@pytest.mark.parametrize("steps", [0, 2])
def test_steps_that_warm_up_a_capture_leave_the_training_as_it_was(which, steps):
    """What a CUDA graph's warm-up does, checked where there is no GPU."""
    x, y = torch.randn(8, 4), torch.tensor([0, 1, 2, 0, 1, 2, 0, 1])
    ends = []
    for warm in (False, True):
        net = network()
        optimizer = list(optimizers(net))[which]
        step = Step(net, optimizer, torch.nn.functional.cross_entropy, device="cpu")
        for _ in range(steps):
            step(x, y)
        if warm:
            with torch_training.untouched(net, optimizer):
                step(x, y)
                step(x, y)
        step(x, y)
        step(x, y)
        ends.append(torch.cat([p.detach().flatten() for p in net.parameters()]))
    assert torch.equal(*ends)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_replayed_graph_trains_as_single_steps_do():
    x, y = torch.randn(8, 4).cuda(), torch.tensor([0, 1, 2, 0, 1, 2, 0, 1]).cuda()
    ends = []
    for graph_batch in (0, 8):
        net = network().cuda()
        optimizer = next(optimizers(net))
        loss = torch.nn.functional.cross_entropy
        step = Step(net, optimizer, loss, device="cuda", graph_batch=graph_batch)
        for rows in (8, 5, 8, 8):  # a smaller last batch between full ones
            step(x[:rows], y[:rows])
        ends.append(torch.cat([p.detach().flatten() for p in net.parameters()]))
    assert torch.allclose(*ends, atol=1e-5)


def test_a_cpu_computes_in_float32_whatever_is_asked():
    assert {torch_training.set_precision(name, "cpu") for name in torch_training.PRECISIONS} == {
        "float32"
    }
    with pytest.raises(ConfigError, match="Did you mean bfloat16"):
        torch_training.set_precision("bfloat", "cpu")


def saved(path, config):
    net = network()
    optimizer = next(optimizers(net))
    torch_checkpoint.save(
        path, net, optimizer, checkpoint.identity("Some", config, {"limit": None})
    )
    return net, optimizer


def test_a_checkpoint_of_another_configuration_or_version_is_refused_by_name(tmp_path, monkeypatch):
    path = tmp_path / "trial7.ckpt"
    net, optimizer = saved(path, {"width": 3})
    torch_checkpoint.load(
        path, net, optimizer, checkpoint.identity("Some", {"width": 3}, {"limit": None})
    )
    for other in (
        checkpoint.identity("Some", {"width": 4}, {"limit": None}),
        checkpoint.identity("Some", {"width": 3}, {"limit": 8}),
        checkpoint.identity("Other", {"width": 3}, {"limit": None}),
    ):
        with pytest.raises(ConfigError, match=r"trial7\.ckpt.*resume with"):
            torch_checkpoint.load(path, net, optimizer, other)
    monkeypatch.setattr(checkpoint, "VERSION", 2)
    with pytest.raises(ConfigError, match=r"version is 1, this trial's is 2"):
        torch_checkpoint.load(
            path, net, optimizer, checkpoint.identity("Some", {"width": 3}, {"limit": None})
        )


class Evil:
    def __reduce__(self):
        return (print, ("code ran",))


def test_a_damaged_or_foreign_checkpoint_is_named_and_runs_no_code(tmp_path, capsys):
    path = tmp_path / "trial7.ckpt"
    net, optimizer = saved(path, {})
    whole = path.read_bytes()
    for damage in (b"", whole[:100], whole[: len(whole) // 2], b"text"):
        path.write_bytes(damage)
        with pytest.raises(DataError, match=r"trial7\.ckpt.*remove it"):
            torch_checkpoint.load(path, net, optimizer, checkpoint.identity("Some", {}, {}))
    for content in (Evil(), {"network": {}}, [1]):
        torch.save(content, path)
        with pytest.raises(DataError, match=r"trial7\.ckpt.*remove it"):
            torch_checkpoint.load(path, net, optimizer, checkpoint.identity("Some", {}, {}))
    assert "code ran" not in capsys.readouterr().out


def test_running_out_of_memory_passes_through(tmp_path, monkeypatch):
    path = tmp_path / "trial7.ckpt"
    net, optimizer = saved(path, {})

    def full(*_, **__):
        raise torch.OutOfMemoryError("full")

    monkeypatch.setattr(torch, "load", full)
    with pytest.raises(torch.OutOfMemoryError):
        torch_checkpoint.load(path, net, optimizer, checkpoint.identity("Some", {}, {}))
