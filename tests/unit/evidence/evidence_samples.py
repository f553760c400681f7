"""Evidence of every kind, made by hand."""

CLEAN = {
    "schema_version": 1,
    "kind": "clean",
    "status": "done",
    "settings": {"finders": ["exact", "normalised", "near"], "threshold": 0.8, "keep": "first", "restore": "bytes"},
    "before": {"records": 5574, "bytes": 480130, "sources": {"sms/train.jsonl": 4000, "短信/第一批.jsonl": 1574}},
    "after": {"records": 5092, "bytes": 441022, "sources": {"sms/train.jsonl": 3600, "短信/第一批.jsonl": 1492}},
    "removed": {"exact": 403, "normalised": 12, "near": 67},
    "warnings": ["Source sms/train.jsonl loses 10 % of its records."],
    "similarities": [0.81, 0.83, 0.84, 0.9, 0.9, 0.93, 0.95, 0.97, 1.0, 1.0],
    "pairs": [
        {
            "id": "sms/train.jsonl#17",
            "partner": "sms/train.jsonl#3",
            "redundancy": 0.93,
            "finder": "near",
            "reason": "shares 93 % of its 5-word sequences with sms/train.jsonl#3",
            "text": "<script>alert('x')</script> URGENT! You have won a 2,000 pound prize, call 09061 now & claim.",
            "partner_text": "<script>alert('x')</script> URGENT! You have won a 5,000 pound prize, call 09061 now & claim.",
        },
        {
            "id": "短信/第一批.jsonl#8",
            "partner": "短信/第一批.jsonl#2",
            "redundancy": 0.85,
            "finder": "near",
            "reason": "shares 85 % of its 5-word sequences with 短信/第一批.jsonl#2",
            "text": "今天下午三点在会议室开会，请大家准时参加。",
            "partner_text": "今天下午四点在会议室开会，请大家务必准时参加。",
        },
    ],
    "price": {"ledger_bytes": 39108},
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

OTHERS = [
    {"kind": "gather", "status": "done", "files": {"licences": {"records": 120, "bytes": 900_000}}},
    {"kind": "split", "status": "done", "records": {"train": 4900, "heldout": 192}},
    {"kind": "pretrain", "status": "done", "parameters": 3_000_000, "first_loss_nats": 7.6, "last_loss_nats": 4.1},
]
