"""Values of states, learned from rewards (`rl`)."""

import math
from collections.abc import Iterator

import numpy as np
import torch
from labelling import Recording, Setup
from loop import measured, mlp, norm_of
from torch import Tensor
from torch.nn import functional

EPOCH = 40  # steps


def walk(name: str, how: str, *, rate: float, seed: int = 0, steps: int = 1600, coding: str = "aggregate") -> Setup:
    """TD(0) on a random walk of 19 states with a reward at one end: at first there is nothing to be wrong about."""

    def train(recording: Recording) -> None:
        random = np.random.default_rng(seed)
        truth = np.arange(1, 20) / 20
        features = np.eye(19) if coding == "table" else np.array([[1, s, s * s] for s in np.linspace(-1, 1, 19) * 3])
        weights = np.zeros(features.shape[1])
        quality = lambda: -min(float(np.sqrt(((features @ weights - truth) ** 2).mean())), 1e9)  # noqa: E731
        with np.errstate(all="ignore"):
            recording.begin(quality())
            state = 9
            for step in range(1, steps + 1):
                errors = []
                for _ in range(16):
                    after = state + random.choice((-1, 1))
                    reward, over = float(after == 19), after in (-1, 19)
                    error = reward + (0 if over else features[after] @ weights) - features[state] @ weights
                    weights = weights + rate * error * features[state]
                    errors.append(float(error**2))
                    state = 9 if over else after
                recording.step(float(np.mean(errors)), float(rate * abs(error)))
                if step % EPOCH == 0:
                    recording.epoch(quality())

    return Setup(name, how, "minus_error", train, diverges=rate > 0.3)


def star(name: str, how: str, *, rate: float, corrected: bool = False, seed: int = 0, steps: int = 1200) -> Setup:
    """Off-policy TD on L. Baird's star of seven states (ICML 1995), whose values are all 0; `corrected`: by TDC."""

    def train(recording: Recording) -> None:
        random = np.random.default_rng(seed)
        features = np.zeros((7, 8))
        features[:6, :6], features[:6, 7] = 2 * np.eye(6), 1
        features[6, 6], features[6, 7] = 1, 2
        weights, second = np.array([1.0, 1, 1, 1, 1, 1, 10, 1]), np.zeros(8)
        quality = lambda: -min(float(np.sqrt(((features @ weights) ** 2).mean())), 1e9)  # noqa: E731
        with np.errstate(all="ignore"):
            recording.begin(quality())
            state = 0
            for step in range(1, steps + 1):
                solid = random.random() < 1 / 7
                after = 6 if solid else int(random.integers(6))
                ratio = 7.0 if solid else 0.0
                here, there = features[state], features[after]
                error = 0.99 * there @ weights - here @ weights
                move = error * here - (0.99 * there * (here @ second) if corrected else 0)
                weights = weights + rate * ratio * move
                second = second + (0.05 * ratio * (error - here @ second) * here if corrected else 0)
                state = after
                recording.step(float(error**2), float(np.linalg.norm(ratio * move)))
                if step % EPOCH == 0:
                    recording.epoch(quality())

    return Setup(name, how, "minus_error", train, diverges=not corrected)


