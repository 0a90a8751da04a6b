"""How far a sweep is, in lines that fit a screen, however narrow or low it is."""

from collections.abc import Sequence

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from orchestrator.places import Places
from orchestrator.progress.status import Best, Running, Status
from orchestrator.system.durations import UNTIL_STOPPED, duration
from orchestrator.system.figures import compared, numbered
from orchestrator.terminal.sparkline import BLOCKS, PLAIN, sparkline
from orchestrator.trial import Outcome
from orchestrator.trials.shortening import middle_cut, shortened

COLUMNS = ("trial", "epoch", "step", "value", "curve", "rate", "left")
BY_WEIGHT = (
    "epoch",
    "value",
    "left",
    "curve",
    "step",
    "rate",
)  # where there is no room for all, the last are left out first
NARROWEST = {"trial": 16, "curve": 8}  # other columns are never cut; these are aligned to the left
STEADY = {"value": 7, "left": 10}  # so that they do not jump with their content
WIDEST_CURVE = 24
SHORTEST_METRIC = 20  # columns of its name, where the best trial is shown in a line
GAP, BAR = 2, 20
STYLES = {
    Outcome.COMPLETED: "green",
    Outcome.EXPLODED: "bold red",
    Outcome.INFEASIBLE: "magenta",
    Outcome.PRUNED: "yellow",
    Outcome.FAILED: "bold white on red",
    Outcome.INTERRUPTED: "yellow",
}


def view(status: Status, width: int, height: int | None = None, *, plain: bool = False) -> list[Text]:
    """A row for each running trial, as far as there is room, and below them how far the sweep is.

    Args:
        status: of the sweep.
        width: columns of the screen.
        height: lines of the screen; None where there is no limit.
        plain: whether to draw with ASCII only.
    """
    below = _summary(status, width, plain)
    room = len(status.running) if height is None else max(0, height - len(below) - 1)
    shown, rest = status.running, 0
    if len(shown) > room:
        shown = shown[: max(0, room - 1)]
        rest = len(status.running) - len(shown)
    above = _table(shown, width, plain) if shown else []
    if rest and shown:
        above.append(Text(_cut(f"and {rest} more", width, plain), style="dim"))
    lines = [*above, *below[:height]]
    for line in lines:
        line.no_wrap, line.overflow = True, "crop"  # by a screen that has become narrower since
    return lines


def cells(running: Running) -> dict[str, str]:
    """The texts of a running trial, by column."""
    of_epochs = f"/{running.epochs}" if running.epochs else ""
    of_steps = f"/{running.steps}" if running.steps else ""
    return {
        "trial": running.label,
        "epoch": f"{running.epoch}{of_epochs}",
        "step": f"{running.step}{of_steps}" if running.step else "",
        "value": "" if running.value is None else f"{running.value:.5g}",
        "rate": "" if running.rate is None else f"{running.rate:,.0f}/s",
        "left": "" if running.seconds_left is None else duration(running.seconds_left),
    }


def in_words(running: Running) -> str:
    """The same in a line: "epoch 12/50, loss 39.4, left 2 min 05 s"."""
    texts, headers = cells(running), _headers([running])
    return ", ".join(f"{headers[name]} {texts[name]}" for name in COLUMNS[1:] if texts.get(name))


def facts(status: Status, width: int | None = None, *, plain: bool = False) -> list[Text]:
    """How far a sweep is, in words: its trials, their outcomes, the time left, and the best so far within a width."""
    trials = numbered(status.results) if status.asked is None else f"{status.results}/{numbered(status.asked)}"
    texts = [Text(f"{trials} {UNTIL_STOPPED}" if status.asked is None else trials)]
    waiting = status.places.waiting if status.places else 0
    texts += [Text(f"{len(status.running) - waiting} running")] if len(status.running) > waiting else []
    texts += [Text("paused", style="bold yellow")] if status.workers == 0 else []
    texts += [Text(f"{status.workers} at once")] if status.workers else []
    texts += [Text(awaited(status.places))] if status.places and status.places.awaited else []
    texts += [
        Text(f"{outcome} {status.outcomes[outcome]}", style=STYLES[outcome])
        for outcome in Outcome
        if status.outcomes.get(outcome)
    ]
    texts += [Text(per_time(status.rate))] if status.rate else []
    texts += [] if status.seconds is None else [Text(f"elapsed {duration(status.seconds)}")]
    texts += [] if status.seconds_left is None else [Text(f"left {duration(status.seconds_left)}")]
    texts += [] if status.best is None else map(Text, _best_within(status, status.best, width, plain))
    return texts


def awaited(places: Places) -> str:
    """How many places for trials there are, of those that were asked for: "4 of 20 places, the others wait"."""
    why = f" ({places.reason})" if places.reason else ""
    return f"{places.ready} of {places.ready + places.awaited} places, the others are waited for{why}"


def counted(status: Status) -> str:
    """How many trials have their result, of how many: "3/40"."""
    return f"{status.results} {UNTIL_STOPPED}" if status.asked is None else f"{status.results}/{status.asked}"


