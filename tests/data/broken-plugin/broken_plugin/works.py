"""A plugin that works."""

from kadapter import hookimpl


class Works:
    """Stands for a type of adapter."""

    name = "works"


@hookimpl
def register_adapter_types() -> list[type[Works]]:
    """Give the one type."""
    return [Works]
