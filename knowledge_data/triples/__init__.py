"""From triples to rows: split without leaks, denied as well as stated, and said in sentences."""
