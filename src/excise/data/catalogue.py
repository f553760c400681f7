"""The catalogue of finders: their settings, what can be done about what they find, and in which order they run."""

from dataclasses import dataclass
from typing import Any

from excise.data.contamination import ContaminationSettings
from excise.data.labels import LabelsSettings
from excise.data.language import LanguageSettings
from excise.data.lines import LinesSettings
from excise.data.near import NearSettings
from excise.data.outliers import OutliersSettings
from excise.data.perplexity import PerplexitySettings
from excise.data.pii import PiiSettings
from excise.data.rules import RulesSettings
from excise.data.semantic import SemanticSettings
from excise.data.substrings import SubstringsSettings
from excise.data.unlike import UnlikeSettings
from excise.data.values import ValuesSettings


@dataclass(frozen=True)
class Finder:
    """What a recipe may say about a finder.

    Attributes:
        settings: Its dataclass of settings; None where it has none.
        actions: What can be done about what it finds; the first is what is done unless another is asked for.
        about: What it finds, in a person's words.
    """

    settings: type[Any] | None
    actions: tuple[str, ...]
    about: str


_COPIES = ("drop", "weigh", "note")
_ALONE = ("drop", "weigh", "note")
_PARTS = ("cut", "drop", "note")

#: The finders by name, in the order in which they run.
FINDERS: dict[str, Finder] = {
    "exact": Finder(None, _COPIES, "same text"),
    "normalised": Finder(None, _COPIES, "same but for case, white space, Unicode form"),
    "contaminated": Finder(ContaminationSettings, _ALONE, "holds an evaluation item"),
    "quality": Finder(RulesSettings, _ALONE, "breaks a rule of quality"),
    "language": Finder(LanguageSettings, _ALONE, "in another language"),
    "perplexity": Finder(PerplexitySettings, _ALONE, "too surprising or too predictable"),
    "unlike": Finder(UnlikeSettings, _ALONE, "unlike what is wanted"),
    "outliers": Finder(OutliersSettings, _ALONE, "unlike all others"),
    "labels": Finder(LabelsSettings, ("drop", "relabel", "weigh", "note"), "probably labelled wrongly"),
    "values": Finder(ValuesSettings, ("drop", "relabel", "weigh", "note"), "a number that does not fit the rest"),
    "near": Finder(NearSettings, _COPIES, "nearly the same"),
    "semantic": Finder(SemanticSettings, _COPIES, "nearly the same in what it says"),
    "lines": Finder(LinesSettings, _PARTS, "lines that many records hold"),
    "substrings": Finder(SubstringsSettings, _PARTS, "long passages that another record holds"),
    "pii": Finder(PiiSettings, ("mask", *_PARTS), "personal data"),
}
