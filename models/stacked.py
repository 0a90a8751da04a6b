"""Train several VAEs of one shape at once on one device: each batched step trains them all.

The trainings of a stack share everything but `var`, `lr` and `seed`. Each gets the images, the noise and the first
weights that `models.train.train` would give it, and differs from it by rounding alone. Nothing that happens to one
reaches another. Their rounding follows the width of the stack and their place in it (on CPUs the sigmoid of the last
elements of a tensor, which do not fill a vector, rounds otherwise), so both can be asked for.

Meant for GPUs, which one small model cannot fill. On CPUs it gains nothing: grouped convolutions are slow there.

Not supported: layers that draw random numbers (torch refuses dropout under vmap), and layers with buffers (batch
normalization; refused here).
"""

import traceback
from collections.abc import Generator, Mapping, Sequence
from dataclasses import replace
from itertools import zip_longest
from pathlib import Path

import torch
from torch import Tensor
from torch.func import functional_call, grad_and_value, vmap
from torch.nn.attention import SDPBackend, sdpa_kernel

from models.config import TrainConfig
from models.data import data_root, load, pixels
from models.loss import negative_elbo
from models.random import NOISE, generator, shuffled
from models.readings import Watch
from models.training import STEPS_BETWEEN_READINGS, Training
from models.vae import autocast

BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8  # the defaults of torch.optim.Adam

Metrics = dict[str, float]
Final = dict[str, float | str]


def train_stacked(
    configs: Sequence[TrainConfig],
    workdirs: Sequence[Path | None] = (),
    watches: Sequence[Watch | None] = (),
    places: Sequence[int] = (),
    width: int = 1,
) -> Generator[list[Metrics | Exception | None], None, list[Final | Exception]]:
    """Train the VAEs of `configs` together, with a workdir and a watch for each as `models.train.train` takes them.

    Each resumes from the checkpoint in its workdir, which may come from `models.train.train`, and the reverse.

    Args:
        configs: of the trainings.
        workdirs: of each; without a workdir nothing is saved.
        watches: of each; an exception ends only its own training.
        places: of each among the rows of the stack; else in their order.
        width: of the stack, at least. Rows without a training repeat the first row, and are not read.

    Yields:
        By epoch, for each training what `models.train.train` would yield, or what its `watch` raised in that epoch, or
        None if it had ended before.

    Returns:
        For each training its final metrics, or what its `watch` raised; the other trainings continue.

    Raises:
        ValueError: there are no configurations, they differ in more than var, lr and seed, or their model has buffers.
    """
    if len({replace(config, var=1, lr=1, seed=0) for config in configs}) != 1:
        raise ValueError("the configurations of a stack may differ only in var, lr and seed")
    data = load(configs[0].dataset, data_root())
    trainings = [_Row(*arguments, data) for arguments in zip_longest(configs, workdirs, watches)]
    placed = dict(zip(places or range(len(trainings)), trainings, strict=True))
    stack = _Stack(placed, max(width, *(place + 1 for place in placed)))
    try:
        while running := [training for training in trainings if training.is_running]:
            stack.epoch()
            try:
                yield [(row.error or row.history[-1]) if row in running else None for row in trainings]
            finally:  # also when the caller ends here
                for training in running:
                    if training.error is None:
                        training.save_checkpoint()
        return [training.error or training.finish() for training in trainings]
    finally:
        for training in trainings:
            if training.error is None:
                training.save_curve()


class _Row(Training):
    """A training of the stack. An exception of its `watch` ends only this training."""

    error: Exception | None = None

    @property
    def is_running(self) -> bool:
        return self.error is None and super().is_running

    def add(self, values: Tensor, images: int) -> None:
        """Add the values of a step on so many images, as `models.readings.measured` gives them, on the CPU."""
        if self.is_running:
            try:
                self.readings.add(values, images)
            except Exception as error:
                self.error = error
                try:
                    self.save_curve()
                    self.save_postmortem(error)
                except Exception:  # for example a full disk: it must not end the other trainings
                    traceback.print_exc()

    def state(self) -> Tensor:
        """Weights and Adam's two moments, as rows (3, P)."""
        weights = list(self.model.parameters())
        known = self.optimizer.state
        first, second = (
            [known[p][name] if p in known else torch.zeros_like(p) for p in weights]
            for name in ("exp_avg", "exp_avg_sq")
        )
        return torch.stack([torch.cat([p.detach().flatten() for p in row]) for row in (weights, first, second)])

    @torch.no_grad()
    def set_state(self, state: Tensor) -> None:
        """Set weights and moments to those of a later step, as `state` gives them."""
        weights = list(self.model.parameters())
        rows = [row.split([p.numel() for p in weights]) for row in state]
        for p, *parts in zip(weights, *rows, strict=True):
            weight, first, second = (torch.empty_like(p).copy_(part.view_as(p)) for part in parts)
            p.copy_(weight)
            step = torch.tensor(self.readings.step, dtype=torch.float32, device=self.device)
            self.optimizer.state[p] = {"step": step, "exp_avg": first, "exp_avg_sq": second}


