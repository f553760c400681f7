"""Texts of the page of a cleaning, English and Chinese."""

CLEANING_WORDS: dict[str, tuple[str, str]] = {
    # The first sentence
    "clean.headline": (
        "{removed} of {records} records went ({share})",
        "{records} 条记录中删除了 {removed} 条（{share}）",
    ),
    "clean.headline.changed": (
        "{removed} of {records} records went ({share}), {changed} were changed",
        "{records} 条记录中删除了 {removed} 条（{share}），改动了 {changed} 条",
    ),
    "clean.headline.only_changed": (
        "{changed} of {records} records were changed, none went",
        "{records} 条记录中改动了 {changed} 条，没有删除",
    ),
    "clean.nothing": ("None of {records} records went", "{records} 条记录全部保留"),
    "clean.cost": (
        "What stays is as it was, byte for byte; all the rest is in the ledger and can be undone.",
        "保留的记录逐字节不变；其余都记在账本中，可以还原。",
    ),
    "clean.cost.content": (
        "What stays is as it was; all the rest is in the ledger and can be given back.",
        "保留的记录不变；其余都记在账本中，可以还原。",
    ),
    "clean.dry": ("Dry run: nothing was written.", "试运行：没有写入任何文件。"),
    # Headings
    "what_went": ("What went, and who found it", "删除了什么，由谁发现"),
    "agreement": ("Where finders agree", "各方法的一致与分歧"),
    "agreement.examples": ("Which records: examples", "举例"),
    "clusters": ("Records that repeat one another", "互相重复的记录"),
    "clusters.largest": ("The largest groups", "最大的组"),
    "clusters.doubtful": ("The most doubtful: nearest the threshold", "最可疑的：最接近阈值"),
    "labels": ("Labels that look wrong", "可能有误的标签"),
    "label_noise": ("Which label is taken for which", "标签混淆情况"),
    "values": ("Values that look wrong", "可能有误的数值"),
    "samples": ("What each finder saw", "各方法看到了什么"),
    "distributions": ("Scores and thresholds", "得分与阈值"),
    "contamination": ("Evaluation items found in the data", "数据中出现的评测题"),
    "weights": ("Weights", "权重"),
    "reviewed": ("What a person decided", "人工决定"),
    "next": ("Look further, undo", "进一步查看与还原"),
    # Columns
    "kept": ("kept as they were", "原样保留"),
    "changed": ("changed", "改动"),
    "unreadable": ("not readable", "无法读取"),
    "found": ("found", "发现"),
    "alone": ("only it found", "仅此方法发现"),
    "went": ("went", "删除"),
    "share": ("of all", "占比"),
    "both_found": ("both", "两者都发现"),
    "only": ("only {finder}", "仅 {finder}"),
    "given": ("given", "原标签"),
    "view": ("the model's view", "模型的判断"),
    "suggested": ("suggested", "建议"),
    "text": ("text", "文本"),
    "labelled": ("labelled ↓, likely →", "标为 ↓，可能是 →"),
    "value.given": ("given", "原值"),
    "value.expected": ("expected", "预期值"),
    "loses": ("went", "删除"),
    "decision": ("decision", "决定"),
    "count": ("records", "记录数"),
    "cluster.records": ("{count} records", "{count} 条记录"),
    "cluster.lowest": ("lowest similarity {similarity}", "最低相似度 {similarity}"),
    "cluster.label": ("labelled {label}", "标签 {label}"),
    "cluster.more": ("and {count} more", "另有 {count} 条"),
    "more_clusters": ("{count} more groups", "另外 {count} 组"),
    "more_rows": ("{count} more", "另外 {count} 条"),
    "characters": ("{count} characters", "{count} 个字符"),
    "from": ("from character {start} of {count}", "从第 {start} 个字符起，共 {count} 个"),
    "beyond": ("{count} beyond the threshold", "{count} 条超出阈值"),
    "item.matched": ("{share} of it matched, longest run {longest}", "匹配 {share}，最长连续 {longest}"),
    "item.records": ("in {count} records", "出现在 {count} 条记录中"),
    "item.here": ("evaluation item", "评测题"),
    "item.there": ("found in", "出现于"),
    "weights.told": (
        "{records} records weigh less than 1: from {lowest} up, {mean} in the mean of all. "
        "All together count as much as {effective} records of equal weight.",
        "{records} 条记录的权重小于 1：最低 {lowest}，全体平均 {mean}。总体相当于 {effective} 条等权记录。",
    ),
    "reviewed.told": ("{by}: {told}", "{by}：{told}"),
    # Captions
    "caption.what_went": (
        "A record may be found by several and goes once. Near and semantic duplicates are looked for among what the "
        "others leave; copies of one that goes for a near duplicate go with it, under that name.",
        "一条记录可能被多种方法发现，但只删除一次。近似与语义重复只在其他方法留下的记录中查找；"
        "若某条记录因近似重复被删，它的副本也一并删除并归入该方法。",
    ),
    "caption.agreement": (
        "Records that both found; the darker, the larger the part of the smaller of the two. In the diagonal: all "
        "that one found.",
        "两种方法都发现的记录数；颜色越深，占较小一方的比例越大。对角线为该方法发现的总数。",
    ),
    "caption.clusters": (
        "Left the record that stays. Marked is what the other lacks; ⋯ 480 ⋯ stands for so many characters that are "
        "the same.",
        "左侧为保留的记录。标出的是对方没有的部分；⋯ 480 ⋯ 表示省略了这么多相同的字符。",
    ),
    "caption.labels": (
        "The probabilities are from a model that has not seen the record. A suggestion is not a verdict: some are "
        "right as they stand.",
        "概率来自没有见过该记录的模型。建议并非定论：有些原标签是对的。",
    ),
    "caption.label_noise": (
        "Records by the label they have (row) and the one the model takes them for (column).",
        "按现有标签（行）和模型判断（列）统计的记录数。",
    ),
    "caption.distributions": (
        "The square root of the counts, so that a few show beside many. Strong: beyond the threshold (dashed).",
        "高度为数量的平方根，使少量记录也能看见。深色：超出阈值（虚线）。",
    ),
    "caption.contamination": (
        "Of {items} evaluation items, records hold {touched} for the most part. Matching text is marked.",
        "{items} 道评测题中，有 {touched} 道的大部分内容出现在数据里。相同的文字已标出。",
    ),
    "caption.samples": ("A few of each, spread over the data.", "各取几条，均匀取自全部数据。"),
    # Augmentation
    "augment.headline": (
        "{added} changed copies were added to {records} records",
        "为 {records} 条记录添加了 {added} 条改动过的副本",
    ),
    "augment.cost": (
        "What was there stays as it was, byte for byte; a copy is beside its parent, with its label.",
        "原有记录逐字节不变；副本与原记录在同一文件中，标签相同。",
    ),
    "added": ("What was added, by operation", "各操作添加的记录数"),
    "classes": ("Classes before and after", "各类别前后数量"),
    "class": ("class", "类别"),
    "copies": ("Records and their copies", "记录与副本"),
    "new": ("added", "新增"),
    "caption.copies": (
        "Left the record, right its copy. Words that differ are marked.",
        "左为原记录，右为副本。不同的词已标出。",
    ),
    "next.made": ("What a copy was made of, and how", "副本来自哪条记录，如何得来"),
    # What to do next
    "next.explain": ("Why a record went, beside the one that stays", "某条记录为何被删，与保留的记录对照"),
    "next.restore": ("The original back", "还原全部原始数据"),
    "next.only": ("Undo one finder, keep the work of the others", "只撤销一种方法，保留其余"),
    "next.review": ("Decide yourself: fill in the column, clean again", "自己决定：填写决定列，再清洗一次"),
    # Finders: one plain line each
    "finder.exact": ("the same text, byte for byte", "文本逐字节相同"),
    "finder.normalised": ("the same but for case, width and white space", "仅大小写、全半角、空白不同"),
    "finder.near": ("most word sequences in common", "大部分词序列相同"),
    "finder.semantic": ("the same meaning in other words", "意思相同，措辞不同"),
    "finder.contaminated": ("holds text of an evaluation set", "含有评测集的文字"),
    "finder.lines": ("lines that many records share", "许多记录共有的行"),
    "finder.substrings": ("long passages that come again", "重复出现的长片段"),
    "finder.quality": ("breaks a rule of a published recipe", "违反公开配方的质量规则"),
    "finder.language": ("another language than wanted", "不是所要的语言"),
    "finder.perplexity": ("unlike the rest, character by character", "与其余文本的用字差异大"),
    "finder.unlike": ("unlike the target", "与目标语料不相似"),
    "finder.outliers": ("far from all others", "远离其他所有记录"),
    "finder.labels": ("the label looks wrong", "标签可能有误"),
    "finder.values": ("the value looks wrong", "数值可能有误"),
    "finder.pii": ("addresses, numbers and names of persons", "个人地址、号码与姓名"),
    "finder.review": ("a person said so", "人工决定"),
    # What a person can decide
    "action.keep": ("keep", "保留"),
    "action.drop": ("drop", "删除"),
    "action.cut": ("cut", "剪去"),
    "action.mask": ("mask", "遮盖"),
    "action.relabel": ("relabel", "改标"),
    "action.weigh": ("weigh", "加权"),
    "action.note": ("note", "备注"),
}
