"""Training (§4.3): the loop, its two steps, its batches, and the store of runs."""
