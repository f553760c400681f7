"""Recipe: a run as data — YAML in, checked models out, errors with the line and what is allowed there.

A recipe is a list of stages. Each stage has a kind, a name (its kind unless given) and settings; its output folder is
OUT/<name>. A path may begin with `{name}`, the output folder of an earlier stage; other paths are relative to the
recipe's own folder. Settings only: no tensors, no hooks, no state.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import fields
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from excise.data.augment import operations
from excise.data.catalogue import FINDERS
from excise.errors import InputError, OutputError, SettingError
from excise.evidence import goals

#: Settings of stages that are paths.
PATHS = (
    *("data", "model", "before", "after", "against", "like", "index"),
    *("encoder", "vectors", "probabilities", "scorer", "review", "apply", "cache"),
)

#: Deepest nesting of a recipe's YAML; far more than a recipe has, far less than Python can follow.
_DEEPEST = 20


#: One path or several.
Paths: TypeAlias = str | Annotated[list[str], Field(min_length=1)]


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Stage(_Settings):
    name: str = Field(
        "", pattern=r"^[a-z0-9_-]*$", description="Name of the stage and of its folder; its kind if empty."
    )


class Gather(_Stage):
    """Collect the documentation that every Python machine has: real English with real duplicates."""

    kind: Literal["gather"]
    megabytes: float = Field(8.0, gt=0, le=1000, description="Stop after this much text, in 10^6 bytes.")


def finder_settings(name: str, given: Any) -> Any:
    """The settings of a finder, checked.

    Args:
        name: Of the finder.
        given: A mapping with some of them, or the dataclass itself.

    Raises:
        SettingError: One is not known or out of range.
    """
    kind = FINDERS[name].settings
    if kind is not None and isinstance(given, kind):
        return given
    if not isinstance(given, Mapping):
        raise SettingError(f"settings.{name} is {given!r}; it must be a mapping from names to values.")
    allowed = [] if kind is None else [f.name for f in fields(kind)]
    for key in given:
        if key not in allowed:
            told = f"allowed: {', '.join(allowed)}" if allowed else f"{name} has no settings"
            raise SettingError(f"{name}.{key} is not known; {told}.")
    if kind is None:
        return None
    try:
        types = {f.name: str(f.type) for f in fields(kind)}
        return TypeAdapter(kind).validate_python({key: _typed(types[key], value) for key, value in given.items()})
    except ValidationError as error:
        first = error.errors()[0]
        if first["type"] == "value_error":  # ours: it names the setting itself
            raise SettingError(str(first["ctx"]["error"])) from error
        where = ".".join(str(part) for part in first["loc"])
        told = f"{first['msg'][0].lower()}{first['msg'][1:]}"
        raise SettingError(f"{name}.{where} is {first['input']!r}; {told}.") from error


def _typed(annotation: str, value: Any) -> Any:
    """A setting as typed on a command line: lists with commas, none for None."""
    if not isinstance(value, str):
        return tuple(value) if isinstance(value, list) else value
    if value == "none" and "None" in annotation:
        return None
    return tuple(part.strip() for part in value.split(",") if part.strip()) if "tuple" in annotation else value


def _known_finder(name: str) -> str:
    if name not in FINDERS:
        raise SettingError(f"finders has {name!r}; it must be one of {', '.join(FINDERS)}.")
    return name


class Clean(_Stage):
    """Remove what is redundant or wrong from a corpus (the command `clean`)."""

    kind: Literal["clean"]
    data: Paths = Field(description="Files, a directory or a glob.")
    text: str | None = Field(
        None, description="Field, or template such as '{instruction}\\n{output}'; detected if absent."
    )
    on: str | None = Field(None, description="Find duplicates by this field only.")
    id: str | None = Field(None, description="Column with the user's own ids.")
    label: str | None = Field(None, description="Column with labels.")
    finders: list[Annotated[str, AfterValidator(_known_finder)]] = Field(
        ["exact", "normalised", "near"], min_length=1, description=f"Any of {', '.join(FINDERS)}."
    )
    threshold: float | None = Field(
        None, gt=0, le=1, description="Jaccard similarity from which near texts are duplicates."
    )
    settings: dict[str, dict[str, Any]] = Field({}, description="Settings of finders, by finder.")
    actions: dict[str, str] = Field({}, description="What is done about what a finder finds, by finder.")
    keep: str = Field("first", description="Who of a cluster stays: first, last, longest, shortest, highest:FIELD, ...")
    within: bool = Field(False, description="Compare only records of one label.")
    per_cluster: int = Field(1, ge=1, description="Records of a cluster that stay.")
    against: Paths | None = Field(None, description="Data only compared with: earlier data or evaluation sets.")
    against_text: str | None = Field(None, description="Field or template of those and of like; as text if absent.")
    like: Paths | None = Field(None, description="Texts of the kind that is wanted.")
    index: str | None = Field(None, description="Folder with the records that earlier runs kept.")
    features: list[str] = Field([], description="Numeric fields for outliers, labels and values, or auto.")
    encoder: str | None = Field(None, description="Folder of a model that makes vectors of texts.")
    vectors: str | None = Field(None, description="A .npy file with vectors, a row a record.")
    probabilities: str | None = Field(None, description="A file with probabilities of the labels.")
    scorer: str | None = Field(None, description="Folder of a language model for perplexity.")
    review: str | None = Field(None, description="A csv to write what is proposed to.")
    apply: str | None = Field(None, description="Such a csv with a person's decisions.")
    cache: str | None = Field(None, description="Folder where measurements are kept.")
    memory: str | None = Field(None, description="Most memory to take, such as 1GB, beside mapped files.")
    engine: Literal["local", "ray"] = Field("local", description="Where the work is done.")
    restore: Literal["bytes", "content"] = Field("bytes", description="What can be restored, at what price.")
    corrupt: Literal["stop", "reject"] = Field("stop", description="What to do with records that cannot be read.")
    allow_large: bool = Field(False, description="Do not stop where a source loses more than half.")


def _operation(text: str) -> str:
    operations.parse(text)
    return text


class Augment(_Stage):
    """Add changed copies of records to a corpus (the command `augment`)."""

    kind: Literal["augment"]
    data: Paths = Field(description="Files, a directory or a glob.")
    op: list[Annotated[str, AfterValidator(_operation)]] = Field(
        min_length=1, description="Operations NAME=RATE, such as keyboard=0.05; + joins several."
    )
    copies: int | None = Field(None, ge=1, description="Added records a chosen record and operation; 1 if absent.")
    share: float = Field(1.0, gt=0, le=1, description="Fraction of the records that are chosen.")
    balance: str | None = Field(
        None, description="FIELD or FIELD=SHARE: copies until each class has that share of the largest."
    )
    text: str | None = Field(None, description="The field that is changed; detected if absent.")
    label: str | None = Field(None, description="Field with labels, to count by.")
    id: str | None = Field(None, description="Field with the user's own ids.")
    protect: list[Literal["urls", "numbers", "code", "masks"]] = Field(
        ["urls", "numbers", "code", "masks"], description="What is never changed."
    )
    mask_token: str = Field("<mask>", description="What the operation mask puts in.")
    held_out: bool = Field(False, description="Augment files that look like test sets by their names as well.")
    marks: bool = Field(True, description="Add augmented_from and augmentation to copies, where their format can.")
    corrupt: Literal["stop", "reject"] = Field("stop", description="What to do with records that cannot be read.")


class Split(_Stage):
    """Part a corpus into train.jsonl and heldout.jsonl by a hash of each record's id."""

    kind: Literal["split"]
    data: Paths = Field(description="Files, a directory or a glob.")
    text: str | None = Field(None, description="Field or template; detected if absent.")
    holdout: float = Field(0.1, gt=0, lt=1, description="Fraction of the records held out.")


