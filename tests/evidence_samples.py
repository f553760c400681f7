"""Evidence of every kind, made by hand."""

CLEAN = {
    "schema_version": 1,
    "kind": "clean",
    "status": "done",
    "settings": {"finders": ["exact", "normalised", "near"], "threshold": 0.8, "keep": "first", "restore": "bytes"},
    "before": {"records": 5574, "bytes": 480130, "sources": {"sms/train.jsonl": 4000, "短信/第一批.jsonl": 1574}},
    "after": {"records": 5092, "bytes": 441022, "sources": {"sms/train.jsonl": 3600, "短信/第一批.jsonl": 1492}},
    "removed": {"exact": 403, "normalised": 12, "near": 67},
    "rejected": 0,
    "warnings": ["Source sms/train.jsonl loses 10 % of its records."],
    "similarities": {"edges": [0.8, 0.85, 0.9, 0.95, 1.0], "counts": [3, 0, 3, 4]},
    "pairs": [
        {
            "id": "sms/train.jsonl#17",
            "partner": "sms/train.jsonl#3",
            "redundancy": 0.93,
            "finder": "near",
            "reason": "shares 93 % of the 5-word sequences of both with sms/train.jsonl#3",
            "text": "<script>alert('x')</script> URGENT! You have won a 2,000 pound prize, call 09061 now & claim.",
            "partner_text": "<script>alert('x')</script> URGENT! You have won a 5,000 pound prize, call 09061 now & claim.",
        },
        {
            "id": "短信/第一批.jsonl#8",
            "partner": "短信/第一批.jsonl#2",
            "redundancy": 0.85,
            "finder": "near",
            "reason": "shares 85 % of the 5-word sequences of both with 短信/第一批.jsonl#2",
            "text": "今天下午三点在会议室开会，请大家准时参加。",
            "partner_text": "今天下午四点在会议室开会，请大家务必准时参加。",
        },
    ],
    "price": {"originals_bytes": 39108, "by": {"cuts": 1, "original": 1}},
    "versions": {"excise": "0.1.0", "python": "3.11.2"},
    "seconds": 1.42,
}

COMPRESS = {
    "schema_version": 1,
    "kind": "compress",
    "status": "done",
    "settings": {"sparsity": 0.5, "pattern": "row", "bits": 4, "grid": "symmetric", "group": 128, "data": None},
    "before": {"bytes": 11809106, "tensor_bytes": 11540992, "parameters": 5770496, "nonzeros": 5770496},
    "after": {"bytes": 4205106, "tensor_bytes": 3934210, "parameters": 5770496, "nonzeros": 3409920},
    "layers": [
        {
            "name": f"model.layers.{block}.{part}.weight",
            "shape": [256, 256],
            "sparsity": 0.5,
            "bits": 4,
            "relative_output_error": 0.004 * (1 + block) * (3 if "down" in part else 1),
            "relative_weight_error": 0.1,
        }
        for block in range(6)
        for part in ("self_attn.q_proj", "self_attn.o_proj", "mlp.gate_proj", "mlp.down_proj")
    ],
    "warnings": [],
    "versions": {"excise": "0.1.0"},
    "seconds": 3.1,
}

AUGMENT = {
    "schema_version": 1,
    "kind": "augment",
    "status": "done",
    "settings": {"op": ["keyboard=0.05", "drop=0.1"], "copies": 1, "seed": 0},
    "before": {"records": 100, "bytes": 9000, "sources": {"a.jsonl": 100}},
    "after": {"records": 197, "sources": {"a.jsonl": 197}},
    "added": {"drop": 98, "keyboard": 99},
    "labels": [{"label": "体育", "before": 60, "after": 118}, {"label": "<b>", "before": 40, "after": 79}],
    "warnings": [],
    "pairs": [
        {
            "id": "a.jsonl#100",
            "partner": "a.jsonl#0",
            "finder": "keyboard",
            "reason": "keyboard=0.05",
            "text": "<script>won a price",
            "partner_text": "<script>won a prize",
        }
    ],
    "versions": {"excise": "0.1.0"},
    "seconds": 0.4,
}

