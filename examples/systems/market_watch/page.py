"""A static page with the series of each topic and its alarms; nothing is loaded from elsewhere."""

import html

WIDTH, HEIGHT = 720, 110
_HEAD = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Sentiment watch</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>body{font:16px/1.5 sans-serif;max-width:46rem;margin:2rem auto;padding:0 1rem;color:#222}
svg{width:100%;height:auto;background:#f7f7f7} h2{margin-bottom:.2rem} .alarm{color:#a40000}
</style><h1>Sentiment watch</h1>"""


def _line(values, color, top=1.0):
    step = WIDTH / max(len(values) - 1, 1)
    points = " ".join(
        f"{i * step:.1f},{HEIGHT * (1 - min(value / top, 1)):.1f}" for i, value in enumerate(values)
    )
    return f'<polyline points="{points}" fill="none" stroke="{color}" stroke-width="2"/>'


def _section(name, series):
    last = max(len(series["share"]) - 1, 1)
    marks = "".join(
        f'<line x1="{x:.1f}" x2="{x:.1f}" y1="0" y2="{HEIGHT}" stroke="#a40000" '
        'stroke-dasharray="4"/>'
        for x in (WIDTH * place / last for place, _ in series["alarms"])
    )
    level = HEIGHT * (1 - series["expected"])
    expected = f'<line x1="0" x2="{WIDTH}" y1="{level:.1f}" y2="{level:.1f}" stroke="#888"/>'
    items = "".join(f'<li class="alarm">{html.escape(text)}</li>' for _, text in series["alarms"])
    return (
        f"<section><h2>{html.escape(name)}</h2><p>{len(series['share'])} texts</p>"
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="share of positive texts over '
        f'time">{expected}{_line(series["share"], "#1f5fa8")}{marks}</svg>'
        f"<ul>{items or '<li>no alarm</li>'}</ul></section>"
    )


def render(topics, run_length):
    """Returns the page: by topic, the moving share of positive texts, its level, and alarms."""
    note = (
        "<p>Blue: mean score of the last 50 texts of the topic, from 0 (negative) to 1 (positive). "
        "Gray: its level in the reference. Red: alarms. Each topic has about one false alarm in "
        f"{run_length:,} texts.</p>"
    )
    return _HEAD + note + "".join(_section(name, series) for name, series in topics.items())