class Pretrain(_Stage):
    """Train a small Llama from scratch."""

    kind: Literal["pretrain"]
    data: Paths = Field(description="Files, a directory or a glob.")
    text: str | None = Field(None, description="Field or template; detected if absent.")
    vocabulary: int = Field(2048, ge=300, le=65536, description="Tokens of the byte-level BPE.")
    hidden: int = Field(256, ge=32, multiple_of=32, description="Width of the residual stream.")
    layers: int = Field(4, ge=1, le=64, description="Number of blocks.")
    heads: int = Field(4, ge=1, description="Attention heads; each has an even share of hidden.")
    kv_heads: int = Field(2, ge=1, description="Key/value heads; must divide heads.")
    ffn: int = Field(768, ge=32, multiple_of=32, description="Width of the feed-forward layer.")
    window: int = Field(128, ge=16, le=4096, description="Tokens a training sequence.")
    batch: int = Field(16, ge=1, description="Sequences a step.")
    steps: int = Field(300, ge=1, description="Optimizer steps.")
    learning_rate: float = Field(2e-3, gt=0, lt=1, description="Peak of the cosine schedule.")
    checkpoint_every: int = Field(20, ge=1, description="Steps between two resume points.")

    @model_validator(mode="after")
    def _widths_fit(self) -> Pretrain:
        if self.hidden % (2 * self.heads):  # rotary positions turn pairs of channels
            raise SettingError(f"heads is {self.heads} beside hidden {self.hidden}; hidden / heads must be even.")
        if self.heads % self.kv_heads:
            raise SettingError(f"kv_heads is {self.kv_heads} beside heads {self.heads}; it must divide heads.")
        return self


