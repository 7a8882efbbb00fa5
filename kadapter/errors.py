"""What can go wrong, as a tree.

    KadapterError
    ├── BackboneError       (ValueError)    the backbone has no such layer, width or state, or is another one
    ├── ConfigError         (ValueError)    a config, a recipe or an option cannot be what it is
    ├── ConflictError       (LookupError)   two plugins give the same name
    ├── PluginError         (RuntimeError)  a plugin failed to load, and `KADAPTER_STRICT=1` asked to know
    ├── StorageError        (OSError)       a saved adapter, model or run cannot be read or written
    └── UnknownNameError    (LookupError)   nobody registered that name

Bad data is a `knowledge_data.DataError`. Every message says what was asked, what there is, and what to do.
"""


def printable(text: object, limit: int | None = None) -> str:
    """Give text for one line of a terminal, table or log: control characters are escaped, what is too long is cut."""
    said = str(text)
    line = "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in said[:limit])
    return line if limit is None or len(said) <= limit else f"{line}…"


class KadapterError(Exception):
    """The root: whatever kadapter raises on purpose is one of these."""

    def __str__(self) -> str:
        # LookupError children would otherwise quote their message as KeyError does. What files and plugins say of
        # themselves is part of messages.
        return printable(self.args[0], 4000) if self.args else ""


class BackboneError(KadapterError, ValueError):
    """The backbone has no such layer, width or state, or is not the one an adapter was trained on."""


class ConfigError(KadapterError, ValueError):
    """A config, a recipe or an option cannot be what it is."""


class ConflictError(KadapterError, LookupError):
    """Two plugins give the same name."""


class PluginError(KadapterError, RuntimeError):
    """A plugin failed to load, and `KADAPTER_STRICT=1` asked to know."""


class StorageError(KadapterError, OSError):
    """A saved adapter, model or run cannot be read or written."""


class UnknownNameError(KadapterError, LookupError):
    """Nobody registered that name."""
