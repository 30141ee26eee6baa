"""Figures as people read them in a terminal."""


def counted(many: int, noun: str) -> str:
    """The figure with its noun: 1 batch, 2 batches."""
    plural = f"{noun}es" if noun.endswith("ch") else f"{noun}s"
    return f"{many:,} {noun if many == 1 else plural}"


def duration(seconds: int) -> str:
    """For people: 45 s, 3 min, 2 h 10 min, 4 d 3 h."""
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86_400
    if minutes < 2:  # noqa: PLR2004 - below two minutes seconds say more
        return f"{seconds} s"
    if not hours:
        return f"{minutes} min"
    return f"{days} d {hours % 24} h" if days else f"{hours} h {minutes % 60} min"