def _pattern(name: str) -> str:
    numbers = re.fullmatch(r"([0-9]{1,4}):([0-9]{1,4})", name)
    if name not in {"row", "layer", "global"} and not (numbers and 1 <= int(numbers[1]) < int(numbers[2])):
        raise SettingError(f"pattern is {name!r}; it must be row, layer, global or N:M with 1 <= N < M, such as 2:4.")
    return name


class Compress(_Stage):
    """Prune and quantize a model (the command `compress`)."""

    kind: Literal["compress"]
    model: str = Field(description="Directory with a transformers checkpoint.")
    data: Paths | None = Field(None, description="Calibration text.")
    text: str | None = Field(None, description="Field or template of the calibration text; detected if absent.")
    sparsity: float = Field(0.0, ge=0, le=1, description="Fraction of the weights removed.")
    pattern: Annotated[str, AfterValidator(_pattern)] = Field(
        "row", description="row, layer, global or N:M such as 2:4."
    )
    importance: Literal["magnitude", "taylor", "obs"] = Field(
        "magnitude", description="taylor is |w*dL/dw| and needs data; obs goes with the solver of that name."
    )
    signed: bool = Field(False, description="The article's importance to the letter: |w|*dL/dw, sign kept.")
    bits: int | None = Field(None, ge=1, le=8, description="Bits a weight; not quantized if absent.")
    grid: Literal["symmetric", "affine"] = Field("symmetric", description="affine is the article's min-max grid.")
    group: Annotated[int, Field(gt=0)] | Literal["channel", "tensor"] = Field(
        128, description="Weights that share a scale: a group size, channel or tensor."
    )
    solver: Literal["round", "obs"] = Field(
        "round", description="obs makes up for each error by the weights to come, and needs data."
    )
    windows: int = Field(64, ge=1, description="Calibration windows of 256 tokens.")

    @model_validator(mode="after")
    def _parts_fit(self) -> Compress:
        """What `weights.solve.Plan` and the preflight of `compress` refuse, found here without torch."""
        kept, _, of = self.pattern.partition(":")
        removed = 1 - int(kept) / int(of) if of else self.sparsity
        if self.sparsity not in (0, removed):
            raise SettingError(f"sparsity is {self.sparsity} beside pattern {self.pattern}, which removes {removed:g}.")
        if removed == 0 and self.bits is None:
            raise SettingError("sparsity is 0 and bits is not given; nothing would be done.")
        if self.importance == "obs" and (self.solver != "obs" or self.pattern == "global"):
            raise SettingError("importance is obs; it needs solver obs, and pattern row, layer or N:M.")
        if self.importance == "taylor" and removed > 0 and self.data is None:
            raise SettingError("importance is taylor, which needs data.")
        if self.signed and self.importance != "taylor":
            raise SettingError(f"signed is set beside importance {self.importance}; only taylor has a sign.")
        if self.solver == "obs" and self.data is None:
            raise SettingError("solver is obs, which needs data.")
        return self


