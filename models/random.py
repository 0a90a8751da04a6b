"""Random numbers that depend on what they are for alone: an epoch needs no state of the one before."""

import numpy as np
import torch

# What streams are for; the first two are told apart by epoch as well.
ORDER, NOISE, VALIDATION, TEST, PICTURES = range(5)


def generator(device: torch.device, *stream: int) -> torch.Generator:
    """The random numbers of a stream: a seed, what they are for, and perhaps an epoch."""
    state = np.random.SeedSequence(stream).generate_state(1, np.uint64)
    return torch.Generator(device).manual_seed(int(state[0]))


def shuffled(images: int, seed: int, epoch: int) -> torch.Tensor:
    """The order in which an epoch of a training takes its images."""
    return torch.randperm(images, generator=generator(torch.device("cpu"), seed, ORDER, epoch))
