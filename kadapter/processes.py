"""Several processes that train one model (torchrun, accelerate launch): which of them writes and speaks."""

from __future__ import annotations

import os

from kadapter.errors import ConfigError

_SHARDING = {"ACCELERATE_USE_FSDP": "FSDP", "ACCELERATE_USE_DEEPSPEED": "DeepSpeed"}
"""What accelerate sets when it starts processes -> what the model is cut up by."""


def how_many() -> int:
    """Give the number of processes that train."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def is_first() -> bool:
    """Whether this is the first of the processes, or the only one."""
    return how_many() == 1 or int(os.environ.get("RANK", "0")) == 0


def check_whole() -> None:
    """Make sure that every process holds the whole model.

    Raises:
        ConfigError: it would be cut into shards, which are no adapter that could be saved.
    """
    for switch, name in _SHARDING.items():
        if os.environ.get(switch, "").lower() in ("1", "true", "yes"):
            raise ConfigError(
                f"{name} would cut the adapters into shards, which cannot be saved as adapters; start the processes "
                f"with torchrun, or with accelerate launch and no {name} in its configuration"
            )