def _goal(text: str) -> str:
    goals.parse(text)
    return text


class Compare(_Stage):
    """Measure two models on the same text (the command `compare`)."""

    kind: Literal["compare"]
    before: str = Field(description="Directory of the original model.")
    after: str = Field(description="Directory of the smaller model.")
    data: Paths = Field(description="Held-out text.")
    text: str | None = Field(None, description="Field or template; detected if absent.")
    goal: list[Annotated[str, AfterValidator(_goal)]] = Field([], description="Goals such as 'bpb<=1.02x'.")
    windows: int | None = Field(None, ge=1, description="Held-out windows of 256 tokens; all if absent.")


Stage: TypeAlias = Annotated[
    Gather | Clean | Augment | Split | Pretrain | Compress | Compare,
    Field(discriminator="kind"),
]


class Recipe(_Settings):
    """A whole run."""

    schema_version: Literal[1] = Field(description="Version of this format.")
    name: str = Field(pattern=r"^[a-z0-9_-]+$", description="Name of the recipe; OUT if none is given.")
    about: str = Field("", description="One sentence for a person.")
    seed: int = Field(0, ge=0, lt=2**32, description="Seed of everything that draws.")
    stages: list[Stage] = Field(min_length=1, description="In order.")

    def named(self) -> list[tuple[str, Stage]]:
        """The stages with their names."""
        return [(stage.name or stage.kind, stage) for stage in self.stages]


def shipped() -> dict[str, str]:
    """Text of the recipes that come with Excise, by name."""
    folder = files("excise") / "recipes"
    return {
        entry.name.removesuffix(".yaml"): entry.read_text(encoding="utf-8")
        for entry in sorted(folder.iterdir(), key=lambda e: e.name)
        if entry.name.endswith(".yaml")
    }


def load(recipe: str | Path) -> tuple[Recipe, Path]:
    """A recipe by path or shipped name, and the folder its paths are relative to.

    Raises:
        InputError: Not found, not YAML, or not a recipe; with the line and what is allowed there.
    """
    path = Path(recipe)
    if path.is_file():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            raise InputError("not UTF-8 text; a recipe is a YAML file", path) from error
        return parse(text, str(recipe)), path.parent
    known = shipped()
    if str(recipe) in known:
        return parse(known[str(recipe)], str(recipe)), Path()
    raise InputError(f"no such recipe file, nor one of the shipped recipes ({', '.join(known)})", recipe)


def copy(name: str, to: Path) -> Path:
    """Write a shipped recipe where it can be edited.

    Raises:
        InputError: No shipped recipe has this name.
        OutputError: The file exists.
    """
    known = shipped()
    if name not in known:
        raise InputError(f"no shipped recipe is called {name!r}; there are: {', '.join(known)}")
    if to.exists():
        raise OutputError(f"{to} exists already. Name another file.")
    to.write_text(known[name], encoding="utf-8")
    return to


def parse(text: str, where: str = "recipe") -> Recipe:
    """Check a recipe's YAML.

    Raises:
        InputError: With file, line, what was given and what is allowed.
    """
    root = _composed(text, where)
    if not isinstance(root, yaml.MappingNode):
        raise InputError("expected a mapping with schema_version, name and stages", where, 1)
    try:
        recipe = Recipe.model_validate(_plain(root, where))
    except ValidationError as error:
        told, _, line = _told(error.errors()[0], root, where)
        others = [_told(e, root, where) for e in error.errors()[1:5]]
        raise InputError("".join([told, *(f"\n{w}:{n}: {m}" for m, w, n in others)]), where, line) from error
    _check_names(recipe, root, where)
    return recipe


def _composed(text: str, where: str) -> yaml.Node | None:
    """The YAML as a tree; aliases are refused, for with them it might be endless."""
    depth, line = 0, 1
    try:
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            line = event.start_mark.line + 1 if event.start_mark else line
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if isinstance(event, yaml.AliasEvent):
                raise InputError(f"*{event.anchor} is an alias; a recipe has none. Write the value out", where, line)
            if depth > _DEEPEST:
                raise InputError(f"nested more than {_DEEPEST} deep; a recipe is not", where, line)
        return yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else line
        raise InputError(f"not YAML: {error.problem}", where, line) from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise InputError(f"not YAML: the character U+{error.character:04X} is not allowed", where, line) from error


