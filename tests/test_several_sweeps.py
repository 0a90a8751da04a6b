"""The table of several sweeps' trials, as `sweep compare` prints it."""

from orchestrator.comparison.several import SeveralSweeps
from orchestrator.spec import Objective
from orchestrator.trial import Outcome, Params
from orchestrator.trials.record import Record

LOSS = Objective("loss", "minimize")


def ended(params: Params, loss: float) -> Record:
    return Record("", "", "", Outcome.COMPLETED, "FINISHED", params, {"loss": loss, "best_loss": loss}, {})


def test_sweeps_of_different_parameters_have_a_column_for_each_that_not_all_have() -> None:
    records = {
        "one": [ended({"lr": 0.1, "epochs": 1}, 0.3), ended({"lr": 0.2, "epochs": 1}, 0.1)],
        "two": [ended({"dropout": 0.5, "epochs": 1}, 0.2)],
    }
    table = SeveralSweeps({"one": [LOSS], "two": [LOSS]}, records)
    assert table.header() == ["sweep", "lr", "dropout", "outcome", "loss", "time"]
    assert [cells[:4] for cells in table.cells()] == [
        ["one", "0.2", "", "completed"],
        ["two", "", "0.5", "completed"],
        ["one", "0.1", "", "completed"],
    ]
