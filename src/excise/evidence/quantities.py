"""Quantities: everything that is measured, what it means, and in which units it may be stated.

One table serves the goals (`bpb<=1.02x`), the evidence (JSON) and the report (labels, captions).
"""

from dataclasses import dataclass

#: Units by dimension, as factors of the base unit in which the evidence keeps the number.
UNITS: dict[str, dict[str, float]] = {
    "bytes": {
        "B": 1,
        "kB": 1e3,
        "KB": 1e3,
        "MB": 1e6,
        "GB": 1e9,
        "KiB": 2**10,
        "MiB": 2**20,
        "GiB": 2**30,
    },
    "time": {"us": 1e-3, "ms": 1, "s": 1e3},
    "rate": {"tok/s": 1, "tokens/s": 1},
    "count": {"K": 1e3, "M": 1e6, "G": 1e9},
    "bits": {"bits": 1},
    "nats": {"nats": 1},
    "fraction": {},
    "number": {},
}


@dataclass(frozen=True)
class Quantity:
    """One measured quantity.

    Attributes:
        label: Its name in a table, English and Chinese.
        dimension: Key of UNITS; the base unit is that of factor 1 (B, ms, tok/s, bits, nats).
        lower_is_better: Direction.
        relative: May be stated as a multiple of BEFORE; false where BEFORE itself has no value.
        meaning: One plain line, English and Chinese.
    """

    label: tuple[str, str]
    dimension: str
    lower_is_better: bool
    relative: bool
    meaning: tuple[str, str]


QUANTITIES: dict[str, Quantity] = {
    "bytes": Quantity(
        ("Size on disk", "磁盘大小"),
        "bytes",
        True,
        True,
        (
            "All files needed to use the model: weights, config, tokenizer.",
            "使用模型所需的全部文件：权重、配置、分词器。",
        ),
    ),
    "tensor_bytes": Quantity(
        ("Weights on disk", "权重大小"),
        "bytes",
        True,
        True,
        (
            "The stored tensors alone, without headers, config and tokenizer.",
            "只计存储的张量，不含文件头、配置和分词器。",
        ),
    ),
    "zstd_bytes": Quantity(
        ("Weights, zstd", "权重经 zstd 压缩"),
        "bytes",
        True,
        True,
        (
            "What a general-purpose compressor makes of the weight files: the size to beat.",
            "通用压缩器对权重文件的压缩结果：真正的压缩应优于它。",
        ),
    ),
    "memory": Quantity(
        ("Memory when loaded", "加载后内存"),
        "bytes",
        True,
        True,
        (
            "Parameters and buffers as they lie in memory, ready to run.",
            "可运行状态下参数与缓冲区占用的内存。",
        ),
    ),
    "parameters": Quantity(
        ("Parameters", "参数量"),
        "count",
        True,
        True,
        (
            "How many numbers the model consists of, however they are stored.",
            "模型包含多少个数，与存储方式无关。",
        ),
    ),
    "nonzeros": Quantity(
        ("Nonzero parameters", "非零参数"),
        "count",
        True,
        True,
        ("Parameters that are not exactly zero.", "不恰好为零的参数个数。"),
    ),
    "bits": Quantity(
        ("Bits per parameter", "每参数比特数"),
        "bits",
        True,
        True,
        (
            "Stored bits of the tensors, divided by the number of parameters.",
            "张量的存储比特数除以参数个数。",
        ),
    ),
    "latency": Quantity(
        ("Time per new token", "每个新词元用时"),
        "time",
        True,
        True,
        ("Writing text, one token after another, with the cache in use.", "使用缓存逐个生成词元时的用时。"),
    ),
    "prefill": Quantity(
        ("Reading speed", "读入速度"),
        "rate",
        False,
        True,
        ("Reading a prompt: tokens taken in a second.", "读入提示时每秒处理的词元数。"),
    ),
    "bpb": Quantity(
        ("Bits per byte", "每字节比特数"),
        "bits",
        True,
        True,
        (
            "How many bits the model needs for a byte of unseen text; lower predicts better.",
            "模型对未见文本每字节所需的比特数；越低预测越好。",
        ),
    ),
    "perplexity": Quantity(
        ("Perplexity", "困惑度"),
        "number",
        True,
        True,
        (
            "Among how many equally likely tokens the model hesitates, on average; lower is better.",
            "模型平均在多少个等可能的词元间犹豫；越低越好。",
        ),
    ),
    "loss": Quantity(
        ("Loss per token", "每词元损失"),
        "nats",
        True,
        True,
        (
            "Mean surprise at each next token, in nats; lower is better.",
            "对每个下一词元的平均意外程度（奈特）；越低越好。",
        ),
    ),
    "kl": Quantity(
        ("Divergence from before", "与原模型的散度"),
        "nats",
        True,
        False,
        (
            "How far the predictions moved from those of the model before, KL(before || after) per token; 0 = same.",
            "预测偏离原模型的程度，每词元 KL(before || after)；0 表示相同。",
        ),
    ),
    "top1": Quantity(
        ("Same first choice", "首选一致率"),
        "fraction",
        False,
        False,
        (
            "Share of tokens where both models would write the same next token.",
            "两个模型首选同一下一词元的比例。",
        ),
    ),
}

#: Other spellings a user may type.
ALIASES = {"ppl": "perplexity"}
