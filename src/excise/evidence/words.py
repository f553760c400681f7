"""Words: every text of the report, English and Chinese side by side; the page shows one and can switch."""

from __future__ import annotations

import re
from typing import Any

from markupsafe import Markup, escape

from excise.evidence.cleaning_words import CLEANING_WORDS
from excise.evidence.visible import visible

WORDS: dict[str, tuple[str, str]] = {
    **CLEANING_WORDS,
    "kind.clean": ("Cleaning", "数据清洗"),
    "kind.augment": ("Augmentation", "数据增强"),
    "kind.compress": ("Compression", "模型压缩"),
    "kind.compare": ("Comparison", "前后对比"),
    "kind.run": ("Run", "完整流程"),
    "kind.gather": ("Gathered text", "收集文本"),
    "kind.split": ("Split", "划分"),
    "kind.pretrain": ("Training", "训练"),
    # Headlines and verdicts
    "size.smaller": ("Smaller: {size}× on disk", "更小：磁盘占用为 {size}×"),
    "size.larger": ("Larger: {size}× on disk", "更大：磁盘占用为 {size}×"),
    "size.same": ("Not smaller", "没有变小"),
    "speed.faster.faster": ("faster here, writing and reading", "本机上生成与读入都更快"),
    "speed.faster.same": ("faster here at writing", "本机上生成更快"),
    "speed.faster.slower": ("faster here at writing, slower at reading", "本机上生成更快，读入更慢"),
    "speed.same.faster": ("faster here at reading", "本机上读入更快"),
    "speed.slower.faster": ("faster here at reading, slower at writing", "本机上读入更快，生成更慢"),
    "speed.same.same": ("not faster here", "本机上没有变快"),
    "speed.same.slower": ("slower here at reading", "本机上读入更慢"),
    "speed.slower.same": ("slower here at writing", "本机上生成更慢"),
    "speed.slower.slower": ("slower here, writing and reading", "本机上生成与读入都更慢"),
    "quality.better": ("predicts better (bits per byte {bpb})", "预测更好（每字节比特数 {bpb}）"),
    "quality.same": ("predicts as well (bits per byte {bpb})", "预测相当（每字节比特数 {bpb}）"),
    "quality.worse": ("predicts worse (bits per byte {bpb})", "预测变差（每字节比特数 {bpb}）"),
    "quality.unclear": (
        "too little text to tell whether it predicts as well (bits per byte {bpb})",
        "文本太少，无法判断预测是否相当（每字节比特数 {bpb}）",
    ),
    "quality.lost": (
        "predicts worse than counting tokens would (bits per byte {bpb})",
        "预测还不如按词频猜测（每字节比特数 {bpb}）",
    ),
    "worth.yes": ("Worth it.", "值得。"),
    "worth.trade-off": ("A trade-off: state a goal to have it judged.", "有得有失：请给出目标以便判定。"),
    "worth.no": ("Not worth it.", "不值得。"),
    "goals.met": ("Goals met.", "目标达成。"),
    "goals.missed": ("Goal missed: {goals}.", "未达目标：{goals}。"),
    "goals.unsure": ("Not certain: {goals}.", "尚不确定：{goals}。"),
    "compress.headline": ("The model now takes {size}× of its bytes", "模型现在只占原来的 {size}×"),
    "compress.plain": ("{tensors} weight matrices were compressed", "压缩了 {tensors} 个权重矩阵"),
    "compress.cost": (
        "What it costs in quality is measured by `excise compare`.",
        "质量上的代价由 `excise compare` 测量。",
    ),
    "run.headline": ("{count} stages, done", "共 {count} 个阶段，已完成"),
    "gather.line": ("{records} texts, {size}", "{records} 篇文本，{size}"),
    "split.line": ("{train} records to learn from, {heldout} held out", "{train} 条用于学习，{heldout} 条留出"),
    "pretrain.line": (
        "{parameters} parameters, loss {first} → {last} nats per token",
        "{parameters} 个参数，损失 {first} → {last} 奈特/词元",
    ),
    # Headings
    "steps": ("What was done", "做了什么"),
    "warnings": ("Before you believe these numbers", "使用这些数字之前请注意"),
    "before_after": ("Before and after", "前后对照"),
    "goals": ("Goals", "目标"),
    "sizes": ("Size", "大小"),
    "speed": ("Speed", "速度"),
    "worst_layers": ("The weights that changed most", "变化最大的权重"),
    "slices": ("Where it changed", "变化出现在哪里"),
    "worst": ("The texts that lost most", "损失最大的文本"),
    "removed": ("What went", "删除了什么"),
    "sources": ("Where it came from", "来自哪里"),
    "similarity": ("How alike the removed texts were", "被删文本有多相似"),
    "pairs": ("Removed, and what stays instead", "删除的记录与保留的记录"),
    "more_pairs": ("{count} more", "另外 {count} 对"),
    "layers": ("Layer by layer", "逐层情况"),
    "how": ("How this was measured", "测量方法"),
    "done_how": ("How this was done", "处理方法"),
    "json": ("All numbers, as JSON", "全部数据（JSON）"),
    # Columns
    "step": ("step", "步骤"),
    "result": ("what came of it", "结果"),
    "took": ("took", "用时"),
    "before": ("before", "之前"),
    "after": ("after", "之后"),
    "change": ("change", "变化"),
    "interval": ("95 % interval", "95 % 区间"),
    "goal": ("goal", "目标"),
    "measured": ("measured", "实测"),
    "outcome": ("outcome", "结果"),
    "finder": ("found by", "发现方式"),
    "rejected": ("could not be read", "无法读取"),
    "records": ("records", "记录数"),
    "bytes": ("bytes", "字节"),
    "source": ("file", "文件"),
    "layer": ("weight", "权重"),
    "shape": ("shape", "形状"),
    "zeros": ("removed", "剪去"),
    "bits": ("bits", "比特"),
    "error": ("output error", "输出误差"),
    "slice": ("text", "文本"),
    "tokens": ("tokens", "词元数"),
    "nats_before": ("loss before", "之前损失"),
    "nats_after": ("loss after", "之后损失"),
    "met": ("met", "达成"),
    "not met": ("not met", "未达成"),
    "undecided": ("undecided", "未定"),
    "gone": ("removed", "删除"),
    "stays": ("stays", "保留"),
    # Captions: one plain line to each figure
    "caption.interval": (
        "Where the interval of a change includes 0 %, chance could explain it.",
        "若变化的区间包含 0 %，则可能只是偶然。",
    ),
    "caption.goals": (
        "Undecided: the 95 % interval reaches over the limit, or there is too little text for one; "
        "the measured value itself decides the exit code.",
        "未定：95 % 区间跨越了界限，或文本太少而没有区间；退出码由实测值决定。",
    ),
    "caption.sizes": ("Pale: before. Strong: after.", "浅色为之前，深色为之后。"),
    "caption.speed": (
        "Each dot is one round, both models in turn; the bar ends at the median, the band is the middle half. "
        "Left: milliseconds to write a token, less is better. Right: tokens read in a second, more is better.",
        "每个点是一轮测量，两个模型轮流进行；条形止于中位数，色带为中间一半。"
        "左：生成一个词元的毫秒数，越少越好；右：每秒读入的词元数，越多越好。",
    ),
    "caption.slices": ("Mean loss per token in nats; lower is better.", "每词元平均损失（奈特），越低越好。"),
    "caption.worst": ("Loss per token in nats, before and after.", "每词元损失（奈特），之前与之后。"),
    "caption.removed": (
        "exact: the same text, byte for byte. normalised: the same but for case, width and white space. "
        "near: most word sequences in common.",
        "exact：逐字节相同；normalised：仅大小写、全半角、空白不同；near：大部分词序列相同。",
    ),
    "caption.sources": ("Pale: records before. Strong: records that stay.", "浅色为之前的记录数，深色为保留的记录数。"),
    "caption.similarity": (
        "Jaccard similarity of 5-word sequences, of each near duplicate with the record that stays; 1 = same.",
        "每条近似重复与其保留记录之间 5 词序列的 Jaccard 相似度；1 表示相同。",
    ),
    "caption.layers": (
        "Relative output error: how much of a layer's output changed on calibration text, 0 = nothing, 1 = all. "
        "From the first block to the last; logarithmic.",
        "相对输出误差：在校准文本上某层输出改变了多少，0 表示不变，1 表示全变。从第一块到最后一块；对数坐标。",
    ),
    "caption.pairs": ("Words that differ are marked.", "不同的词已标出。"),
    # Slices
    "slice.rare_tokens": ("rarest tokens, a tenth of the text", "最罕见的词元（占文本十分之一）"),
    "slice.short_documents": ("shortest quarter of the documents", "最短的四分之一文档"),
    "slice.long_documents": ("longest quarter of the documents", "最长的四分之一文档"),
    "slice.non_ascii": ("documents with 1 % or more of non-ASCII characters", "非 ASCII 字符占 1 % 以上的文档"),
    # How
    "how.command": ("command", "命令"),
    "how.machine": ("machine", "机器"),
    "how.text": ("held-out text", "留出文本"),
    "how.intervals": ("intervals", "区间"),
    "how.speed": ("timing", "计时"),
    "how.calibrated": ("calibrated on", "校准数据"),
    "how.calibrated.text": ("{windows} windows, {tokens} tokens", "{windows} 个窗口，{tokens} 词元"),
    "how.untouched": ("left as they were", "保持不变"),
    "how.untouched.text": ("{count} tensors: {roles}", "{count} 个张量：{roles}"),
    "how.overlap": ("calibration text", "校准文本"),
    "how.versions": ("versions", "版本"),
    "how.settings": ("settings", "设置"),
    "how.seconds": ("took", "用时"),
    "how.price": ("price of restoring", "还原的代价"),
    "how.machine.text": (
        "{cpu}, {cores} cores, {threads} threads; load {load} when measured",
        "{cpu}，{cores} 核，{threads} 线程；测量时负载 {load}",
    ),
    "how.text.text": (
        "{documents} documents, {windows} of {available} windows of {window} tokens, {predicted} predicted tokens",
        "{documents} 篇文档，{available} 个窗口中的 {windows} 个，每窗 {window} 词元，共预测 {predicted} 词元",
    ),
    "how.intervals.text": (
        "quality: paired bootstrap over {unit}, {resamples} draws; speed: order of the rounds",
        "质量：按{unit}配对自助法，抽样 {resamples} 次；速度：按各轮次序",
    ),
    "unit.documents": ("documents", "文档"),
    "unit.windows": ("windows", "窗口"),
    "how.speed.text": (
        "{rounds} rounds, both models in turn, after one warm-up; a prompt of {prefill} tokens read, "
        "{decode} tokens written, batch 1",
        "两个模型轮流测 {rounds} 轮，预热一轮；读入 {prefill} 词元，生成 {decode} 词元，批大小 1",
    ),
}


def both(english: Any, chinese: Any) -> Markup:
    """Both languages; the page hides one."""
    return Markup('<span lang="en">{}</span><span lang="zh">{}</span>').format(english, chinese)


def word(key: str, **fields: Any) -> Markup:
    """A text by its key, in both languages; fields are escaped, and may be texts in both languages themselves."""
    return both(*(_filled(text, fields, side) for side, text in enumerate(WORDS.get(key, (key, key)))))


def english(key: str, **fields: Any) -> str:
    """A text by its key, plain, for the terminal and the JSON."""
    return WORDS[key][0].format(**fields)


def _filled(text: str, fields: dict[str, Any], side: int) -> Markup:
    chosen = {name: value[side] if isinstance(value, tuple) else value for name, value in fields.items()}
    chosen = {name: visible(value) if type(value) is str else value for name, value in chosen.items()}
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text)))).format(**chosen)
