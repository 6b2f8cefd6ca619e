"""Neighbours (§3.3): features (Eqs 28-30), search (31), candidates (27, 32) and selection (35-38)."""
