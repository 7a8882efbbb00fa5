"""From rows to examples, with an account of what is left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from kadapter import Encoded

if TYPE_CHECKING:
    from datasets import Dataset

LOST = "lost"
"""A row that was encoded says here how much of it was cut off."""


def encode_rows(
    rows: Dataset,
    encode_row: Callable[[Mapping[str, Any]], dict[str, Any] | str],
    columns: Mapping[str, Any],
    lost: str = "",
) -> Encoded:
    """Encode row by row.

    Args:
        rows: what to encode.
        encode_row: gives the columns of an example and, under `LOST`, how much of it was cut off; or a text, the
            reason why the row is left out.
        columns: of the examples, with their types as `datasets.Features` has them.
        lost: says what was cut off, when something may be.
    """
    from datasets import Dataset, Features, Value

    if not len(rows):
        return Encoded(Dataset.from_dict({name: [] for name in columns}, Features({**columns})), Counter())

    def encoded(row: Mapping[str, Any]) -> dict[str, Any]:
        made = encode_row(row)
        return {**nothing, "reason": made} if isinstance(made, str) else {**nothing, **made}

    # `map` wants every column of every row, also of those that are filtered out next.
    nothing = {**dict.fromkeys(columns), LOST: 0, "reason": ""}
    features = Features({**columns, LOST: Value("int64"), "reason": Value("string")})
    every = rows.map(encoded, remove_columns=rows.column_names, features=features)
    kept = every.filter(lambda reason: not reason, input_columns="reason")
    skipped = Counter(reason for reason in every["reason"] if reason)
    return Encoded(kept.select_columns(list(columns)), skipped, +Counter({lost: sum(kept[LOST])}))
