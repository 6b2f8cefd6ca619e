"""Shares of a folder of photographs for training, validation and testing, when its owner has not sorted them.

By the digests of their names, so that a new photograph moves no other: every tenth for validation, every fifth for
testing. Of a few photographs there would often be none for validation, or a category would have none for training; then
the one with the lowest digest is moved there.
"""

import hashlib
import os
from pathlib import Path

SPLITS = ("train", "val", "test")
TENTHS = {"val": (0,), "test": (1, 2)}  # the rest are for training


def split_files(files: dict[str, list[Path]]) -> dict[str, dict[str, list[Path]]]:
    """For each split the files of each category, in the order given. Three files of one category fill every split."""
    digest = {path: _digest(f"{category}/{path.name}") for category, paths in files.items() for path in paths}
    split_of = {path: _split_of(number) for path, number in digest.items()}

    def count(split: str, category: str) -> int:
        return sum(split_of[path] == split for path in files[category])

    for category, paths in files.items():
        if paths and not count("train", category):
            split_of[min(paths, key=digest.__getitem__)] = "train"
    for split, other in (("test", "val"), ("val", "test")):
        if split in split_of.values():
            continue
        largest = max(files, key=lambda category: count("train", category))
        spare = [path for path in files[largest] if split_of[path] == "train"]
        if len(spare) < 2:
            spare = [path for path in split_of if split_of[path] == other]
        if len(spare) > 1:
            split_of[min(spare, key=digest.__getitem__)] = split
    return {
        split: {category: [path for path in paths if split_of[path] == split] for category, paths in files.items()}
        for split in SPLITS
    }


def _digest(name: str) -> int:
    return int.from_bytes(hashlib.sha256(os.fsencode(name)).digest()[:4], "big")


def _split_of(digest: int) -> str:
    return next((split for split, tenths in TENTHS.items() if digest % 10 in tenths), "train")
