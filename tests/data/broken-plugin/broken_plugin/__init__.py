"""Four plugins, of which one works. The registry reads only names, so the things here have no more."""
