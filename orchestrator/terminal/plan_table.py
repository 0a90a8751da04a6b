"""What a launch would run, as `sweep plan` prints it."""

from rich.console import Console

from orchestrator.plan import Plan
from orchestrator.system.durations import UNTIL_STOPPED, duration
from orchestrator.system.figures import numbered
from orchestrator.terminal.consoles import print_line, print_words
from orchestrator.terminal.fitted import print_table


def print_plan(console: Console, plan: Plan) -> None:
    """A row for each trial with its state, then how many are to run and how long that may take."""
    trials = plan.trials
    count = None if plan.proposals is None else len(trials) + plan.proposals
    title = f"{plan.spec.name}: {'trials' if count is None else numbered(count)} of {plan.spec.function.title}"
    rows = [(trial.label, trial.trial_key, plan.state(trial)) for trial in trials]
    if not rows:
        print_words(console, title)
    else:
        print_table(console, title, ("trial", "trial_key", "state"), rows, needed=("trial", "state"), label="trial")
    for label, line in plan.commands:
        print_line(console, f"{label}: {line}")
    for remark in plan.remarks:
        print_words(console, remark)
    if plan.proposals != 0:
        proposals = f"trials {UNTIL_STOPPED}" if plan.proposals is None else plan.proposals
        console.print(f"to be proposed by {plan.spec.method.name}: {proposals}")
    for line in (*_of_search(plan), *(f"tried first: {start}" for start in plan.starts), *plan.prior):
        print_words(console, line)
    if plan.further_seeds:
        console.print(
            f"further seeds, until the best configuration is separated from the others: up to {plan.further_seeds}"
        )
    if plan.spec.time_cap is not None:
        console.print(f"time_cap: {duration(plan.spec.time_cap)} of training, {duration(plan.spent)} already spent")
    if pruner := plan.spec.early_terminate:
        name = plan.spec.pruned_by.name
        console.print(f"trials may be pruned, by {pruner.type} on {name}: the time below is an upper bound")
    if plan.place:
        print_line(console, f"where: {plan.place}; the estimate is for {plan.at_a_time} at a time")
    console.print(f"to run: {_to_run(plan)}, {plan.at_a_time} at a time; estimated time: {_estimated(plan)}")


def _of_search(plan: Plan) -> list[str]:
    """What a search varies, when it learns, and what it proposes first or next."""
    lines = [f"varied: {line}" for line in plan.ranges]
    if plan.startup:
        done = f", {plan.started_up} of them done" if plan.trials else ""
        lines.append(f"startup trials: {plan.startup}{done}; those after them are chosen by results")
    when = "next" if plan.trials else "first"
    return [*lines, *(f"proposed {when}: {trial.label}" for trial in plan.next)]


def _to_run(plan: Plan) -> str:
    if plan.proposals is None:
        return f"trials {UNTIL_STOPPED}"
    return f"{plan.to_run} of {len(plan.trials) + plan.proposals}"


def _estimated(plan: Plan) -> str:
    if plan.seconds is not None:
        rests = f", from {numbered(plan.learned_from, 'earlier trial')}" if plan.learned_from else ""
        return f"about {duration(plan.seconds)}{rests}"
    if plan.proposals is None:
        return UNTIL_STOPPED
    return "unknown (the store has no finished trial to estimate it from)"
