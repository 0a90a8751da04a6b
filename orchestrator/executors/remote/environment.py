"""Variables of the environment that go along with the trials: all but those that are about this machine."""

import re
from collections.abc import Mapping

OF_A_MACHINE = re.compile(
    r"(PATH|HOME|PWD|OLDPWD|SHELL|SHLVL|USER|LOGNAME|HOSTNAME|TERM|LANG|TMPDIR|TEMP|TMP|DISPLAY|MAIL|VIRTUAL_ENV|_|"
    r"EDITOR|PAGER|COLUMNS|LINES|CUDA_VISIBLE_DEVICES|OMP_NUM_THREADS|MKL_NUM_THREADS|OPENBLAS_NUM_THREADS|"
    r"BASH\w*|PYTHON(?!HASHSEED$)\w*|"
    r"(LC|LD|DYLD|XDG|SSH|GPG|DBUS|CONDA|RAY|SLURM|SBATCH|PMI|PMIX|KUBERNETES|PYTEST|NVIDIA)_\w+)$"
)


def carried(environment: Mapping[str, str]) -> dict[str, str]:
    """What a node gets, where it has no variable of that name itself."""
    return {name: value for name, value in environment.items() if not OF_A_MACHINE.match(name)}
