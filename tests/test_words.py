"""The orchestrator knows nothing of the VAE: none of its metrics, parameters or data stands in its code."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent / "orchestrator"
WORDS = [
    *("val_ssim", "ssim", "val_mse", "mse", "ssim_mean", "mse_mean"),
    *("num_layers", "latent_dim", "batch_size", "architecture", "mnist", "digits", "var"),
    *("dead decoder", "posterior collapse"),
]
OF_CSS = re.compile(r"var\(--")  # a variable of a style sheet
FILES = [
    path
    for path in ROOT.rglob("*")
    if path.suffix in (".py", ".html", ".md", ".js") and not {"sweeps", "tabulator"} & {*path.parts}
]


def mentions(text: str) -> list[str]:
    plain = OF_CSS.sub("", text)
    return [word for word in WORDS if re.search(rf"(?<![A-Za-z_]){word}(?![A-Za-z_])", plain, re.IGNORECASE)]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_of_the_orchestrator_has_no_word_of_the_vae(path: Path) -> None:
    assert mentions(path.read_text()) == []


def test_the_words_are_found_where_they_are() -> None:
    assert mentions('of "var" and val_ssim, val_mse') == ["val_ssim", "val_mse", "var"]
    assert mentions("color: var(--ink); variance, invariant, digitsum") == []
    assert len(FILES) > 100
