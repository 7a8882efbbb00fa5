"""Speed and memory, each beside a baseline in the same run. A module here with a function `measure` is a benchmark."""