class _Stack:
    """B trainings of P weights side by side, a row of (B, P) for each by its place; the other rows repeat the first.

    A training that has ended keeps its row, which is still computed, so that the others stay the same to the bit, but
    not read.
    """

    def __init__(self, placed: Mapping[int, _Row], width: int) -> None:
        first = next(iter(placed.values()))
        self.placed, self.device = placed, first.device
        self.rows = [placed.get(place, first) for place in range(width)]
        self.config = first.config  # for the parameters that all share
        self.model = first.model  # for its structure: the weights come from the rows
        if next(self.model.buffers(), None) is not None:
            raise ValueError(f"architecture {self.config.architecture} has buffers, which cannot be stacked")
        self.images = first.data.train.to(self.device)
        self.sizes = [p.numel() for p in self.model.parameters()]
        self.weights, self.first, self.second = torch.stack([row.state() for row in self.rows], 1)
        own = [(row.config.lr, row.config.var, row.step) for row in self.rows]
        self.lr, var, self.steps = torch.tensor(own, dtype=torch.float64, device=self.device).T.unsqueeze(2)
        self.var = var.squeeze(1).to(self.weights)
        self.gradients = vmap(grad_and_value(self.loss, has_aux=True))

    def epoch(self) -> None:
        """Train for an epoch all that have not ended."""
        self.learn()
        for place, training in self.placed.items():
            if training.is_running:
                training.set_state(torch.stack([self.weights[place], self.first[place], self.second[place]]))
                training.end_epoch()

    def learn(self) -> None:
        """One pass of each training over the images, in an order of its own."""
        for training in self.placed.values():
            training.begin_epoch(every=1)
        streams = [(row.config.seed, row.epoch) for row in self.rows]
        random = [generator(self.device, seed, NOISE, epoch) for seed, epoch in streams]
        orders = torch.stack([shuffled(len(self.images), *stream) for stream in streams])
        self.model.train()
        unread: list[tuple[Tensor, int]] = []
        for indices in orders.to(self.device).split(self.config.batch_size, dim=1):
            size = (indices.shape[1], self.config.latent_dim)
            noise = torch.stack([torch.randn(size, generator=own, device=self.device) for own in random])
            with sdpa_kernel(SDPBackend.MATH):  # the fused kernels of attention have no batched form
                gradients, (_, (loss, ranges)) = self.gradients(
                    self.weights, pixels(self.images[indices]), noise, self.var
                )
            norms = [part.norm(dim=1) for part in gradients.split(self.sizes, dim=1)]
            unread.append((torch.column_stack([loss, gradients.norm(dim=1), ranges, *norms]), size[0]))
            if len(unread) == STEPS_BETWEEN_READINGS.get(self.device.type, 1):
                self.read(unread)
                if not any(training.is_running for training in self.placed.values()):
                    return
            self.adam(gradients)
        self.read(unread)

    def read(self, unread: list[tuple[Tensor, int]]) -> None:
        """Add steps to the trainings, of values (B, ...) and a batch size each, and clear the list."""
        if unread:
            for step, (_, images) in zip(torch.stack([values for values, _ in unread]).cpu(), unread, strict=True):
                for place, training in self.placed.items():
                    training.add(step[place], images)
        unread.clear()

    def loss(self, weights: Tensor, images: Tensor, noise: Tensor, var: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Of one training: the loss at weights (P,).

        Beside it, the loss with its terms (3,), and least and most of the posterior's mean and log variance (4,).

        All weights are one vector, and so is their gradient: Adam is then a few operations for the whole stack.
        """
        named = dict(self.model.named_parameters())
        parts = weights.split(self.sizes)
        own = {name: part.view(p.shape) for (name, p), part in zip(named.items(), parts, strict=True)}
        with autocast(self.config.precision, self.device):
            reconstruction, mean, log_variance = functional_call(self.model, own, (images, noise))
        mean, log_variance = mean.float(), log_variance.float()
        loss = negative_elbo(images, reconstruction, mean, log_variance, var)
        ranges = torch.stack([mean.min(), mean.max(), log_variance.min(), log_variance.max()])
        return loss.loss, (torch.stack(loss), ranges)

    def adam(self, gradients: Tensor) -> None:
        """The step of torch.optim.Adam for gradients (B, P), with the learning rate of each row."""
        self.steps += 1
        size = (self.lr / (1 - BETA1**self.steps)).to(gradients)
        scale = (1 - BETA2**self.steps).sqrt().to(gradients)
        self.first.lerp_(gradients, 1 - BETA1)
        self.second.mul_(BETA2).addcmul_(gradients, gradients, value=1 - BETA2)
        self.weights -= (self.first / self.second.sqrt().div_(scale).add_(EPSILON)).mul_(size)
