"""Where the nodes of a call graph stand: in layers from the users inwards, with few crossings. Pure.

Sugiyama, Tagawa and Toda 1981 in its simplest form: longest path, then barycentres. Calls that close a cycle are turned
around for the layering and drawn as they are.
"""

from collections.abc import Iterable, Mapping, Sequence

SWEEPS = 12


def layered(names: Sequence[str], calls: Iterable[tuple[str, str]]) -> list[list[str]]:
    """Return the names layer by layer, callers before what they call; each layer in its order across.

    Names without a call are left out; a call of an unknown name is ignored.
    """
    known = set(names)
    edges = [(a, b) for a, b in dict.fromkeys(calls) if a in known and b in known and a != b]
    touched = {name for edge in edges for name in edge}
    depth = _depths([name for name in names if name in touched], edges)
    layers: list[list[str]] = [[] for _ in range(max(depth.values(), default=-1) + 1)]
    for name in depth:
        layers[depth[name]].append(name)
    return _uncrossed(layers, edges)


def _depths(names: Sequence[str], edges: Sequence[tuple[str, str]]) -> dict[str, int]:
    """The longest way from a node that nobody calls."""
    callees: dict[str, list[str]] = {name: [] for name in names}
    for caller, callee in edges:
        callees[caller].append(callee)
    order, seen, back = _walked(names, callees)
    depth = dict.fromkeys(names, 0)
    for name in reversed(order):
        for callee in callees[name]:
            if (name, callee) not in back:
                depth[callee] = max(depth[callee], depth[name] + 1)
    return {name: depth[name] for name in names if name in seen}


def _walked(
    names: Sequence[str], callees: Mapping[str, Sequence[str]]
) -> tuple[list[str], set[str], set[tuple[str, str]]]:
    """Depth first without recursion: nodes when they are left, those seen, and the calls that close a cycle."""
    order: list[str] = []
    seen: set[str] = set()
    back: set[tuple[str, str]] = set()
    for start in names:
        stack, path = [(start, iter(callees[start]))] if start not in seen else [], {start}
        seen.add(start)
        while stack:
            name, rest = stack[-1]
            callee = next(rest, None)
            if callee is None:
                stack.pop()
                path.discard(name)
                order.append(name)
            elif callee in path:
                back.add((name, callee))
            elif callee not in seen:
                seen.add(callee)
                path.add(callee)
                stack.append((callee, iter(callees[callee])))
    return order, seen, back


def _uncrossed(layers: list[list[str]], edges: Sequence[tuple[str, str]]) -> list[list[str]]:
    """Order each layer by the mean place of its neighbours, to and fro."""
    near: dict[str, list[str]] = {name: [] for layer in layers for name in layer}
    for caller, callee in edges:
        near[caller].append(callee)
        near[callee].append(caller)
    for sweep in range(SWEEPS):
        place = {name: (at + 0.5) / len(layer) for layer in layers for at, name in enumerate(layer)}
        for layer in layers[:: 1 if sweep % 2 == 0 else -1]:
            middle = {name: sum(place[other] for other in near[name]) / max(len(near[name]), 1) for name in layer}
            layer.sort(key=lambda name: (middle[name], place[name]))
            place |= {name: (at + 0.5) / len(layer) for at, name in enumerate(layer)}
    return layers
