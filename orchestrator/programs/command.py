"""The command line of a program's trial, from a command with W&B's macros, as W&B's agent makes it.

A macro is replaced where it is a word of its own, by one word, by several, or by none. `${envvar:NAME}` is replaced
within words, too; its value is a secret unless `show_env` has the name.
"""

import difflib
import json
import re
import shlex
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.trial import Params

DEFAULT = ("${env}", "${interpreter}", "${program}", "${args}")
MACROS = (
    "env",
    "interpreter",
    "program",
    "args",
    "args_no_equals",
    "args_no_hyphens",
    "args_append_hydra",
    "args_override_hydra",
    "args_no_boolean_flags",
    "args_json",
    "args_json_file",
)
ENV = "/usr/bin/env"
ENVVAR = re.compile(r"\$\{envvar:([A-Za-z_][A-Za-z0-9_]*)\}")
MASK = "***"
ESCAPES = {"\n": r"\n", "\t": r"\t", "\r": r"\r", "'": r"\'", "\\": r"\\"}  # within bash's $'..'
SHORT = 4  # characters: a shorter secret is hidden only where it stands alone, or no text could be read any more


@dataclass(frozen=True)
class Command:
    """What starts a program.

    Args:
        words: with macros, as the sweep file has them, or as they follow from the kind of program.
        program: that `${program}` stands for.
        show_env: variables of the environment whose values are no secrets.
        is_derived: whether the words follow from the kind of program, because the file gives none.
    """

    words: tuple[str, ...]
    program: str | None
    show_env: tuple[str, ...] = ()
    is_derived: bool = False

    @property
    def identity(self) -> str:
        """What distinguishes this command from others: nothing of a program's text, and no value of a variable."""
        words = DEFAULT if self.is_derived else self.words
        return json.dumps([self.program if word == "${program}" else word for word in words])

    @property
    def needs_json_file(self) -> bool:
        """Whether the file that `${args_json_file}` stands for has to be there, with `json_text` in it."""
        return "${args_json_file}" in self.words

    def mistakes(self) -> dict[int, str]:
        """What cannot be meant, in sentences, by the index of the word."""
        found = {}
        for index, name in self._macros():
            if name not in MACROS:
                found[index] = f"${{{name}}} is no macro; {_nearest(name)}"
            elif name == "program" and self.program is None:
                found[index] = "${program} stands for the key `program`, which the file does not have"
        return found

    def remarks(self) -> dict[int, str]:
        """What may not be meant, in sentences, by the index of the word."""
        whole = {index for index, _ in self._macros()}
        within = {
            index: [name for name in MACROS if f"${{{name}}}" in word]
            for index, word in enumerate(self.words)
            if index not in whole
        }
        return {
            index: f"${{{names[0]}}} is left as it is, since it is not a word of its own"
            for index, names in within.items()
            if names
        }

    def missing(self, environment: Mapping[str, str]) -> list[str]:
        """The variables that the command names and the environment lacks."""
        return [name for name in self._variables if name not in environment]

    def secrets(self, environment: Mapping[str, str]) -> list[str]:
        """The values that nobody is shown; see `hidden`."""
        return [environment[name] for name in self.secret_names if name in environment]

    @property
    def secret_names(self) -> list[str]:
        """The variables whose values nobody is shown."""
        return [name for name in self._variables if name not in self.show_env]

    def arguments(
        self, params: Params, interpreter: Sequence[str], json_file: str, environment: Mapping[str, str]
    ) -> list[str]:
        """The command line, word by word.

        Args:
            params: in their order; a nested parameter is a mapping, as `renested` makes it.
            interpreter: the words for `${interpreter}`.
            json_file: the path for `${args_json_file}`.
            environment: of the program.

        Raises:
            KeyError: a variable is missing.
        """
        return self._filled(params, interpreter, json_file, environment.__getitem__)

    def line(self, params: Params, interpreter: Sequence[str], json_file: str, environment: Mapping[str, str]) -> str:
        """The command line for people, as bash takes it: without secrets, a missing variable as it is written."""

        def shown(name: str) -> str:
            return environment.get(name, f"${{envvar:{name}}}") if name in self.show_env else MASK

        return " ".join(map(_quoted, self._filled(params, interpreter, json_file, shown)))

    @property
    def _variables(self) -> list[str]:
        return [*dict.fromkeys(name for word in self.words for name in ENVVAR.findall(word))]

    def _macros(self) -> list[tuple[int, str]]:
        """The words that W&B takes for a macro, whether there is such a macro or not, by their index."""
        words = enumerate(ENVVAR.sub("x", word) for word in self.words)
        return [(index, word[2:-1]) for index, word in words if word.startswith("${") and word.endswith("}")]

    def _filled(
        self, params: Params, interpreter: Sequence[str], json_file: str, value_of: Callable[[str], str]
    ) -> list[str]:
        fixed = {
            "env": [ENV],
            "interpreter": [*interpreter],
            "program": [self.program or ""],
            "args_json": [json_text(params)],
            "args_json_file": [json_file],
        }
        macros = {f"${{{name}}}": words for name, words in {**fixed, **_flags(params)}.items()}
        filled = ([ENVVAR.sub(lambda found: value_of(found[1]), word)] for word in self.words)
        return [part for word, plain in zip(self.words, filled, strict=True) for part in macros.get(word, plain)]


