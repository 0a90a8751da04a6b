"""Random draws that go on until the sweep is stopped, or nothing new is drawn."""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence

from orchestrator.samplers.listed import ListSampler
from orchestrator.spec import SweepSpec
from orchestrator.trial import Params, Trial
from orchestrator.trials.draws import MOST_REPEATS, Draws
from orchestrator.trials.observation import Observation
from orchestrator.trials.record import Record
from orchestrator.trials.search_space import SearchSpace


class DrawnSampler:
    """Draws each trial when it is asked for. Invalid combinations are passed over, as in a search."""

    learns = False
    total = None

    def __init__(self, spec: SweepSpec) -> None:
        self.spec = spec
        self.trials: list[Trial] = []
        self._draws = Draws(spec)
        self._unfinished: deque[Trial] = deque()  # of earlier launches; they are among `trials`
        self._ahead: deque[Trial] = deque()  # drawn, but not asked for so far

    @property
    def remark(self) -> str:
        return "" if self._unfinished or self._ahead else self._draws.remark

    @property
    def has_more(self) -> bool:
        return bool(self._unfinished) or self.draws_more

    @property
    def draws_more(self) -> bool:
        """Whether there is more to draw, beside what was drawn and has no result."""
        if not self._ahead and (trial := self._draws.next()):
            self._ahead.append(trial)
        return bool(self._ahead)

    def replay(self, history: Mapping[str, Record], begun: Iterable[Trial]) -> None:
        """Draw the trials of earlier launches again. They are the first draws, unless the store has lost some."""
        begun_keys = {*history, *(trial.trial_key for trial in begun)}
        missing, since = set(begun_keys), 0
        while missing and since < MOST_REPEATS and (trial := self._draws.next()):
            since += 1
            if trial.trial_key in missing:
                missing.remove(trial.trial_key)
                since = 0
            self._ahead.append(trial)
        self.trials = [trial for trial in self._ahead if trial.trial_key in begun_keys]
        self._ahead = deque(trial for trial in self._ahead if trial.trial_key not in begun_keys)
        ended = {key for key, record in history.items() if record.end}
        self._unfinished = deque(trial for trial in self.trials if trial.trial_key not in ended)

    def ask(self) -> Trial | None:
        if self._unfinished:
            return self._unfinished.popleft()
        if not self.has_more:
            return None
        trial = self._ahead.popleft()
        self.trials.append(trial)
        return trial

    def tell(self, trial: Trial, observation: Observation) -> None:
        """Draws do not depend on results."""

    def again(self, trial: Trial) -> None:
        self._unfinished.append(trial)

    def examples(self) -> Sequence[Params]:
        return SearchSpace(self.spec).examples()


def drawn(spec: SweepSpec) -> ListSampler | DrawnSampler:
    """The sampler of random draws: as many as `run_cap` says, all of them known now, or without an end.

    Raises:
        InputError: combinations are invalid, or there are none.
    """
    return DrawnSampler(spec) if spec.is_open_ended else ListSampler.of(spec)
