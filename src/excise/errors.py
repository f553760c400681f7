"""One small tree of exceptions; each says what was given, what was expected and what to do next.

ExciseError                     exit code
├── UserError                   2   the caller can mend it
│   ├── SettingError            2   a value outside its range, or two that exclude each other
│   ├── InputError              2   a file or record that cannot be read as it stands
│   ├── OutputError             2   OUT exists, belongs to another run, or cannot be written
│   └── MissingExtraError       2   an optional dependency is not installed
└── RunError                    1   the run failed
    ├── GuardRailError          1   a removal so large that it is probably wrong
    ├── ArtefactError           1   what was written is not what was meant
    └── NumericsError           1   NaN, Inf or a matrix that cannot be factorised
"""

from pathlib import Path


class ExciseError(Exception):
    """Base of everything Excise raises on purpose."""

    exit_code = 1


class UserError(ExciseError):
    """The user's mistake: exit code 2."""

    exit_code = 2


class SettingError(UserError, ValueError):
    """A setting is out of range or contradicts another."""


class InputError(UserError):
    """Data or a model cannot be read as it stands.

    Args:
        message: What was found, what was expected, what to do next.
        path: The file, as the user knows it.
        line: 1-based line (or record) in it.
    """

    def __init__(self, message: str, path: str | Path | None = None, line: int | None = None) -> None:
        self.path, self.line = path, line
        place = "" if path is None else f"{path}: " if line is None else f"{path}:{line}: "
        super().__init__(place + message)


class OutputError(UserError):
    """OUT exists already, belongs to another run, or cannot be written."""


class MissingExtraError(UserError, ImportError):
    """An optional dependency is missing; names the command that installs it."""

    def __init__(self, extra: str, needs: str) -> None:
        self.extra = extra
        super().__init__(f"this needs {needs}, which is not installed. Install it with: pip install 'excise[{extra}]'")


class RunError(ExciseError):
    """The run failed: exit code 1."""


class GuardRailError(RunError):
    """A removal so large that it is more likely a mistake than redundancy."""


class ArtefactError(RunError):
    """A written artefact, read back, is not what was in memory."""


class NumericsError(RunError):
    """NaN, Inf or a matrix that cannot be factorised, with the tensor's name."""
