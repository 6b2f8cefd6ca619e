"""Everything that is written to disk, each file whole or not at all."""
