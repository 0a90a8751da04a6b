"""A sweep as a study in a storage of Optuna's, for what reads those."""

from collections.abc import Iterable

import optuna
from optuna.exceptions import DuplicatedStudyError, OptunaError
from sqlalchemy.exc import SQLAlchemyError

from orchestrator.errors import InputError
from orchestrator.samplers.dashboard import Mirror
from orchestrator.spec import SweepSpec
from orchestrator.system.paths import redacted
from orchestrator.trials.record import Record


def write(spec: SweepSpec, records: Iterable[Record], storage: str) -> None:
    """Write a study of the sweep's name into a storage, by its URL; the study must not be there.

    Raises:
        InputError: it is, or the storage cannot be used; or the sweep compares its trials by no metric.
    """
    mirror = Mirror(spec)
    mirror.show(records)
    shown = redacted(storage)
    try:
        optuna.copy_study(from_study_name=spec.name, from_storage=mirror.storage, to_storage=storage)
    except DuplicatedStudyError as error:
        raise InputError(
            f"--optuna {shown}: has a study {spec.name} already; name another storage, or delete that study "
            f"(`optuna delete-study` does so)"
        ) from error
    except (OptunaError, SQLAlchemyError, ImportError, ValueError) as error:
        raise InputError(f"--optuna {shown}: {redacted(str(error).splitlines()[0])}") from error
