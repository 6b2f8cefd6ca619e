"""Neighbours (§3.3): features (Eqs 28-30), candidates (27, 31-32) and selection (35-38)."""
