"""Roles: what each weight of a network does, found from its structure and not from the model's name.

The blocks are the repeated module list that holds most weights; the embedding is where the input ids go in. Inside a
block a matrix is known by its place: the usual family names of its module, and its shape, which must agree (what reads
the residual stream is as wide as it, what writes to it is as high).
"""

from __future__ import annotations

from typing import Any

from torch import nn

from excise.errors import InputError
from excise.model import MatrixView, Role

#: Family names of the modules in use among published decoders, by what they do.
_FAMILIES: dict[Role, frozenset[str]] = {
    "q": frozenset({"q_proj", "query", "q_lin", "wq"}),
    "k": frozenset({"k_proj", "key", "k_lin", "wk"}),
    "v": frozenset({"v_proj", "value", "v_lin", "wv"}),
    "qkv": frozenset({"qkv_proj", "query_key_value", "c_attn", "wqkv", "qkv"}),
    "o": frozenset({"o_proj", "out_proj", "dense", "c_proj", "wo", "out_lin"}),
    "gate": frozenset({"gate_proj", "w1"}),
    "up": frozenset({"up_proj", "w3", "c_fc", "fc1", "fc_in", "dense_h_to_4h", "lin1"}),
    "gate_up": frozenset({"gate_up_proj"}),
    "down": frozenset({"down_proj", "w2", "c_proj", "fc2", "fc_out", "dense_4h_to_h", "lin2"}),
}
_READS_STREAM = frozenset({"q", "k", "v", "qkv", "gate", "up", "gate_up"})


def repeated_blocks(network: nn.Module) -> tuple[str, list[nn.Module]]:
    """Name and members of the module list with the most weights.

    Raises:
        InputError: There is none.
    """
    lists: list[tuple[int, str, list[nn.Module]]] = []
    for name, module in network.named_modules():
        if isinstance(module, nn.ModuleList) and len(module) and not any(name.startswith(n + ".") for _, n, _ in lists):
            members = list(module)
            weights = sum(m.weight.numel() for b in members for m in b.modules() if layout_of(m) is not None)
            if all(any(layout_of(m) is not None for m in b.modules()) for b in members):
                lists.append((weights, name, members))
    if not lists:
        raise InputError(
            f"{type(network).__name__} has no repeated blocks: looked for an nn.ModuleList whose members all hold "
            "Linear weights, as decoders of the Llama, Qwen and Mistral type have"
        )
    _, name, members = max(lists, key=lambda found: found[0])
    return name, members


def layout_of(module: nn.Module) -> str | None:
    """How a module keeps its matrix; None for a module without one."""
    if isinstance(module, nn.Linear):
        return "linear"
    if isinstance(module, nn.Conv2d):
        return "conv2d"
    if type(module).__name__ == "Conv1D" and hasattr(module, "nf"):  # transformers' Linear with a transposed weight
        return "conv1d"
    return None


def matrices_of(block: nn.Module, prefix: str, hidden: int | None = None) -> tuple[MatrixView, ...]:
    """Views of all matrices of a block.

    Args:
        block: The module.
        prefix: Its name in the network.
        hidden: Width of the residual stream, where there is one.

    Raises:
        InputError: It holds weights that cannot be seen as one matrix: experts fused in 3-D, grouped convolutions.
    """
    found: list[MatrixView] = []
    for path, module in block.named_modules():
        name = f"{prefix}.{path}".strip(".")
        layout: Any = layout_of(module)
        if layout is not None:
            if layout == "conv2d" and module.groups != 1:
                raise InputError(f"{name} is a convolution in {module.groups} groups; only groups=1 is handled")
            view = MatrixView(f"{name}.weight".lstrip("."), "other", module, layout)
            found.append(MatrixView(view.name, role_of(name, view.shape, hidden), module, layout))
            continue
        for own, parameter in module.named_parameters(recurse=False):
            if parameter.dim() >= 3 and not isinstance(module, nn.Conv1d):  # a small filter over time stays as it is
                raise InputError(
                    f"{name}.{own} is {list(parameter.shape)}: looked for Linear weights and found several matrices in "
                    "one tensor, as fused experts are. Mixtures of experts are not handled yet"
                )
    return tuple(found)


def role_of(name: str, shape: tuple[int, int], hidden: int | None) -> Role:
    """What a matrix of a block does; `other` where name and shape do not agree on one role.

    Args:
        name: Module name, e.g. 'model.layers.0.self_attn.q_proj'.
        shape: (out, in).
        hidden: Width of the residual stream; None checks no shape.
    """
    last = name.rsplit(".", 1)[-1].lower()
    attention = any("attn" in part or "attention" in part for part in name.lower().split(".")[:-1])
    fitting: list[Role] = []
    for role, names in _FAMILIES.items():
        side = shape[1] if role in _READS_STREAM else shape[0]
        if last in names and (hidden is None or side == hidden):
            fitting.append(role)
    if len(fitting) > 1:  # c_proj writes to the stream in both halves of a block
        fitting = [r for r in fitting if (r == "o") == attention]
    return fitting[0] if fitting else "other"


def role_map(network: Any, views: tuple[MatrixView, ...]) -> dict[str, Role]:
    """What each parameter does, tied ones under their first name.

    Raises:
        InputError: No embedding was found.
    """
    embedding: Any = network.get_input_embeddings() if hasattr(network, "get_input_embeddings") else None
    if not isinstance(getattr(embedding, "weight", None), nn.Parameter):
        raise InputError(
            f"{type(network).__name__} has no input embedding: asked get_input_embeddings() for a module with a weight"
        )
    head = network.get_output_embeddings() if hasattr(network, "get_output_embeddings") else None
    known: dict[int, Role] = {id(getattr(v.module, v.parameter)): v.role for v in views}
    if head is not None:
        known[id(head.weight)] = "head"
    known[id(embedding.weight)] = "embedding"  # after the head: a tied tensor is the embedding
    roles: dict[str, Role] = {}
    for path, module in network.named_modules():
        for own, parameter in module.named_parameters(recurse=False):
            name = f"{path}.{own}".lstrip(".")
            if id(parameter) in known:
                roles[name] = known[id(parameter)]
            elif "norm" in type(module).__name__.lower():
                roles[name] = "norm"
            else:
                roles[name] = "bias" if own == "bias" else "other"
    first_names = {name for name, _ in network.named_parameters()}
    return {name: role for name, role in roles.items() if name in first_names}
