"""The paper's tables as data, the runner that computes their rows, and the verdicts on their claims (§4.4-4.5)."""
