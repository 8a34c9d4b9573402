"""A labelled set of procedural pictures. It is NOT CIFAR-10, NOT Tiny ImageNet, nor a photograph.

hardware: 1 thread of a 2-core x86-64 virtual machine with a load of 5; versions: numpy 2.4,
torch 2.13; n = 5; number: 5,400 pictures/s (4,900..5,800) of 32 pixels a side, 1,600 (1,450..1,700)
of 64; lineage: shapes and textures as in psychophysics, nuisances as in CIFAR.
Difficulty, one run each, 10 classes, 32 pixels, 10 epochs, 2,000 held out: on 30,000 pictures two
convolutions as in models/cifar10_cnn.py reach an accuracy of 0.76 with 8 filters and 0.82 with 32;
on 8,000 pictures 0.56 with 8 and 0.59 with 16. Chance is 0.10, a linear model stays below 0.3.
"""

from __future__ import annotations

import colorsys
from typing import Any, NamedTuple

import numpy as np

from suite.core.errors import ConfigError, check_integer
from suite.core.seeds import stream

# Pictures drawn at once: their planes fit into the cache of a core.
CHUNK = 128
N_DISTRACTORS = 2
TURN = 2 * np.pi

# What a class can be made of; the first of each are used for few classes.
SHAPES = ("square", "disc", "triangle", "cross", "ring", "star", "crescent", "bar")
TEXTURES = ("stripes", "checks", "rings", "plain", "dots", "halves")
N_HUES = 6


class Traits(NamedTuple):
    """What one object shows: numbers of SHAPES, TEXTURES and hue, int64 (n,) each."""

    shape: Any
    texture: Any
    hue: Any


def images(n: int, side: int, n_classes: int, seed: int) -> tuple[Any, Any]:
    """Pictures uint8 (n, 3, side, side) in RGB, and labels int64 (n,), balanced and shuffled.

    A class is a shape, a texture and a hue; a picture shows one large object of its class, of any
    place, size and turn, under any light, before a patterned ground and smaller objects of other
    traits, partly covered, and noisy. Classes depend on `n_classes` alone: another seed gives new
    pictures of the same classes. Additions, products and roots only are done to pixels, so
    that bytes do not depend on the CPU's sine.

    Raises ConfigError for n < 1, side < 8, n_classes < 2 or more than there are traits for.
    """
    check_integer("n", n, 1, "(pictures)")
    check_integer("side", side, 8, "(pixels)")
    check_integer("n_classes", n_classes, 2)
    table = traits(n_classes)
    labels = stream(seed, "procedural", "labels").permutation(np.arange(n) % n_classes)
    pictures = np.empty((n, 3, side, side), np.uint8)
    for first in range(0, n, CHUNK):
        rng = stream(seed, "procedural", first)
        part = labels[first : first + CHUNK]
        pictures[first : first + CHUNK] = _draw(rng, part, table, side)
    return pictures, labels


