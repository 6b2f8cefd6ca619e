"""Photographs of your own, a folder a category."""
