"""torch and torchvision, which have to be of one build; known without importing them.

PyPI's torchvision is linked with CUDA: beside a torch of another build, each import of it fails.
"""

import importlib.metadata

OF_ANOTHER_BUILD = "operator torchvision::"  # what the import says then
INDEX = "https://download.pytorch.org/whl/"


def remedy(message: str) -> str:
    """What to do about an error, as the end of a sentence, where it is that of two builds; else empty."""
    if OF_ANOTHER_BUILD not in message:
        return ""
    torch, torchvision = _version("torch"), _version("torchvision")
    number, _, build = torchvision.partition("+")
    if build == torch.partition("+")[2]:  # it is a program that has another environment
        return f"; its torch and torchvision are of two builds: install both from one index, such as {_index('')}"
    wanted = f"pip install --force-reinstall --no-deps torchvision=={number} --index-url {_index(torch)}"
    return f"; torch {torch} and torchvision {torchvision} are of two builds: {wanted}"


def option() -> str:
    """The option that has pip choose a torchvision of the build of the torch that is installed; empty for PyPI's."""
    torch = _version("torch")
    return f" --extra-index-url {_index(torch)}" if "+" in torch else ""


def _index(torch: str) -> str:
    return INDEX + (torch.partition("+")[2] or "cpu")


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""
