"""Shares over a day as an SVG that reads on light and on dark ground. Written by hand: it is a few lines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 760, 424
LEFT, RIGHT, TOP, BOTTOM = 64, 744, 56, 312  # of the plot
STYLE = """
  text { font: 13px system-ui, sans-serif; fill: #454b57; }
  .grid { stroke: #d5d8df; } .axis { stroke: #868d9a; } .drift { stroke: #5b6371; stroke-dasharray: 2 4; }
  .line { fill: none; stroke-width: 2.5; stroke-linejoin: round; }
  .right { stroke: #167045; } .applied { stroke: #3451c7; } .all { stroke: #8a5a00; }
  .applied.line { stroke-dasharray: 8 4; } .all.line { stroke-dasharray: 2 3; }
  .right.dot { fill: #167045; } .applied.dot { fill: #3451c7; } .all.dot { fill: #8a5a00; }
  .fit { fill: #5b6371; } .stop { fill: none; stroke: #b3261e; stroke-width: 2; }
  @media (prefers-color-scheme: dark) {
    text { fill: #b4bac6; } .grid { stroke: #2a2e36; } .axis { stroke: #6c7482; } .drift { stroke: #9aa2b0; }
    .right { stroke: #5fd09a; } .applied { stroke: #a3b4ff; } .all { stroke: #e3b64f; } .fit { fill: #9aa2b0; }
    .right.dot { fill: #5fd09a; } .applied.dot { fill: #a3b4ff; } .all.dot { fill: #e3b64f; } .stop { stroke: #ff928a; }
  }
"""


@dataclass(frozen=True, slots=True)
class Line:
    """`points`: (tickets read, share from 0 to 1; None leaves a gap). `kind` names its style."""

    name: str
    kind: str
    points: Sequence[tuple[float, float | None]]


def drawn(lines: Sequence[Line], *, fits: Sequence[int], stops: Sequence[int], drift: int, tickets: int) -> str:
    """The picture. In tickets read: where a fit went into force or was stopped, and where the world changed."""

    def x(number: float) -> float:
        return round(LEFT + (RIGHT - LEFT) * number / tickets, 1)

    def y(share: float) -> float:
        return round(BOTTOM - (BOTTOM - TOP) * share, 1)

    parts = []
    for tenth in range(0, 11, 2):
        parts.append(f'<line class="grid" x1="{LEFT}" y1="{y(tenth / 10)}" x2="{RIGHT}" y2="{y(tenth / 10)}"/>')
        parts.append(_text(LEFT - 8, y(tenth / 10) + 4, f"{tenth * 10} %", "end"))
    step = 200 if tickets > 600 else 100
    for number in range(0, tickets + 1, step):
        parts.append(f'<line class="axis" x1="{x(number)}" y1="{BOTTOM}" x2="{x(number)}" y2="{BOTTOM + 5}"/>')
        parts.append(_text(x(number), BOTTOM + 20, f"{number:,}", "middle"))
    parts.append(f'<line class="axis" x1="{LEFT}" y1="{BOTTOM}" x2="{RIGHT}" y2="{BOTTOM}"/>')
    parts.append(f'<line class="drift" x1="{x(drift)}" y1="{TOP}" x2="{x(drift)}" y2="{BOTTOM}"/>')
    parts.append(_text(x(drift), TOP - 8, "midday: the world drifts", "middle"))
    for line in lines:
        for run in _unbroken(line.points):
            points = " ".join(f"{x(at)},{y(share)}" for at, share in run)
            parts.append(f'<polyline class="line {line.kind}" points="{points}"/>')
            parts += [f'<circle class="dot {line.kind}" cx="{x(at)}" cy="{y(share)}" r="3"/>' for at, share in run]
    parts += [f'<path class="fit" d="M{x(after)} {BOTTOM - 9}l5 9h-10z"/>' for after in fits]
    parts += [f'<path class="stop" d="{_cross(x(after), BOTTOM - 18)}"/>' for after in stops]
    parts += _legend(lines, stops=bool(stops))
    parts.append(_text(LEFT - 44, TOP - 22, "share of a block\u2019s tickets", "start"))
    parts.append(_text((LEFT + RIGHT) / 2, BOTTOM + 42, "tickets read since morning (a block a point)", "middle"))
    told = "Shares over a day: applied, right of the applied, right of all; fits in force as triangles."
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{told}">\n'
        f"<style>{STYLE}</style>\n" + "\n".join(parts) + "\n</svg>\n"
    )


def _unbroken(points: Sequence[tuple[float, float | None]]) -> list[list[tuple[float, float]]]:
    runs: list[list[tuple[float, float]]] = [[]]
    for at, share in points:
        if share is None:
            runs.append([])
        else:
            runs[-1].append((at, share))
    return [run for run in runs if run]


def _legend(lines: Sequence[Line], *, stops: bool) -> list[str]:
    parts, at, below = [], float(LEFT), HEIGHT - 40
    for line in lines:
        parts.append(f'<line class="line {line.kind}" x1="{at:g}" y1="{below}" x2="{at + 28:g}" y2="{below}"/>')
        parts.append(_text(at + 36, below + 4, line.name, "start"))
        at += 56 + 7 * len(line.name)
    below = HEIGHT - 16
    parts.append(f'<path class="fit" d="M{LEFT + 14} {below - 5}l5 9h-10z"/>')
    parts.append(_text(LEFT + 36, below + 4, "a fit goes into force", "start"))
    if stops:
        parts.append(f'<path class="stop" d="{_cross(LEFT + 215, below)}"/>')
        parts.append(_text(LEFT + 231, below + 4, "the audit stops applying", "start"))
    return parts


def _cross(x: float, y: float) -> str:
    return f"M{x - 4:g} {y - 4:g}l8 8m0 -8l-8 8"


def _text(x: float, y: float, words: str, anchor: str) -> str:
    return f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}">{words}</text>'
