"""Evidence of a cleaning with every part there is, made by hand."""

from evidence_samples import CLEAN


def _member(name, finder, redundancy, reason, text):
    return {
        "id": name,
        "finder": finder,
        "redundancy": redundancy,
        "reason": reason,
        "text": text,
        "characters": len(text),
    }


_LONG = "The committee met on Tuesday to consider the report, and adopted it after a short debate. " * 8

CLEANING = {
    **CLEAN,
    "settings": {
        "finders": ["exact", "normalised", "near", "contaminated", "quality", "labels", "outliers", "pii"],
        "settings": {"near": {"threshold": 0.8}, "labels": {"method": "both"}},
        "actions": {"exact": "drop", "near": "drop", "labels": "relabel", "pii": "mask"},
        "keep": "longest",
        "restore": "bytes",
    },
    "before": {"records": 5574, "bytes": 480130, "sources": {"sms/train.jsonl": 4000, "短信/第一批.jsonl": 1574}},
    "after": {"records": 4871, "bytes": 421022, "sources": {"sms/train.jsonl": 3387, "短信/第一批.jsonl": 1484}},
    "removed": {
        "exact": 403,
        "normalised": 12,
        "near": 67,
        "contaminated": 9,
        "quality": 168,
        "labels": 0,
        "outliers": 41,
        "pii": 0,
    },
    "found": {
        "exact": 410,
        "normalised": 14,
        "near": 80,
        "contaminated": 9,
        "quality": 210,
        "labels": 31,
        "outliers": 55,
        "pii": 88,
    },
    "changed": {"labels": 31, "pii": 88},
    "changed_records": 117,
    "alone": {
        "exact": 371,
        "normalised": 12,
        "near": 61,
        "contaminated": 7,
        "quality": 154,
        "labels": 18,
        "outliers": 30,
        "pii": 81,
    },
    "rejected": 3,
    "warnings": [
        "sms/train.jsonl loses 2,213 of 4,000 records (55.3 %).",
        "Removed records whose label is not that of the record that stays: 5; the ledger names both.",
    ],
    "overlaps": [
        {
            "finders": ["exact", "quality"],
            "records": 31,
            "examples": {
                "both": ["sms/train.jsonl#9", "sms/train.jsonl#70"],
                "first": ["sms/train.jsonl#12"],
                "second": ["短信/第一批.jsonl#5"],
            },
        },
        {
            "finders": ["labels", "outliers"],
            "records": 9,
            "examples": {
                "both": ["sms/train.jsonl#501"],
                "first": ["sms/train.jsonl#41"],
                "second": ["sms/train.jsonl#88", "短信/第一批.jsonl#6"],
            },
        },
        {
            "finders": ["near", "labels"],
            "records": 0,
            "examples": {"both": [], "first": ["sms/train.jsonl#17"], "second": ["sms/train.jsonl#41"]},
        },
    ],
    "clusters": [
        {
            "anchor": "sms/train.jsonl#3",
            "records": 9,
            "lowest": 0.86,
            "shown_for": "largest",
            "label": "spam",
            "start": 0,
            "text": "<script>alert('x')</script> URGENT! You have won a 5,000 pound prize, call 09061 now & claim.",
            "characters": 95,
            "members": [
                _member(
                    "sms/train.jsonl#17",
                    "near",
                    0.93,
                    "shares 93 % of the 5-word sequences of both with sms/train.jsonl#3",
                    "<script>alert('x')</script> URGENT! You have won a 2,000 pound prize, call 09061 now & claim.",
                ),
                _member(
                    "sms/train.jsonl#18",
                    "near",
                    0.86,
                    "shares 86 % of the 5-word sequences of both with sms/train.jsonl#3",
                    "<script>alert('x')</script> URGENT! You have won a 5,000 pound prize, ring 09061 today & claim.",
                ),
                _member(
                    "sms/train.jsonl#44",
                    "exact",
                    1.0,
                    "has the same text as sms/train.jsonl#3",
                    "<script>alert('x')</script> URGENT! You have won a 5,000 pound prize, call 09061 now & claim.",
                ),
            ],
            "more": 5,
        },
        {
            "anchor": "短信/第一批.jsonl#2",
            "records": 2,
            "lowest": 0.81,
            "shown_for": "doubtful",
            "label": None,
            "start": 0,
            "text": "今天下午四点在会议室开会，请大家务必准时参加。",
            "characters": 23,
            "members": [
                _member(
                    "短信/第一批.jsonl#8",
                    "near",
                    0.81,
                    "shares 81 % of the 5-word sequences of both with 短信/第一批.jsonl#2",
                    "今天下午三点在会议室开会，请大家准时参加。",
                ),
            ],
            "more": 0,
        },
        {
            "anchor": "sms/train.jsonl#900",
            "records": 2,
            "lowest": 0.83,
            "shown_for": "doubtful",
            "label": None,
            "start": 0,
            "text": _LONG + "Members of the \x1b[31mopposition\u202e abstained.",
            "characters": 12_400,
            "members": [
                _member(
                    "sms/train.jsonl#901",
                    "near",
                    0.83,
                    "shares 83 % of the 5-word sequences of both with sms/train.jsonl#900",
                    _LONG + "Members of the government were absent.",
                ),
            ],
            "more": 0,
        },
    ],
    "labels": [
        {
            "id": "sms/train.jsonl#41",
            "given": "ham",
            "suggested": "spam",
            "redundancy": 0.97,
            "reason": "labelled ham, but the model, which has not seen it, gives that 3 % and spam 97 %",
            "text": "WINNER!! As a valued network customer you have been selected to receive a £900 prize reward!",
            "characters": 92,
            "action": "relabel",
            "probabilities": {"spam": 0.97, "ham": 0.03},
        },
        {
            "id": "短信/第一批.jsonl#77",
            "given": "spam",
            "suggested": "ham",
            "redundancy": 0.88,
            "reason": "labelled spam, but the model, which has not seen it, gives that 12 % and ham 88 %",
            "text": "妈，我今晚加班，不用等我吃饭了。",
            "characters": 16,
            "action": "relabel",
            "probabilities": {"ham": 0.88, "spam": 0.12},
        },
    ],
    "label_noise": {"labels": ["ham", "spam"], "given": [4827, 747], "counts": [[4809, 18], [13, 734]]},
    "values": [
        {
            "id": "sms/train.jsonl#88",
            "given": 12.0,
            "expected": 3.1,
            "redundancy": 0.99,
            "text": "a short one",
            "characters": 11,
        },
    ],
    "samples": {
        "quality": [
            {
                "id": "sms/train.jsonl#601",
                "redundancy": 1.0,
                "reason": "34 % of its characters are in lines that repeat, more than 30 % (Gopher)",
                "text": "click here\nclick here\nclick here\nbye",
                "characters": 36,
                "start": 0,
                "spans": [],
                "action": "drop",
            },
        ],
        "pii": [
            {
                "id": "sms/train.jsonl#31",
                "redundancy": 1.0,
                "reason": "an e-mail address",
                "text": "write to anna@example.org or call, please",
                "characters": 41,
                "start": 0,
                "spans": [[9, 25, "<EMAIL>"]],
                "action": "mask",
            },
        ],
    },
    "distributions": {
        "near": {
            "finder": "near",
            "label": "Jaccard similarity to the record that stays",
            "edges": [0.8, 0.85, 0.9, 0.95, 1.0],
            "counts": [13, 20, 13, 34],
            "threshold": [None, 0.8],
            "beyond": 80,
        },
        "quality.words": {
            "finder": "quality",
            "label": "words",
            "edges": [0, 10, 20, 30, 40, 50],
            "counts": [210, 1400, 2600, 1200, 164],
            "threshold": [10, None],
            "beyond": 210,
        },
        "outliers": {
            "finder": "outliers",
            "label": "mean distance to the 10 nearest records",
            "edges": [i / 20 for i in range(21)],
            "counts": [0, 4, 30, 210, 800, 1300, 1200, 900, 500, 300, 120, 80, 40, 30, 20, 15, 10, 5, 5, 5],
            "threshold": [None, 0.65],
            "beyond": 55,
        },
        "perplexity": {
            "finder": "perplexity",
            "label": "perplexity (log10)",
            "edges": [0, 1, 2, 3, 4],
            "counts": [2, 1000, 4000, 572],
            "threshold": [0.5, 3.4],
            "beyond": 12,
        },
    },
    "shares": {
        "language": [{"name": "en", "records": 4100, "kept": True}, {"name": "fr", "records": 61, "kept": False}]
    },
    "sources": [
        {"source": "sms/train.jsonl", "records": 4000, "removed": 613, "changed": 100, "rejected": 3},
        {"source": "短信/第一批.jsonl", "records": 1574, "removed": 90, "changed": 17, "rejected": 0},
    ],
    "contamination": {
        "items": 1319,
        "touched": 9,
        "examples": [
            {
                "id": "gsm8k/test.jsonl#4",
                "source": "gsm8k/test.jsonl",
                "matched": 0.91,
                "longest": 41,
                "records": 2,
                "text": "Natalia sold clips to 48 of her friends in April, and then she sold half as many clips in May.",
                "characters": 94,
                "spans": [[0, 60]],
                "example": "sms/train.jsonl#2001",
                "example_text": "Q: Natalia sold clips to 48 of her friends in April, and then she sold 24.",
            }
        ],
    },
    "weights": {
        "records": 400,
        "lowest": 0.05,
        "mean": 0.93,
        "effective_records": 4700.5,
        "edges": [0, 0.25, 0.5, 0.75, 1.0],
        "counts": [60, 90, 120, 130],
    },
    "reviewed": [{"by": "review.csv", "decisions": {"keep": 4, "drop": 2, "relabel": 1}}],
}
