"""Which trials end early: they hear what all trials report, and judge trial by trial."""

from orchestrator.events import Event, Listener
from orchestrator.spec import SweepSpec
from orchestrator.spec.form import Wilcoxon
from orchestrator.trial import Trial


class Pruner(Listener):
    """Ends trials that fall behind. This one lets every trial go on.

    All that it knows is what it has heard, in the order of the trials' beginnings: of trials that have ended before a
    launch what the store has of them, of those in flight what their journals have, each epoch as often as one likes.
    """

    judges_epochs = False  # whether trials are to wait after each epoch for its verdict

    def recall(self, trial: Trial, event: Event) -> None:
        """Take it in as if it were reported now."""
        self.take(trial, event)

    def take(self, trial: Trial, event: Event) -> None:
        """Take in what a trial reports.

        Raises:
            InputError: it has completed without a value of the metric that is looked at.
        """

    def judge(self, trial: Trial) -> str | None:
        """Why the trial is to end after what it has reported last, or before it begins; None where it is to go on.

        An epoch is judged once: those before the last were, before they were followed by another.
        """
        return None


def of(spec: SweepSpec) -> Pruner:
    """The pruner that a sweep asks for."""
    if spec.early_terminate is None:
        return Pruner()
    if isinstance(spec.early_terminate, Wilcoxon):
        from orchestrator.pruners.seeds import SeedPruner  # optuna takes a while to import

        return SeedPruner(spec, spec.early_terminate)
    from orchestrator.pruners.study import StudyPruner

    return StudyPruner(spec, spec.early_terminate)
