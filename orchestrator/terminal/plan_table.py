"""What a launch would run, as `sweep plan` prints it."""

from rich.console import Console

from orchestrator.plan import Plan
from orchestrator.system.durations import duration
from orchestrator.terminal.drawn import drawn


def print_plan(console: Console, plan: Plan) -> None:
    """A row for each trial with its state, then how many are to run and how long that may take."""
    trials, count = plan.trials, len(plan.trials) + plan.proposals
    title = f"{plan.spec.name}: {count} trials of {plan.spec.function.name}"
    rows = [(trial.label, trial.trial_key, plan.state(trial)) for trial in trials]
    console.print(drawn(title, ("trial", "trial_key", "state"), rows))
    if plan.proposals:
        console.print(f"to be proposed by {plan.spec.method.name}: {plan.proposals}")
    if plan.further_seeds:
        console.print(
            f"further seeds, until the best configuration is separated from the others: up to {plan.further_seeds}"
        )
    if plan.spec.time_cap is not None:
        console.print(f"time_cap: {duration(plan.spec.time_cap)} of training, {duration(plan.spent)} already spent")
    if pruner := plan.spec.early_terminate:
        name = plan.spec.pruned_by.name
        console.print(f"trials may be pruned, by {pruner.type} on {name}: the time below is an upper bound")
    time = (
        "unknown (the store has no finished trial to estimate it from)"
        if plan.seconds is None
        else f"about {duration(plan.seconds)}"
    )
    console.print(
        f"to run: {len(plan.pending) + plan.proposals} of {count}, {plan.at_a_time} at a time; estimated time: {time}"
    )
