"""A plugin with the name of one hook right and that of another wrong."""

from kadapter import hookimpl


class Misspelled:
    """Stands for a task, and for a composition."""

    name = "misspelled"


@hookimpl
def register_tasks() -> list[type[Misspelled]]:
    """Give a task, as a plugin may."""
    return [Misspelled]


@hookimpl
def register_composition() -> list[type[Misspelled]]:
    """Give a composition, under the name of no hook."""
    return [Misspelled]
