#!/usr/bin/env python3
"""Fails when two Rust files of a crate import each other, directly or through other files.

Usage: scripts/import-circles.py CRATE_FOLDER...

File A imports file B when A names, in a `use` or in a path, an item that B defines. A name that a parent file only
re-exports counts as an import of the file that defines it. Modules under `#[cfg(test)]` are ignored.
"""

import re
import sys
from pathlib import Path

TEXT = re.compile(r'//[^\n]*|/\*.*?\*/|b?r(#*)".*?"\1|b?"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])\'', re.S)
ATTRIBUTE = r"(?:#!?\[(?:[^\[\]]|\[[^\[\]]*\])*\]\s*)*"
MODULE = re.compile(rf"({ATTRIBUTE})(?:pub(?:\([^)]*\))?\s+)?mod\s+(\w+)\s*([;{{])")
USE = re.compile(rf"({ATTRIBUTE})(?:pub(?:\([^)]*\))?\s+)?use\s+([^;]+);")
ITEM = re.compile(r"\b(?:fn|struct|enum|trait|type|const|static|union|macro_rules!)\s+(?:mut\s+)?(\w+)")
PATH = re.compile(r"(?<![\w:$.])(?:\w+)(?:::\w+)+")
TEST = re.compile(r"cfg\((?:test|all\(test\b|doctest)")


class Module:
    """One module: its file, its child modules, the names that it imports, and the names that it defines."""

    def __init__(self, file, parent):
        self.file, self.parent = file, parent
        self.children, self.imports, self.globs, self.defined, self.paths = {}, {}, [], set(), []

    def root(self):
        return self.parent.root() if self.parent else self


def block_end(text, start):
    """The index after the brace that closes the one at `start`."""
    depth = 0
    for index in range(start, len(text)):
        depth += {"{": 1, "}": -1}.get(text[index], 0)
        if depth == 0:
            return index + 1
    return len(text)


def read_module(file, folder, parent, text=None):
    """Reads a module and its children. `folder` holds the files of its child modules."""
    module = Module(file, parent)
    text = TEXT.sub(" ", file.read_text()) if text is None else text
    rest, position = "", 0
    while found := MODULE.search(text, position):
        rest += text[position : found.start()]
        attributes, name, opening = found.groups()
        position = block_end(text, found.end() - 1) if opening == "{" else found.end()
        if TEST.search(attributes):
            continue
        if opening == "{":
            body = text[found.end() : position - 1]
            module.children[name] = read_module(file, folder / name, module, body)
            continue
        files = [folder / f"{name}.rs", folder / name / "mod.rs"]
        child = next((file for file in files if file.exists()), None)
        if child:
            module.children[name] = read_module(child, folder / name, module)
    rest += text[position:]
    for found in USE.finditer(rest):
        if TEST.search(found.group(1)):
            continue
        for path, name in flatten(found.group(2)):
            if name == "*":
                module.globs.append(path)
            else:
                module.imports[name] = path
    rest = USE.sub(" ", rest)
    module.defined = set(ITEM.findall(rest))
    module.paths = [path.split("::") for path in PATH.findall(rest)]
    return module


def flatten(tree, prefix=()):
    """The paths of a use tree, each with the name that it brings into scope."""
    tree = tree.strip()
    head, brace, inner = tree.partition("{")
    if brace:
        prefix = prefix + tuple(part.strip() for part in head.split("::") if part.strip())
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
    if parts[-1] == "self":
        parts = parts[:-1]
    yield parts, alias or parts[-1]


def resolve(module, path, seen=()):
    """The module that a path leads to, and whether it is the module itself or an item in it; None outside the crate."""
    first, *rest = path
    if first == "crate":
        return walk(module.root(), rest, seen)
    if first == "self":
        return walk(module, rest, seen)
    if first == "super":
        return resolve(module.parent, ["self", *rest], seen) if module.parent else None
    if first in module.children or first in module.imports:
        return walk(module, path, seen)
    return None


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
    if first not in module.defined:
        for glob in module.globs:
            target = resolve(module, glob, seen)
            if target and target[1] and first in target[0].defined | target[0].children.keys():
                return walk(target[0], path, seen)
    return module, False


def edges(module, graph):
    """Adds the files that a module and its children import. A bare `use` of a module is no import: its items are."""
    found = [resolve(module, path) for path in (*module.imports.values(), *module.paths)]
    found = [target for target, is_module in filter(None, found) if not is_module]
    globs = [resolve(module, path) for path in module.globs]
    graph.setdefault(module.file, set()).update(target.file for target in found)
    graph[module.file].update(target.file for target, _ in filter(None, globs))
    graph[module.file].discard(module.file)
    for child in module.children.values():
        edges(child, graph)
    return graph


def circle_from(graph, start):
    """The shortest way from a file back to itself, if there is one."""
    before, queue = {}, [start]
    for file in queue:
        for target in sorted(graph.get(file, ())):
            if target == start:
                way = [file]
                while way[-1] != start:
                    way.append(before[way[-1]])
                return way[::-1]
            if target not in before:
                before[target] = file
                queue.append(target)
    return None


def main(crates):
    failed = False
    for crate in map(Path, crates):
        reported = set()
        for root in (file for name in ("lib", "main") if (file := crate / "src" / f"{name}.rs").exists()):
            graph = edges(read_module(root, crate / "src", None), {})
            for file in sorted(graph):
                circle = circle_from(graph, file)
                if circle and frozenset(circle) not in reported:
                    reported.add(frozenset(circle))
                    names = [str(file.relative_to(crate)) for file in [*circle, circle[0]]]
                    print(f"{crate}: " + " -> ".join(names))
        failed |= bool(reported)
    return 1 if failed else 0


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1:]))
