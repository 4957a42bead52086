"""What the files of a run must hold: history.csv and signals.json, checked whole before anything is made of them."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from minidl.training.schema import check, number, number_or_null, positive, share, share_or_null, text, whole

History = list[dict[str, float]]
ROW = {
    "epoch": whole, "loss": number, "accuracy?": share, "validation_loss?": number, "validation_accuracy?": share,
    "learning_rate?": positive, "seconds?": positive,
}  # fmt: skip
LAYER = {
    "name": text, "mean": number_or_null, "deviation": number_or_null, "signal": number_or_null, "dead": share_or_null,
    "magnitudes": [whole], "gradient": number_or_null, "gradient_magnitudes": [whole],
}  # fmt: skip
RECORD = {
    "step": whole, "epoch": whole, "loss": number_or_null, "input_signal": number_or_null, "layers": [LAYER],
    "parameters": [{"name": text, "weight": number_or_null, "gradient": number_or_null}],
}  # fmt: skip


def check_history(rows: list[dict[str, Any]]) -> None:
    """ValueError unless these are the rows of a run: epochs from 1 on, with the same figures for each."""
    for k, row in enumerate(rows, start=1):
        whole_epoch = row | {"epoch": int(row["epoch"]) if row.get("epoch") == k else None}
        check(whole_epoch, ROW, f"row {k}")
        if row.keys() != rows[0].keys() or ("validation_loss" in row) != ("validation_accuracy" in row):
            raise ValueError(f"expected the same columns in each row, got {', '.join(row)}")


def check_signals(document: Any) -> list[dict[str, Any]]:
    """The records inside; ValueError unless they are those of a run, of the same layers each, and fit their digest."""
    check(document, {"records": [RECORD], "sha256?": text}, "")
    records: list[dict[str, Any]] = document["records"]
    if "sha256" in document and document["sha256"] != digest(records):
        raise ValueError("the numbers do not fit their digest: the file is damaged or has been edited")
    shapes = [[(layer["name"], len(layer["magnitudes"]), len(layer["gradient_magnitudes"])) for layer in one["layers"]]
              for one in records]  # fmt: skip
    if any(shape != shapes[0] for shape in shapes):
        raise ValueError("expected the same layers in each record")
    return records


def digest(records: list[dict[str, Any]]) -> str:
    """SHA-256 of the records as JSON."""
    return hashlib.sha256(json.dumps(records, sort_keys=True, allow_nan=False).encode()).hexdigest()
