"""The bars as a picture: how far each ratio reaches, beside what it should reach."""

from html import escape

ROW, LEFT, WIDTH, MOST = 18, 430, 360, 2.5


def svg(rows):
    """Ratios in units of what they should be: a bar past the line meets it."""
    height = ROW * len(rows) + 30
    line = LEFT + WIDTH / MOST
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{LEFT + WIDTH + 60}" height="{height}"'
        ' font-family="sans-serif" font-size="11">',
        '<rect width="100%" height="100%" fill="white"/>',
    ]
    for i, (model, threads, what, ratio, least) in enumerate(rows):
        y = 20 + ROW * i
        reach = min(ratio / least, MOST) * WIDTH / MOST
        colour = "#3b7a57" if ratio >= least else "#b5523b"
        label = f"{model}, {threads + ' threads, ' if threads else ''}{what}"
        parts.append(f'<text x="{LEFT - 6}" y="{y + 11}" text-anchor="end">{escape(label)}</text>')
        parts.append(f'<rect x="{LEFT}" y="{y}" width="{reach:.0f}" height="{ROW - 5}" fill="{colour}"/>')
        parts.append(f'<text x="{LEFT + reach + 4:.0f}" y="{y + 11}">{ratio:.2f}</text>')
    parts.append(f'<path d="M{line:.0f} 14V{height - 6}" stroke="black" stroke-dasharray="3 2"/>')
    parts.append(f'<text x="{line:.0f}" y="11" text-anchor="middle">what it should be</text>')
    return "\n".join([*parts, "</svg>\n"])
