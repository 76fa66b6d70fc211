"""Targets that are broken on purpose, each in one way and only for some inputs: what the supervisor must notice."""

import os
import time
from pathlib import Path
from random import Random

import numpy as np

from netwatch.jit import njit
from tests.fuzz.corpus import seeds
from tests.fuzz.target import Outcome

SOUND = Outcome(refused=False, packets=1)
BIG_BYTES = 400 << 20


def _is_unlucky(path: Path) -> bool:
    """About one mutant in eight, never one of the captures that are tried first."""
    content = path.read_bytes()
    return all(content != seed.content for seed in seeds(None)) and Random(content).random() < 0.12


def crashes(path: Path) -> Outcome:
    if _is_unlucky(path):
        os.abort()
    return SOUND


def hangs(path: Path) -> Outcome:
    while _is_unlucky(path):
        time.sleep(1)
    return SOUND


def swells(path: Path) -> Outcome:
    if _is_unlucky(path):
        np.ones(BIG_BYTES, np.uint8)
    return SOUND


@njit
def _read(data: np.ndarray, at: int) -> int:
    return int(data[np.uint64(at)])


def reads_past_the_end(path: Path) -> Outcome:
    _read(np.zeros(4, np.uint8), 4 if _is_unlucky(path) else 3)
    return SOUND