def traits(n_classes: int) -> Traits:
    """Shape, texture and hue of every class: as few of each as make enough combinations, so that
    none alone tells the classes apart.
    """
    most = (len(SHAPES), len(TEXTURES), N_HUES)
    n_of = [1, 1, 1]
    while np.prod(n_of) < n_classes:
        room = [k for k in range(3) if n_of[k] < most[k]]
        if not room:
            raise ConfigError(f"n_classes={n_classes}: must be at most {np.prod(most)}.")
        n_of[min(room, key=lambda k: n_of[k])] += 1
    combinations = np.stack(np.unravel_index(np.arange(np.prod(n_of)), n_of))
    order = stream(0, "procedural", "classes", n_classes).permutation(combinations.shape[1])
    shape, texture, hue = combinations[:, order[:n_classes]]
    return Traits(shape, texture, hue * N_HUES // n_of[2])


# --- drawing --------------------------------------------------------------------------------------


def _draw(rng: np.random.Generator, labels: Any, table: Traits, side: int) -> Any:
    """uint8 (n, 3, side, side)."""
    n = len(labels)
    row = ((np.arange(side, dtype=np.float32) + 0.5) * (2 / side) - 1).astype(np.float32)
    x, y = np.broadcast_arrays(row[None, None, :], row[None, :, None])
    edge = np.float32(side / 2)  # fields change by 1 over half a picture: a rim of one pixel

    pixels = _ground(rng, n, x, y)
    for _ in range(N_DISTRACTORS):
        shown = Traits(*(rng.choice(kind, n) for kind in table))
        _place(rng, pixels, shown, x, y, edge, size=(0.1, 0.22), reach=0.95)
    shown = Traits(*(kind[labels] for kind in table))
    _place(rng, pixels, shown, x, y, edge, size=(0.4, 0.75), reach=0.35)
    _cover(rng, pixels, x, y)

    light = rng.uniform(0.6, 1.2, (n, 3, 1, 1)).astype(np.float32)
    light *= rng.uniform(0.8, 1.2, (n, 1, 1, 1)).astype(np.float32)
    pixels *= light
    noise = np.frombuffer(rng.bytes(pixels.size), np.uint8).reshape(pixels.shape)
    strength = rng.uniform(0.03, 0.2, (n, 1, 1, 1)).astype(np.float32) / 255
    pixels += (noise - np.float32(127.5)) * strength
    return np.clip(pixels * 255, 0, 255).astype(np.uint8)


def _ground(rng: np.random.Generator, n: int, x: Any, y: Any) -> Any:
    """float32 (n, 3, side, side): two colours blended along a slope, with a faint pattern."""
    u, v = _turned(rng, n, x, y)
    first, second = (_colours(rng, rng.uniform(0, 1, n), 0.6) for _ in range(2))
    frequency = _each(rng.uniform(1.0, 4.0, n))
    pattern = _textures(rng.integers(0, len(TEXTURES), n), u * frequency, v * frequency)
    blend = 0.5 + 0.3 * v + _each(rng.uniform(0.0, 0.5, n)) * (pattern - 0.5)
    return first + (second - first) * blend[:, None]


def _place(
    rng: np.random.Generator,
    pixels: Any,
    shown: Traits,
    x: Any,
    y: Any,
    edge: Any,
    size: tuple[float, float],
    reach: float,
) -> None:
    """Draw one object onto each picture. size: half widths, reach: of centres, in half pictures."""
    n = len(pixels)
    half = _each(rng.uniform(*size, n))
    stretch = _each(rng.uniform(0.8, 1.25, n))
    u, v = _turned(rng, n, x, y, reach)
    u, v = u / (half * stretch), v * (stretch / half)
    mask = np.clip((1 - _fields(shown.shape, u, v)) * half * edge + 0.5, 0, 1)
    frequency = _each(rng.uniform(1.2, 2.0, n))
    shift = [_each(rng.uniform(0, 1, n)) for _ in range(2)]
    ink = _textures(shown.texture, u * frequency + shift[0], v * frequency + shift[1])
    hue = shown.hue / N_HUES + rng.normal(0, 0.05, n)
    bright = _colours(rng, hue, 0.95)
    dark = bright * rng.uniform(0.15, 0.45, (n, 1, 1, 1)).astype(np.float32)
    colour = dark + (bright - dark) * ink[:, None]
    pixels += (colour - pixels) * mask[:, None]


def _cover(rng: np.random.Generator, pixels: Any, x: Any, y: Any) -> None:
    """A bar of one colour across two pictures of five."""
    n = len(pixels)
    u, _ = _turned(rng, n, x, y, reach=0.6)
    width = _each(np.where(rng.random(n) < 0.4, rng.uniform(0.06, 0.16, n), 0.0))
    bar = (np.abs(u) < width)[:, None]
    np.copyto(pixels, _colours(rng, rng.uniform(0, 1, n), 0.8), where=bar)


def _turned(
    rng: np.random.Generator, n: int, x: Any, y: Any, reach: float = 0.0
) -> tuple[Any, Any]:
    """Coordinates (n, side, side) about a random centre, turned by any angle."""
    angle = rng.uniform(0, TURN, n)
    cos, sin = _each(np.cos(angle)), _each(np.sin(angle))
    x = x - _each(rng.uniform(-reach, reach, n))
    y = y - _each(rng.uniform(-reach, reach, n))
    return cos * x + sin * y, cos * y - sin * x


def _fields(kinds: Any, u: Any, v: Any) -> Any:
    """(n, side, side): below 1 inside of the shape, growing outwards."""
    fields = np.empty_like(u)
    for kind in np.unique(kinds):
        rows = np.flatnonzero(kinds == kind)
        fields[rows] = _field(SHAPES[kind], u[rows], v[rows])
    return fields


def _field(shape: str, u: Any, v: Any) -> Any:
    a, b = np.abs(u), np.abs(v)
    if shape == "square":
        return np.maximum(a, b) / np.float32(0.9)
    if shape == "disc":
        return np.sqrt(u * u + v * v)
    if shape == "triangle":
        return np.maximum(-v, np.float32(0.866) * a + 0.5 * v) / np.float32(0.6)
    if shape == "cross":
        narrow = np.float32(1 / 0.36)
        return np.minimum(np.maximum(a, b * narrow), np.maximum(a * narrow, b))
    if shape == "ring":
        return np.abs(np.sqrt(u * u + v * v) - np.float32(0.75)) / np.float32(0.27)
    if shape == "star":
        return np.sqrt(a) + np.sqrt(b) * np.float32(0.95)
    if shape == "crescent":
        w = u - np.float32(0.55)
        return np.maximum(np.sqrt(u * u + v * v), np.float32(1.8) - np.sqrt(w * w + v * v))
    return np.maximum(a, b * np.float32(1 / 0.4))  # bar


def _textures(kinds: Any, u: Any, v: Any) -> Any:
    """(n, side, side) in [0, 1]; one period is 1."""
    textures = np.empty_like(u)
    for kind in np.unique(kinds):
        rows = np.flatnonzero(kinds == kind)
        textures[rows] = _texture(TEXTURES[kind], u[rows], v[rows])
    return textures


def _texture(texture: str, u: Any, v: Any) -> Any:
    if texture == "stripes":
        return _wave(u)
    if texture == "checks":
        return np.abs(_wave(u) - _wave(v))
    if texture == "rings":
        return _wave(np.sqrt(u * u + v * v))
    if texture == "plain":
        return np.full_like(u, 0.7)
    if texture == "dots":
        return np.minimum(_wave(u), _wave(v))
    return np.clip(u * 4, 0, 1)  # halves


def _wave(t: Any) -> Any:
    """From 0 to 1 and back within a period, flattened at both ends."""
    t = t - np.floor(t)
    return np.clip(np.abs(t - np.float32(0.5)) * 4 - np.float32(0.5), 0, 1)


def _colours(rng: np.random.Generator, hue: Any, brightest: float) -> Any:
    """float32 (n, 3, 1, 1) of these hues (1 is a full turn), saturation and brightness drawn."""
    saturation = rng.uniform(0.35, 0.95, len(hue))
    value = rng.uniform(0.6, 1.0, len(hue)) * brightest
    colours = [
        colorsys.hsv_to_rgb(h % 1.0, s, w) for h, s, w in zip(hue, saturation, value, strict=True)
    ]
    return np.array(colours, np.float32)[:, :, None, None]


def _each(values: Any) -> Any:
    """(n,) -> float32 (n, 1, 1)."""
    return np.asarray(values, np.float32)[:, None, None]
