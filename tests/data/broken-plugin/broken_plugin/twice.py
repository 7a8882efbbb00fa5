"""A plugin that gives one name twice, and another once."""

from kadapter import hookimpl


class First:
    """Stands for a task."""

    name = "twice"


class Second:
    """Stands for another task of the same name."""

    name = "twice"


class Third:
    """Stands for a task with a name of its own."""

    name = "once"


@hookimpl
def register_tasks() -> list[type]:
    """Give three tasks under two names."""
    return [First, Second, Third]