def grid_q(
    name: str,
    how: str,
    *,
    lr: float = 1e-3,
    later: float = 1.0,
    discount: float = 0.95,
    target_every: int = 50,
    greedy: bool = False,
    seed: int = 0,
    reward: float = 10.0,
    steps: int = 1600,
    optimizer: str = "adam",
    by_step: bool = True,
    clip: float = math.inf,
) -> Setup:
    """Q-learning by a network in a grid of 6 by 6, from a replay of what a random policy saw.

    The reward is in a corner: the loss is next to nothing until it is found, and rises as its value spreads.
    """

    def train(recording: Recording) -> None:
        torch.manual_seed(seed)
        random = np.random.default_rng(seed)
        states = torch.eye(36)
        net, frozen = mlp(36, 64, 4), mlp(36, 64, 4)
        frozen.load_state_dict(net.state_dict())
        kind = torch.optim.Adam if optimizer == "adam" else torch.optim.SGD
        rule = kind(net.parameters(), lr=lr)
        replay: list[tuple[int, int, float, int, bool]] = []
        place = 0

        def moved(state: int, action: int) -> tuple[int, float, bool]:
            y, x = divmod(state, 6)
            y, x = (
                min(max(v + d, 0), 5) for v, d in zip((y, x), ((0, 1), (1, 0), (0, -1), (-1, 0))[action], strict=True)
            )
            after = 6 * y + x
            return after, reward if after == 35 else 0.0, after == 35

        def quality() -> float:
            """How many of the states lead to the reward by the shortest way."""
            values = net(states)
            if not bool(values.isfinite().all()):
                return -1.0
            good = 0
            for start in range(35):
                state, left = start, (5 - start // 6) + (5 - start % 6)
                for _ in range(left):
                    state, _, over = moved(state, int(values[state].argmax()))
                    if over:
                        good += 1
                        break
            return good / 35

        recording.begin(measured(quality))
        for step in range(1, steps + 1):
            if step == steps * 2 // 3:
                rule.param_groups[0]["lr"] *= later
            for _ in range(4):
                explores = not greedy or random.random() < 0.3
                action = int(random.integers(4)) if explores else int(net(states[place]).argmax())
                after, gained, over = moved(place, action)
                replay.append((place, action, gained, after, over))
                place = 0 if over else after
            rows = [replay[i] for i in random.integers(max(0, len(replay) - 4000), len(replay), 32)]
            s, a, r, t, o = (torch.tensor(column) for column in zip(*rows, strict=True))
            if target_every and step % target_every == 0:
                frozen.load_state_dict(net.state_dict())
            with torch.no_grad():
                best = (frozen if target_every else net)(states[t]).amax(1)
                wanted = r.float() + discount * best * (~o).float()
            loss = functional.mse_loss(net(states[s]).gather(1, a[:, None])[:, 0], wanted)
            rule.zero_grad()
            loss.backward()
            norm = norm_of(net)
            if norm > clip:
                torch.nn.utils.clip_grad_norm_(net.parameters(), clip)
            rule.step()
            recording.step(float(loss.detach()), norm)
            if step % EPOCH == 0:
                recording.epoch(measured(quality))

    return Setup(name, how, "shortest_ways", train, by_step=by_step)


def critic(
    name: str, how: str, *, lr: float = 1e-2, later: float = 1.0, seed: int = 0, rounds: int = 700, by_step: bool = True
) -> Setup:
    """An actor and its critic where returns grow a hundredfold as the actor learns, and the critic's loss with them.

    A walker gains its speed at each step, and chooses to speed up, to keep its speed or to brake.
    """

    def train(recording: Recording) -> None:
        torch.manual_seed(seed)
        actor, value = mlp(2, 32, 3), mlp(2, 32, 1)
        rules = [torch.optim.Adam(actor.parameters(), 3e-3), torch.optim.Adam(value.parameters(), lr)]

        def played(greedy: bool = False) -> tuple[Tensor, Tensor, Tensor]:
            speed, seen, logs, gains = torch.zeros(24), [], [], []
            for now in range(20):
                state = torch.stack([speed / 10, torch.full((24,), now / 20)], 1)
                logits = actor(state)
                if not bool(logits.isfinite().all()):
                    logits = torch.zeros_like(logits)
                chosen = logits.argmax(1) if greedy else torch.multinomial(logits.softmax(1), 1)[:, 0]
                speed = (speed + chosen - 1).clamp(-2, 20)
                seen.append(state)
                logs.append(logits.log_softmax(1).gather(1, chosen[:, None])[:, 0])
                gains.append(speed)
            returns = torch.stack(gains).flip(0).cumsum(0).flip(0)
            return torch.stack(seen), torch.stack(logs), returns

        def off() -> float:
            """How far the critic is from the returns of the best actor there could be, as a share of them."""
            states, _, returns = played()
            return -min(float((value(states)[..., 0] - returns).abs().mean() / (returns.abs().mean() + 1)), 1e9)

        recording.begin(measured(off))
        for i in range(1, rounds + 1):
            if i == rounds * 2 // 3:
                rules[1].param_groups[0]["lr"] *= later
            states, logs, returns = played()
            seen = value(states)[..., 0]
            loss = functional.mse_loss(seen, returns)
            advantage = returns - seen.detach()
            advantage = (advantage - advantage.mean()) / (advantage.std() + 1e-6)
            rules[1].zero_grad()
            loss.backward()
            norm = norm_of(value)
            rules[1].step()
            rules[0].zero_grad()
            (-(logs * advantage).mean()).backward()
            rules[0].step()
            recording.step(float(loss.detach()), norm)
            if i % 20 == 0:
                recording.epoch(measured(off))

    return Setup(name, how, "minus_error", train, by_step=by_step)


def rl_setups() -> Iterator[Setup]:
    yield walk("walk", "TD on a random walk, a reward at one end", rate=0.05, coding="table")
    yield walk("walk-square", "TD on a random walk, a square of the place", rate=0.002, seed=1)
    for seed, rate in enumerate((0.01, 0.03)):
        yield star(f"star-{rate}", f"off-policy TD on Baird's star, {rate}", rate=rate, seed=seed)
    yield star("star-corrected", "off-policy TD with gradient correction on Baird's star", rate=0.005, corrected=True)
    for seed, found in enumerate((1.0, 10.0, 100.0)):
        how = f"Q-learning in a grid, a reward of {found:g} to be found"
        yield grid_q(f"grid-{found:g}", how, reward=found, seed=seed, lr=3e-3, by_step=seed != 1)
    yield grid_q("grid-greedy", "Q-learning in a grid, by its own policy", greedy=True, seed=3, lr=3e-3)
    how = "Q-learning in a grid with discount 0.999, no frozen copy, SGD, gradients clipped"
    yield grid_q("grid-online", how, discount=0.999, target_every=0, seed=4, optimizer="sgd", lr=0.05, clip=5.0)
    for factor in (30, 100, 300):
        how = f"Q-learning in a grid, {factor} times the learning rate after two thirds"
        yield grid_q(f"grid-jump-{factor}", how, seed=factor, lr=3e-3, later=factor, target_every=0)
    for seed in (0, 1):
        how = "an actor and its critic, whose returns grow a hundredfold"
        yield critic(f"critic-{seed}", how, seed=seed, by_step=seed == 0)
    for factor in (30, 300):
        how = f"an actor and its critic, whose learning rate is {factor} times as high after two thirds"
        yield critic(f"critic-jump-{factor}", how, seed=factor, later=factor)
