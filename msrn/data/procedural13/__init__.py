"""Generated shapes of the paper's thirteen categories."""
