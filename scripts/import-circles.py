#!/usr/bin/env python3
"""Usage: scripts/import-circles.py CRATE_FOLDER...

Fails when two Rust files of a crate import each other, directly or through other files. File A imports file B when A
names, in a `use` or in a path, an item that B defines. A name that a parent file only re-exports counts as an import
of the file that defines it. Modules under `#[cfg(test)]` are ignored.
"""

import os
import re
import sys
from pathlib import Path

TEXT = re.compile(r'//[^\n]*|/\*.*?\*/|b?r(#*)".*?"\1|b?"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])\'', re.DOTALL)
ATTRIBUTE = r"(?:#!?\[(?:[^\[\]]|\[[^\[\]]*\])*\]\s*)*"
MODULE = re.compile(rf"({ATTRIBUTE})(?:pub(?:\([^)]*\))?\s+)?mod\s+(\w+)\s*([;{{])")
USE = re.compile(rf"({ATTRIBUTE})(?:pub(?:\([^)]*\))?\s+)?use\s+([^;]+);")
ITEM = re.compile(r"\b(?:fn|struct|enum|trait|type|const|static|union|macro_rules!)\s+(?:mut\s+)?(\w+)")
PATH = re.compile(r"(?<![\w:$.])(?:\w+)(?:::\w+)+")
FILE_PATH = re.compile(r'#\[path\s*=\s*"([^"]+)"\]')
FILE = re.compile(r"#\[path = ([^\]]+)\]")
TEST = re.compile(r"cfg\((?:test|all\(test\b|doctest)")


class Module:
    """One module: its file, its child modules, the names that it imports, and the names that it defines."""

    def __init__(self, file, parent):
        self.file, self.parent = file, parent
        self.root = parent.root if parent else self
        self.children, self.imports, self.globs, self.defined, self.paths = {}, {}, [], set(), []


def block_end(text, start):
    """The index after the brace that closes the one at `start`."""
    depth = 0
    for brace in re.finditer("[{}]", text[start:]):
        depth += 1 if brace.group() == "{" else -1
        if depth == 0:
            return start + brace.end()
    return len(text)


def read_module(file, folder, parent, text=None):
    """Reads a module and its children. `folder` holds the files of its child modules."""
    module = Module(file, parent)
    if text is None:
        # The quotes of `#[path = "…"]` go first, so that its text stays when all other texts are removed.
        text = TEXT.sub(" ", FILE_PATH.sub(r"#[path = \1]", file.read_text()))
    rest, position = "", 0
    while found := MODULE.search(text, position):
        rest += text[position : found.start()]
        attributes, name, opening = found.groups()
        position = block_end(text, found.end() - 1) if opening == "{" else found.end()
        if TEST.search(attributes):
            continue
        if opening == "{":
            module.children[name] = read_module(file, folder / name, module, text[found.end() : position - 1])
        elif path := FILE.search(attributes):
            child = Path(os.path.normpath(file.parent / path.group(1)))
            module.children[name] = read_module(child, child.parent, module)
        else:
            for child in folder / f"{name}.rs", folder / name / "mod.rs":
                if child.exists():
                    module.children[name] = read_module(child, folder / name, module)
    rest += text[position:]
    for attributes, tree in USE.findall(rest):
        for path, name in () if TEST.search(attributes) else flatten(tree):
            if name == "*":
                module.globs.append(path[:-1])
            else:
                module.imports[name] = path
    rest = USE.sub(" ", rest)
    module.defined = set(ITEM.findall(rest))
    module.paths = [path.split("::") for path in PATH.findall(rest)]
    return module


def flatten(tree, prefix=()):
    """The paths of a use tree, each with the name that it brings into scope."""
    head, brace, inner = tree.strip().partition("{")
    if brace:
        prefix += tuple(part.strip() for part in head.split("::") if part.strip())
        depth, start, inner = 0, 0, inner.rstrip().removesuffix("}") + ","
        for index, letter in enumerate(inner):
            depth += {"{": 1, "}": -1}.get(letter, 0)
            if letter == "," and depth == 0:
                if inner[start:index].strip():
                    yield from flatten(inner[start:index], prefix)
                start = index + 1
        return
    path, _, alias = (part.strip() for part in tree.partition(" as "))
    parts = prefix + tuple(part.strip() for part in path.split("::") if part.strip())
    parts = parts[:-1] if parts[-1] == "self" else parts
    yield parts, alias or parts[-1]


def resolve(module, path, seen=()):
    """The module that a path leads to, and whether the path names the module itself; None outside the crate."""
    first, *rest = path
    if first in ("crate", "self", "super"):
        start = {"crate": module.root, "self": module, "super": module.parent}[first]
        return walk(start, rest, seen) if start else None
    return walk(module, path, seen) if first in module.children or first in module.imports else None


def walk(module, path, seen):
    if not path:
        return module, True
    first, *rest = path
    if first == "super" and module.parent:
        return walk(module.parent, rest, seen)
    if first in module.children:
        return walk(module.children[first], rest, seen)
    if first in module.imports and (module, first) not in seen:
        return resolve(module, [*module.imports[first], *rest], (*seen, (module, first)))
    for glob in () if first in module.defined else module.globs:
        target = resolve(module, glob, seen)
        if target and target[1] and first in target[0].defined | target[0].children.keys():
            return walk(target[0], path, seen)
    return module, False


def edges(module, graph):
    """Adds the files that a module and its children import. A bare `use` of a module is no import: its items are."""
    named = filter(None, (resolve(module, path) for path in (*module.imports.values(), *module.paths)))
    globs = filter(None, (resolve(module, path) for path in module.globs))
    files = {target.file for target, is_module in named if not is_module} | {target.file for target, _ in globs}
    graph.setdefault(module.file, set()).update(files - {module.file})
    for child in module.children.values():
        edges(child, graph)
    return graph


def circle_from(graph, start):
    """The shortest way from a file back to itself, if there is one."""
    ways = [[start]]
    for way in ways:
        for target in sorted(graph.get(way[-1], ())):
            if target == start:
                return way
            if not any(target in other for other in ways):
                ways.append([*way, target])
    return None


def main(crates):
    circles = set()
    for crate in map(Path, crates):
        for root in (file for name in ("lib", "main") if (file := crate / "src" / f"{name}.rs").exists()):
            graph = edges(read_module(root, crate / "src", None), {})
            for circle in filter(None, (circle_from(graph, file) for file in sorted(graph))):
                if frozenset(circle) not in circles:
                    circles.add(frozenset(circle))
                    print(f"{crate}: " + " -> ".join(os.path.relpath(file, crate) for file in [*circle, circle[0]]))
    return 1 if circles else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]) if 1 < len(sys.argv) else __doc__)