def _plain(node: yaml.Node, where: str) -> Any:
    """A tree's values. YAML 1.1 has dates, and reads 2:4 as 124; here, what is no plain number is text."""
    if isinstance(node, yaml.SequenceNode):
        return [_plain(item, where) for item in node.value]
    if not isinstance(node, yaml.MappingNode):
        try:
            return _SCALARS.get(node.tag.rpartition(":")[2], str)(node.value)
        except (ValueError, KeyError):
            return node.value
    found: dict[str, Any] = {}
    for key, value in node.value:
        line = key.start_mark.line + 1
        if not isinstance(key, yaml.ScalarNode):
            raise InputError("a list or mapping cannot be the name of a setting", where, line)
        if key.value in found:
            raise InputError(f"{key.value!r} is given twice; keep one", where, line)
        found[key.value] = _plain(value, where)
    return found


#: From YAML's kinds of scalars to the reader of each; all others are text.
_SCALARS: dict[str, Callable[[str], Any]] = {
    "null": lambda _: None,
    "bool": lambda word: yaml.SafeLoader.bool_values[word.lower()],
    "int": int,
    "float": float,
}


def _told(error: Any, root: yaml.Node, where: str) -> tuple[str, str, int]:
    """Message, file and line for one of pydantic's errors."""
    kinds = {model.model_fields["kind"].annotation.__args__[0]: model for model in _models()}  # type: ignore[union-attr]
    location = [part for part in error["loc"] if part not in kinds]
    shown = "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in location).lstrip(".")
    line = _line(root, location)
    given = error.get("input")
    if error["type"] == "extra_forbidden":
        kind = next((part for part in error["loc"] if part in kinds), None)
        model = kinds[kind] if kind is not None else Recipe
        return f"{shown} is not known here; allowed: {', '.join(model.model_fields)}", where, line
    if error["type"] == "missing":
        return f"{shown} is missing", where, line
    if error["type"] in {"union_tag_invalid", "union_tag_not_found"}:
        tag = given.get("kind") if isinstance(given, dict) else given
        return f"{shown}.kind is {tag!r}; allowed: {', '.join(kinds)}", where, line
    if error["type"] == "value_error":  # ours: it names the setting first
        told = str(error["ctx"]["error"])
        return f"{shown}: {told}", where, _line(root, [*location, told.split(maxsplit=1)[0]])
    return f"{shown} is {given!r}; {error['msg'][0].lower()}{error['msg'][1:]}", where, line


def _models() -> tuple[type[_Stage], ...]:
    return (Gather, Clean, Augment, Split, Pretrain, Compress, Compare)


def _line(node: yaml.Node, location: list[int | str]) -> int:
    """1-based line of the deepest node on the way to a location."""
    line = node.start_mark.line + 1
    for part in location:
        if isinstance(node, yaml.MappingNode):
            found = next(((k, v) for k, v in node.value if k.value == part), None)
            if found is None:
                break
            line, node = found[0].start_mark.line + 1, found[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line + 1
        else:
            break
    return line


def _check_names(recipe: Recipe, root: yaml.Node, where: str) -> None:
    """Names are unique, and `{name}` in a path is a stage that comes earlier."""
    seen: list[str] = []
    for index, (name, stage) in enumerate(recipe.named()):
        if name in seen:
            line = _line(root, ["stages", index, "name"])
            raise InputError(f"stages[{index}]: two stages are called {name!r}; give one another name", where, line)
        for key in PATHS:
            values = getattr(stage, key, None)
            for value in [values] if isinstance(values, str) else values or []:
                for used in references(value):
                    if used not in seen:
                        line = _line(root, ["stages", index, key])
                        earlier = ", ".join(seen) or "none"
                        told = f"stages[{index}].{key} names the stage {{{used}}}; earlier stages: {earlier}"
                        raise InputError(told, where, line)
        seen.append(name)


def references(path: str) -> list[str]:
    """The stage that a path begins with, if it begins with one."""
    return re.findall(r"^\{([^{}]*)\}", path)
