"""Where an event begins: each next trial is expected to give the most information on P(event | value)."""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np

from orchestrator.comparison.boundary import curves_of, has_happened, index_of
from orchestrator.comparison.psychometric import Array
from orchestrator.samplers.information import Candidates
from orchestrator.spec import SweepSpec
from orchestrator.trial import Params, Proposal, Trial
from orchestrator.trials.observation import Observation
from orchestrator.trials.record import Record
from orchestrator.trials.search_space import SearchSpace

LEAST_LOOKS, MOST_LOOKS = 2, 8  # trials of a curve that lie evenly over the range
LOOK_SHARE = 5  # of the trials of a curve, one in so many
CAUTION = 8.0  # how much the rate of chance events matters, but where the file asks for a narrow interval alone
AWAY = 0.5  # share of the greatest gain for a trial that is a whole range away from all others: where gains are alike


class BoundarySampler:
    """Proposes one trial at a time, each with a seed of its own, so that chance is averaged out.

    The first trials of a curve lie evenly over the range, so that nothing in its middle is missed.

    With a second parameter, or rows, the next trial goes to the curve on which it gives most information. Where there
    is no seed to vary, no trial is proposed twice.
    """

    learns = True

    def __init__(self, spec: SweepSpec) -> None:
        self.spec = spec
        self.total = spec.run_cap
        self.space = SearchSpace(spec)
        self.trials: list[Trial] = []
        self.curves = curves_of(self.space)
        self._name = self.curves[0].name
        self._values = self.curves[0].candidates()
        positions = np.array([self.curves[0].position(value) for value in self._values])
        self._candidates = Candidates(positions, CAUTION if spec.boundary.width is None else 1.0)
        self._gains: dict[int, Array] = {}
        self._known: set[str] = set()  # trial_keys
        self._waiting: deque[Trial] = deque()
        self._running: dict[str, Trial] = {}  # asked for, without a result yet; by trial_key
        self._happened: dict[str, bool | None] = {}  # the event, in those that have ended; None where nobody knows
        self._number = 0  # of the next proposal
        self._exhausted = False
        share = MOST_LOOKS if self.total is None else self.total // len(self.curves) // LOOK_SHARE
        self._looks = [float(at) for at in _spread(min(max(share, LEAST_LOOKS), MOST_LOOKS))]

    @property
    def remark(self) -> str:
        """That it is known as well as was asked for, or nothing."""
        is_known = bool(self.trials) and not self._open
        return f"the boundary of {self.spec.event.several} is known as well as `width` asks for" if is_known else ""

    @property
    def has_more(self) -> bool:
        return bool(self._waiting) or self.wants_more

    def replay(self, history: Mapping[str, Record], begun: Iterable[Trial]) -> None:
        for trial in (start.trial for start in self.space.begun(history, begun)):
            self._add(trial)
            record = history.get(trial.trial_key)
            seen = None if record is None else Observation.of_record(self.spec.objectives, record)
            if seen is not None:
                self._take(trial, seen)
            else:
                self._waiting.append(trial)
        if self.total is not None:
            self.total = max(self.total, len(self.trials))

    def ask(self) -> Trial | None:
        if not self._waiting and self.wants_more:
            self._propose()
        if not self._waiting:
            return None
        trial = self._waiting.popleft()
        self._running[trial.trial_key] = trial
        self._gains.pop(self._curve(trial), None)
        return trial

    def tell(self, trial: Trial, observation: Observation) -> None:
        self._running.pop(trial.trial_key, None)
        self._take(trial, observation)

    def again(self, trial: Trial) -> None:
        index = self._curve(trial)
        self.curves[index].leave(trial.params[self._name], self._happened.pop(trial.trial_key))
        self._gains.pop(index, None)
        self._waiting.append(trial)

    def examples(self) -> Sequence[Params]:
        return self.space.examples()

    @property
    def wants_more(self) -> bool:
        """Whether there is more to propose, beside what was proposed and has no result."""
        has_room = self.total is None or len(self.trials) < self.total
        return has_room and not self._exhausted and bool(self._open)

    @property
    def _open(self) -> list[int]:
        """The curves whose interval is still wider than the file asks for."""
        width = self.spec.boundary.width
        return [i for i, curve in enumerate(self.curves) if width is None or not curve.is_narrower_than(width)]

    def _propose(self) -> None:
        """Add the new trial that gives most information."""
        seed = self._number if self.space.has_further_seeds else None
        proposal = Proposal(self._number, another_seed=seed is not None)
        for params in self._best_first():
            try:
                trial = self.space.trial(params, seed, proposal)
            except ValueError:  # an invalid combination
                continue
            if trial.trial_key not in self._known:
                self._add(trial)
                self._waiting.append(trial)
                return
        self._exhausted = True

    def _best_first(self) -> Iterator[Params]:
        curves = self._open
        gains = np.array([self._gains_of(curve) for curve in curves])
        for index in np.argsort(-gains, axis=None, kind="stable"):
            row, candidate = divmod(int(index), len(self._values))
            yield {**self.curves[curves[row]].choice, self._name: self._values[candidate]}

    def _gains_of(self, index: int) -> Array:
        """What a trial at each candidate of a curve is worth; cached until the curve changes.

        That is the expected information, but where the curve has not been looked at everywhere yet, a look comes first.
        """
        if index not in self._gains:
            curve = self.curves[index]
            running = [trial for trial in self._running.values() if self._curve(trial) == index]
            unknown = [curve.position(trial.params[self._name]) for trial in running]
            known = [curve.position(value) for value, _ in curve.points]
            silent = [curve.position(value) for value in curve.silent]
            tried = known + unknown + silent
            missing = [at for at in self._looks if all(abs(at - other) > self._reach for other in tried)]
            if missing:
                self._gains[index] = len(missing) - np.abs(self._candidates.positions - missing[0])
            else:
                seed = (self.spec.seed, self._number)
                gains = self._candidates.gains(curve.posterior, unknown, seed)
                gains += AWAY * gains.max() * self._away(tried).min(axis=1)
                # times the chance that a trial there tells anything, by how many of those near it did
                told, untold = ((self._away(near) < self._reach).sum(axis=1) for near in (known, silent))
                self._gains[index] = gains * (1 + told) / (1 + told + untold)
        return self._gains[index]

    def _away(self, positions: Sequence[float]) -> Array:
        """How far each candidate (rows) is from each of these positions (columns)."""
        return np.asarray(np.abs(self._candidates.positions[:, None] - np.array(positions)))

    @property
    def _reach(self) -> float:
        """The distance from a look within which a trial makes it unnecessary."""
        return 0.5 / len(self._looks)

    def _curve(self, trial: Trial) -> int:
        return index_of(self.curves, trial.params)

    def _take(self, trial: Trial, seen: Observation) -> None:
        index = self._curve(trial)
        happened = self._happened[trial.trial_key] = has_happened(self.spec.event, seen)
        self.curves[index].take(trial.params[self._name], happened)
        self._gains.pop(index, None)

    def _add(self, trial: Trial) -> None:
        self.trials.append(trial)
        self._known.add(trial.trial_key)
        self._number = max(self._number, trial.proposal.number + 1 if trial.proposal else 0)


def _spread(count: int) -> list[float]:
    """Positions that lie evenly over the range, in an order that is even at any time: middles of ever smaller parts."""
    even = [(i + 0.5) / count for i in range(count)]
    order: list[float] = []
    while even:
        distances = [min((abs(at - other) for other in order), default=-abs(at - 0.5)) for at in even]
        order.append(even.pop(distances.index(max(distances))))
    return order
