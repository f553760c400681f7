"""choices: what a run of `clean` was asked for, checked, and as plain values for its fingerprint."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from excise.data import keep
from excise.data.catalogue import FINDERS
from excise.errors import SettingError


@dataclass(frozen=True)
class Choices:
    """The settings that the result depends on.

    Attributes:
        finders: Their names, in the order in which they run.
        settings: Of each of them, a dataclass; None where it has none.
        actions: What is done about what each finds.
        keep: Policy, as of `keep.ranks`.
        within: Whether only records of one label are compared.
        per_cluster: Records of each cluster that stay.
        restore: bytes or content.
        corrupt: stop or reject.
    """

    finders: tuple[str, ...]
    settings: Mapping[str, Any]
    actions: Mapping[str, str]
    keep: str = "first"
    within: bool = False
    per_cluster: int = 1
    restore: Literal["bytes", "content"] = "bytes"
    corrupt: Literal["stop", "reject"] = "stop"
    order_field: str | None = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "order_field", keep.parsed(self.keep)[1])

    def thresholds(self) -> dict[str, float]:
        """By finder, the redundancy from which it finds; 0 where it has no threshold."""
        return {name: getattr(chosen, "threshold", None) or 0.0 for name, chosen in self.settings.items()}

    def as_dict(self) -> dict[str, Any]:
        """Plain data, for JSON."""
        return {
            "finders": list(self.finders),
            "settings": {name: asdict(chosen) for name, chosen in self.settings.items() if chosen is not None},
            "actions": dict(self.actions),
            **{name: getattr(self, name) for name in ("keep", "within", "per_cluster", "restore", "corrupt")},
        }


def checked(
    finders: Sequence[str],
    settings: Mapping[str, Any],
    actions: Mapping[str, str],
    *,
    threshold: float | None,
    keep: str,
    within: bool,
    per_cluster: int,
    restore: Literal["bytes", "content"],
    corrupt: Literal["stop", "reject"],
) -> Choices:
    """What was asked for, if it makes sense.

    Args:
        finders: Names, in any order.
        settings: By finder: its settings as a mapping, or its dataclass.
        actions: By finder.
        threshold: Of near; beside `settings` for the most used of them.
        keep: Policy.
        within: Whether only records of one label are compared.
        per_cluster: Records of each cluster that stay, at least 1.
        restore: bytes or content.
        corrupt: stop or reject.

    Raises:
        SettingError: One is out of range, or is for a finder that does not run.
    """
    for name, value, allowed in (("restore", restore, ("bytes", "content")), ("corrupt", corrupt, ("stop", "reject"))):
        if value not in allowed:
            raise SettingError(f"{name} is {value!r}; it must be one of {', '.join(allowed)}.")
    if not isinstance(per_cluster, int) or per_cluster < 1:
        raise SettingError(f"per_cluster is {per_cluster!r}; it must be a whole number of at least 1.")
    chosen = _named(finders)
    given = {name: dict(one) if isinstance(one, Mapping) else one for name, one in settings.items()}
    if threshold is not None and "near" in chosen:
        given["near"] = {"threshold": threshold, **given.get("near", {})}
    for kind, named in (("settings", given), ("actions", actions)):
        for finder in named:
            if finder not in chosen:
                told = ", ".join(chosen)
                raise SettingError(f"{kind} has {finder!r}, which is none of the finders of this run; they are {told}.")
    return Choices(
        chosen,
        {name: _settings(name, given.get(name)) for name in chosen},
        {name: _action(name, actions.get(name)) for name in chosen},
        keep,
        within,
        per_cluster,
        restore,
        corrupt,
    )


def _named(finders: Sequence[str]) -> tuple[str, ...]:
    """The finders asked for, in the order in which they run."""
    known = ", ".join(FINDERS)
    if isinstance(finders, str):
        raise SettingError(f"finders is {finders!r}; give a list, such as ['{finders}'].")
    for finder in finders:
        if finder not in FINDERS:
            raise SettingError(f"finders has {finder!r}; it must be one of {known}.")
    if not finders:
        raise SettingError(f"finders names none; give one or more of {known}.")
    return tuple(name for name in FINDERS if name in finders)


def _action(finder: str, asked: str | None) -> str:
    allowed = FINDERS[finder].actions
    if asked is not None and asked not in allowed:
        raise SettingError(f"action is {asked!r} for {finder}; it must be one of {', '.join(allowed)}.")
    return asked or allowed[0]


def _settings(finder: str, given: Any) -> Any:
    """The finder's settings: its own, or what was given, checked."""
    kind = FINDERS[finder].settings
    if not given:
        return None if kind is None else kind()
    from excise.recipe import finder_settings

    return finder_settings(finder, given)
