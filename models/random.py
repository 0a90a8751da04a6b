"""Random numbers that depend only on their purpose: an epoch needs no state of the epoch before."""

import numpy as np
import torch

# The purposes of streams; the first two also differ by epoch.
ORDER, NOISE, VALIDATION, TEST, PICTURES = range(5)


def generator(device: torch.device, *stream: int) -> torch.Generator:
    """The random numbers of a stream: a seed, their purpose, and perhaps an epoch."""
    state = np.random.SeedSequence(stream).generate_state(1, np.uint64)
    return torch.Generator(device).manual_seed(int(state[0]))


def shuffled(images: int, seed: int, epoch: int) -> torch.Tensor:
    """The order in which an epoch of a training takes its images."""
    return torch.randperm(images, generator=generator(torch.device("cpu"), seed, ORDER, epoch))
