"""Systems other than Linux, and builds of torch that do not go together."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.functions import FunctionError, find, modules_of
from orchestrator.programs.program import ProgramFailedError
from orchestrator.system import platforms, torch_builds
from orchestrator.worker.endings import error_line
from orchestrator.worker.runner import prepare

Write = Callable[..., Path]
Sweep = Callable[..., subprocess.CompletedProcess[str]]


def faked(platform: str, code: str) -> subprocess.CompletedProcess[str]:
    """Run code as on another system, from before the first import of this package on."""
    code = f"import sys; sys.platform = {platform!r}; {code}"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("platform", ["win32", "cygwin"])
def test_windows_is_refused_in_a_line_before_anything_is_imported_that_it_lacks(platform: str) -> None:
    done = faked(platform, "from orchestrator.__main__ import main; main()")
    assert done.returncode == 2
    assert done.stderr.startswith(f"sweep: sweeps do not run on {platforms.NAMES[platform]}, only on Linux")
    assert done.stderr.count("\n") == 1
    call = "import orchestrator\ntry: orchestrator.launch\nexcept Exception as error: print(type(error).__name__)"
    imported = faked(platform, call)
    assert imported.stdout == "InputError\n", imported.stderr
    assert faked(platform, "from orchestrator import report; print('fine')").stdout == "fine\n"


@pytest.mark.parametrize(("platform", "name"), [("darwin", "macOS"), ("freebsd14", "freebsd14")])
def test_a_system_that_nobody_has_tried_is_named_in_a_line(
    platform: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    platforms.check()
    assert platforms.remark() == f"sweeps are tested on Linux, and not on {name}"
    monkeypatch.setattr(sys, "platform", "linux")
    assert platforms.remark() == ""


WITHOUT = """
import ctypes, os, signal
for name in ("sched_getaffinity", "pidfd_open"):
    delattr(os, name)
sysconf = os.sysconf

class OtherLibrary(ctypes.CDLL):
    def __getattr__(self, name):
        if name in ("prctl", "mallopt"):
            raise AttributeError(name)
        return super().__getattr__(name)

def other_sysconf(name):
    if name == "SC_PHYS_PAGES":
        raise ValueError("unrecognized configuration name")
    return sysconf(name)

ctypes.CDLL, os.sysconf = OtherLibrary, other_sysconf
"""


@pytest.mark.slow
def test_a_launch_needs_nothing_that_linux_alone_has(folder: Path, store: str, write: Write, command: Sweep) -> None:
    (folder / "other").mkdir()
    (folder / "other" / "sitecustomize.py").write_text(WITHOUT)
    path = [str(folder / "other"), *filter(None, [os.environ.get("PYTHONPATH")])]
    file = write("trial: toys:train\nparameters: {x: {values: [1, 2]}, mode: {values: [fine, kill]}}\nretries: 0\n")
    done = command("launch", file, "--tracking-uri", store, PYTHONPATH=os.pathsep.join(path))
    assert done.returncode == 1, done.stderr
    assert done.stdout.count("completed") >= 2
    assert "was killed by SIGKILL" in done.stdout


def versions(monkeypatch: pytest.MonkeyPatch, torch: str, torchvision: str) -> None:
    known = {"torch": torch, "torchvision": torchvision}
    monkeypatch.setattr(torch_builds, "_version", known.__getitem__)


NMS = "operator torchvision::nms does not exist"


def test_an_import_of_torchvision_beside_another_build_says_which_two_and_what_to_do(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    versions(monkeypatch, "2.13.0+cpu", "0.28.0")
    remedy = (
        "; torch 2.13.0+cpu and torchvision 0.28.0 are of two builds: pip install --force-reinstall --no-deps "
        "torchvision==0.28.0 --index-url https://download.pytorch.org/whl/cpu"
    )
    assert error_line(RuntimeError(NMS)) == f"RuntimeError: {NMS}{remedy}"
    (folder / "seeing.py").write_text(f"raise RuntimeError({NMS!r})\n\ndef train(config: Config):\n    yield {{}}\n")
    with pytest.raises(FunctionError) as raised:
        find("seeing:train", modules_of("seeing:train", [folder]))
    assert str(raised.value) == f"seeing:train cannot be loaded: RuntimeError: {NMS}{remedy}"


@pytest.mark.parametrize(
    ("torch", "index"), [("2.13.0+cu128", "cu128"), ("2.13.0+rocm6.4", "rocm6.4"), ("2.13.0", "cpu")]
)
def test_the_index_is_that_of_the_torch_that_is_there(torch: str, index: str, monkeypatch: pytest.MonkeyPatch) -> None:
    versions(monkeypatch, torch, "0.28.0+cpu")
    assert f"torchvision==0.28.0 --index-url https://download.pytorch.org/whl/{index}" in torch_builds.remedy(NMS)
    assert torch_builds.remedy("operator aten::nms does not exist") == ""


def test_of_a_program_in_another_environment_no_versions_are_guessed(monkeypatch: pytest.MonkeyPatch) -> None:
    versions(monkeypatch, "2.13.0", "0.28.0")
    said = error_line(ProgramFailedError(f"the program exited with status 1: RuntimeError: {NMS}"))
    assert said.endswith(
        f"{NMS}; its torch and torchvision are of two builds: install both from one index, such as "
        "https://download.pytorch.org/whl/cpu"
    )


@pytest.mark.parametrize(("torch", "option"), [("2.13.0+cpu", " --extra-index-url {}cpu"), ("2.13.0", "")])
def test_no_advice_leads_to_two_builds(torch: str, option: str, monkeypatch: pytest.MonkeyPatch) -> None:
    versions(monkeypatch, torch, "")

    def lacking(function: str) -> None:
        raise ModuleNotFoundError("No module named 'skimage'", name="skimage")

    monkeypatch.setattr("orchestrator.worker.runner._resolved", lacking)
    monkeypatch.setattr("orchestrator.functions.is_default", lambda function: True)
    said = prepare("models.train:train", [])
    assert said == f"the default trial needs skimage: pip install 'vae-sweeps[vae]'{option.format(torch_builds.INDEX)}"