def per_time(rate: float) -> str:
    """How many trials end in a second, or in a minute: "12 trials a second"."""
    return f"{rate:.3g} trials a second" if rate >= 1 else f"{60 * rate:.2g} trials a minute"


def best_in_words(best: Best) -> str:
    """The best trial, and whether it has reached the target: "score 0.9 (target 0.8 reached): x=1"."""
    return f"{best.objective.name} {_with_target(best)}: {best.label}"


def _with_target(best: Best) -> str:
    target = best.objective.target
    value, aim = compared(best.value, best.value if target is None else target)
    return value if target is None else f"{value} (target {aim}{' reached' * best.has_reached_target})"


def _best_within(status: Status, best: Best, width: int | None, plain: bool) -> list[str]:
    """The best trial with its value, in a line; in two, where there is room for too little of the metric's name."""
    line, name, value = f"best {best_in_words(best)}", best.objective.name, _with_target(best)
    if width is None or cell_len(line) <= width:
        return [line]
    dots = "~" if plain else "…"
    room = width - cell_len(line) + cell_len(name)
    if room >= min(SHORTEST_METRIC, cell_len(name)):
        return [f"best {middle_cut(name, room, dots)} {value}: {best.label}"]
    short = middle_cut(name, width - cell_len(f"best  {value}:"), dots)
    labels = [best.label, *(running.label for running in status.running)]
    return [" ".join(filter(None, ("best", short, f"{value}:"))), shortened(labels, width, plain=plain)[0]]


def _summary(status: Status, width: int, plain: bool) -> list[Text]:
    """The facts, as many in a line as there is room for."""
    full, empty = ("#", "-") if plain else ("█", "░")
    done = round(BAR * status.share)
    bar = [] if status.asked is None else [Text(full * done + empty * (BAR - done))]
    lines: list[Text] = []
    for fact in [Text(status.name, style="bold"), *bar, *facts(status, width, plain=plain)]:
        part = Text(_cut(fact.plain, width, plain), style=fact.style)
        if lines and lines[-1].cell_len + GAP + part.cell_len <= width:
            lines[-1].append(" " * GAP).append_text(part)
        else:
            lines.append(Text().append_text(part))
    return lines


def _table(running: Sequence[Running], width: int, plain: bool) -> list[Text]:
    levels = PLAIN if plain else BLOCKS
    rows = [cells(trial) | {"curve": sparkline(trial.values, WIDEST_CURVE, levels)} for trial in running]
    named = [name for name in COLUMNS if any(row[name] for row in rows)]
    headers = _headers(running)
    natural = {
        name: max(STEADY.get(name, 0), *(cell_len(text) for text in (headers[name], *(row[name] for row in rows))))
        for name in named
    }
    widths = _widths(natural, width)
    labels = shortened([trial.label for trial in running], widths["trial"], plain=plain)
    widths = _widths(natural | {"trial": max(map(cell_len, (headers["trial"], *labels)))}, width)  # may leave room
    for row, trial, label in zip(rows, running, labels, strict=True):
        row["trial"] = label
        row["curve"] = sparkline(trial.values, widths.get("curve", 0), levels)
    header = Text(_line(headers, widths, plain), style="dim")
    return [header, *(Text(_line(row, widths, plain)) for row in rows)]


def _headers(running: Sequence[Running]) -> dict[str, str]:
    """The headers of the columns: that of the value is its metric, where all trials show the same."""
    metrics = {trial.metric for trial in running if trial.value is not None}
    return {name: name for name in COLUMNS} | {"value": metrics.pop() if len(metrics) == 1 else "value"}


def _widths(natural: dict[str, int], width: int) -> dict[str, int]:
    """The columns that there is room for, and their widths; spare room goes to names, then to curves."""
    widths = {"trial": min(natural["trial"], NARROWEST["trial"], width)}
    room = width - widths["trial"]
    for name in (name for name in BY_WEIGHT if name in natural):
        least = min(natural[name], NARROWEST.get(name, natural[name]))
        if least + GAP > room:
            break
        widths[name] = least
        room -= least + GAP
    for name in (name for name in NARROWEST if name in widths):
        more = min(room, natural[name] - widths[name])
        widths[name] += more
        room -= more
    return {name: widths[name] for name in COLUMNS if name in widths}


def _line(row: dict[str, str], widths: dict[str, int], plain: bool) -> str:
    placed = []
    for name, size in widths.items():
        text = _cut(row[name], size, plain)
        space = " " * (size - cell_len(text))
        placed.append(text + space if name in NARROWEST else space + text)
    return (" " * GAP).join(placed).rstrip()


def _cut(text: str, width: int, plain: bool) -> str:
    """The text, cut where there is no room for all of it."""
    if cell_len(text) <= width:
        return text
    return set_cell_size(text, width - 1) + ("~" if plain else "…") if width > 1 else set_cell_size(text, width)
