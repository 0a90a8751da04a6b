"""Trial functions: where they are found, what parameters they have, and what they declare of themselves."""

from orchestrator.functions.call_form import FunctionError
from orchestrator.functions.declaration import UNDECLARED, Declaration, Goal
from orchestrator.functions.finding import (
    DEFAULT_TRIAL,
    DEFAULT_TRIAL_EXTRA,
    attached,
    default_trial,
    find,
    is_default,
    load,
    modules_of,
)
from orchestrator.functions.modules import Modules
from orchestrator.functions.parameter import Parameter
from orchestrator.functions.trial_function import TrialFunction

__all__ = [
    "DEFAULT_TRIAL",
    "DEFAULT_TRIAL_EXTRA",
    "UNDECLARED",
    "Declaration",
    "FunctionError",
    "Goal",
    "Modules",
    "Parameter",
    "TrialFunction",
    "attached",
    "default_trial",
    "find",
    "is_default",
    "load",
    "modules_of",
]