OTHERS = [
    {"kind": "gather", "status": "done", "files": {"licences": {"records": 120, "bytes": 900_000}}},
    {"kind": "split", "status": "done", "records": {"train": 4900, "heldout": 192}},
    {"kind": "pretrain", "status": "done", "parameters": 3_000_000, "first_loss_nats": 7.6, "last_loss_nats": 4.1},
]

COMPARE = {
    "schema_version": 1,
    "kind": "compare",
    "status": "goal_missed",
    "before": {
        "name": "wikillama",
        "files": {
            "config.json": 719,
            "generation_config.json": 195,
            "model.safetensors": 11547040,
            "tokenizer.json": 262066,
            "tokenizer_config.json": 163,
        },
    },
    "after": {
        "name": "small",
        "files": {
            "config.json": 12270,
            "generation_config.json": 195,
            "model.safetensors": 3962320,
            "tokenizer.json": 262066,
            "tokenizer_config.json": 163,
        },
    },
    "measures": {
        "bytes": {"before": 11810183, "after": 4237014, "difference": -7573169, "ratio": 0.35876, "interval": None},
        "tensor_bytes": {
            "before": 11540992,
            "after": 3947008,
            "difference": -7593984,
            "ratio": 0.342,
            "interval": None,
        },
        "zstd_bytes": {"before": 9048236, "after": 3376847, "difference": -5671389, "ratio": 0.37321, "interval": None},
        "memory": {"before": 11541248, "after": 3947264, "difference": -7593984, "ratio": 0.34201, "interval": None},
        "parameters": {"before": 5770496, "after": 5770496, "difference": 0, "ratio": 1.0, "interval": None},
        "nonzeros": {"before": 5770496, "after": 3411200, "difference": -2359296, "ratio": 0.59115, "interval": None},
        "bits": {"before": 16.0, "after": 5.472, "difference": -10.528, "ratio": 0.342, "interval": None},
        "latency": {
            "before": 70.36,
            "after": 1471.3,
            "difference": 1400.9,
            "ratio": 11.891,
            "interval": {"after": [487.62, 1509.2], "difference": [405.25, 1457.2], "ratio": [5.9198, 29.01]},
        },
        "prefill": {
            "before": 2549.0,
            "after": 427.18,
            "difference": -2121.8,
            "ratio": 0.093707,
            "interval": {"after": [76.589, 769.82], "difference": [-2487.1, -1894.2], "ratio": [0.038861, 0.26835]},
        },
        "bpb": {
            "before": 1.7204,
            "after": 1.7669,
            "difference": 0.046451,
            "ratio": 1.027,
            "interval": {"after": [1.7256, 1.8025], "difference": [0.04441, 0.048845], "ratio": [1.0256, 1.0286]},
        },
        "perplexity": {
            "before": 53.629,
            "after": 59.717,
            "difference": 6.0875,
            "ratio": 1.1135,
            "interval": {"after": [54.72, 63.903], "difference": [5.5349, 6.6381], "ratio": [1.108, 1.1197]},
        },
        "loss": {
            "before": 3.9821,
            "after": 4.0896,
            "difference": 0.10752,
            "ratio": 1.027,
            "interval": {"after": [4.0022, 4.1574], "difference": [0.10259, 0.11307], "ratio": [1.0256, 1.0286]},
        },
        "kl": {
            "before": None,
            "after": 0.11085,
            "difference": None,
            "ratio": None,
            "interval": {"after": [0.10793, 0.11453]},
        },
        "top1": {
            "before": None,
            "after": 0.74544,
            "difference": None,
            "ratio": None,
            "interval": {"after": [0.7406, 0.75025]},
        },
    },
    "verdict": {
        "size": "smaller",
        "decode": "slower",
        "prefill": "slower",
        "quality": "worse",
        "worth": "trade-off",
        "sentence": "Smaller: 0.36× on disk; slower here, writing and reading; predicts worse (bits per "
        "byte +2.7 %). Goal missed: bpb<=1.02x.",
    },
    "goals": [
        {
            "goal": "bytes<=0.4x",
            "name": "bytes",
            "relative": True,
            "limit": 0.4,
            "measured": 0.35876,
            "interval": None,
            "outcome": "met",
            "missed": False,
        },
        {
            "goal": "bpb<=1.02x",
            "name": "bpb",
            "relative": True,
            "limit": 1.02,
            "measured": 1.027,
            "interval": [1.0256, 1.0286],
            "outcome": "not met",
            "missed": True,
        },
    ],
    "warnings": ["The machine was busy (load 7.73 on 2 cores): ratios of speed hold better than milliseconds."],
    "slices": [
        {"name": "rare_tokens", "tokens": 11975, "before": 5.8966, "after": 6.1295},
        {"name": "short_documents", "tokens": 5408, "before": 3.4712, "after": 3.601},
        {"name": "long_documents", "tokens": 84775, "before": 4.0867, "after": 4.1906},
        {"name": "non_ascii", "tokens": 2887, "before": 3.7281, "after": 3.8461},
    ],
    "worst": [
        {
            "id": "heldout.jsonl#14",
            "tokens": 200,
            "before": 3.3221,
            "after": 3.5842,
            "text": "<b>Weightlifting</b> & more",
        }
    ],
    "speed": {
        "latency": {
            "before": {
                "median": 70.36,
                "low": 56.602,
                "high": 103.59,
                "rounds": [50.841, 61.18, 70.36, 82.371, 52.024, 124.82, 127.34],
            },
            "after": {
                "median": 1471.3,
                "low": 507.18,
                "high": 1496.7,
                "rounds": [1891.4, 526.73, 1471.3, 487.62, 1509.2, 1484.2, 430.81],
            },
            "ratio": 11.891,
            "interval": {"after": [487.62, 1509.2], "difference": [405.25, 1457.2], "ratio": [5.9198, 29.01]},
        },
        "prefill": {
            "before": {
                "median": 2549.0,
                "low": 2000.5,
                "high": 2712.3,
                "rounds": [2030.3, 1337.7, 2868.7, 2555.9, 2549.0, 1970.8, 9944.0],
            },
            "after": {
                "median": 427.18,
                "low": 97.365,
                "high": 618.13,
                "rounds": [118.14, 427.18, 769.82, 68.761, 466.43, 76.589, 931.82],
            },
            "ratio": 0.093707,
            "interval": {"after": [76.589, 769.82], "difference": [-2487.1, -1894.2], "ratio": [0.038861, 0.26835]},
        },
        "settings": {
            "prefill_tokens": 256,
            "prompt_tokens": 32,
            "decode_tokens": 32,
            "rounds": 7,
            "warm_up_rounds": 1,
            "batch": 1,
        },
    },
    "text": {
        "documents": 171,
        "bytes": 401801,
        "tokens": 120326,
        "window_tokens": 256,
        "windows": 470,
        "windows_available": 470,
        "predicted_tokens": 119850,
        "unigram_nats": 6.8588,
        "resampled": "documents",
        "resamples": 2000,
        "level": 0.95,
        "sources": [
            {
                "name": "heldout.jsonl",
                "size_bytes": 417078,
                "fingerprint": "15cc892747be4ca796599378fceed27f",
                "records": 171,
                "view": "text",
            }
        ],
    },
    "overlap": {"calibration": "other files", "reason": "fingerprints differ; single records may still occur in both"},
    "machine": {"cpu": "a processor", "cores": 2, "threads": 2, "system": "Linux x86_64", "load_1min": 7.73},
    "versions": {
        "excise": "0.1.0",
        "python": "3.11.7",
        "torch": "2.13.0+cpu",
        "transformers": "5.23.0",
        "numpy": "2.4.6",
    },
    "settings": {"goal": ["bytes<=0.4x", "bpb<=1.02x"], "windows": None, "seed": 0, "text": None},
    "seconds": 503.32,
}