def json_text(params: Params) -> str:
    """The parameters as `${args_json}` passes them, and the file of `${args_json_file}`."""
    return json.dumps(params)


def renested(params: Params, paths: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """The parameters as the file nests them, which is how W&B passes them: a mapping for each that has others.

    Args:
        params: flat.
        paths: the keys by which the file reaches a parameter, from the outermost one; without it, its name is the key.
    """
    nested: dict[str, Any] = {}
    for name, value in params.items():
        *outer, last = paths.get(name, (name,))
        inner = nested
        for key in outer:
            inner = inner.setdefault(key, {})
        inner[last] = value
    return nested


def hidden(text: str, secrets: Iterable[str]) -> str:
    """The text without these values, also where it has them escaped, as tracebacks and JSON do."""
    forms = {form for secret in secrets for form in (secret, repr(secret)[1:-1], json.dumps(secret)[1:-1]) if form}
    if not forms:
        return text
    patterns = [
        re.escape(form) if len(form) >= SHORT else rf"(?<!\w){re.escape(form)}(?!\w)"
        for form in sorted(forms, key=len, reverse=True)  # one may be a part of another
    ]
    return re.sub("|".join(patterns), MASK, text)


def _flags(params: Params) -> dict[str, list[str]]:
    """The macros that pass parameters as words, each value as Python writes it."""
    pairs = {name: f"{name}={value}" for name, value in params.items()}
    flags = [name if value is True else pairs[name] for name, value in params.items() if value is not False]
    return {
        "args": [f"--{pair}" for pair in pairs.values()],
        "args_no_equals": [word for name, value in params.items() for word in (f"--{name}", str(value))],
        "args_no_hyphens": [*pairs.values()],
        "args_append_hydra": [f"+{pair}" for pair in pairs.values()],
        "args_override_hydra": [f"++{pair}" for pair in pairs.values()],
        "args_no_boolean_flags": [f"--{flag}" for flag in flags],
    }


def _quoted(word: str) -> str:
    """A word for a shell, in one line."""
    if word.isprintable():
        return shlex.quote(word)
    escaped = (ESCAPES.get(c, c if c.isprintable() else rf"\U{ord(c):08x}") for c in word)
    return f"$'{''.join(escaped)}'"


def _nearest(name: str, macros: Collection[str] = MACROS) -> str:
    if name.startswith("envvar"):
        return "write ${envvar:NAME} with the name of an environment variable"
    if "}" in name:
        return "write each macro as a word of its own"
    close = difflib.get_close_matches(name.lower(), macros, n=1, cutoff=0.5)
    return f"did you mean ${{{close[0]}}}?" if close else f"use one of {', '.join(f'${{{m}}}' for m in macros)}"
