"""Digest of the package's own code, by which results know whether they are still what the code would make.

Docstrings and comments do not enter, so explaining the code better costs no training.
"""

import ast
import functools
import hashlib
from pathlib import Path


@functools.cache
def digest(entries: tuple[str, ...]) -> str:
    """Of files and folders of the package, twelve hexadecimal digits."""
    package = Path(__file__).parents[1]
    digest = hashlib.sha256()
    for entry in entries:
        path = package / entry
        for file in sorted(path.glob("*.py")) if path.is_dir() else [path]:
            digest.update(f"{file.relative_to(package)}\n{_without_docstrings(file)}\n".encode())
    return digest.hexdigest()[:12]


def _without_docstrings(file: Path) -> str:
    tree = ast.parse(file.read_text())
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [child for child in body if not _is_text(child)] or [ast.Pass()]
    return ast.unparse(tree)


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
