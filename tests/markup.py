"""HTML as somebody reads it."""

import re


def texts(html: str, element: str) -> list[str]:
    """The text of every such element, given as its tag with what follows it: `th scope=col`."""
    found = re.findall(rf"<{element}>(.*?)</{element.split()[0]}>", html, re.DOTALL)
    return [re.sub(r"<[^>]*>", "", each) for each in found]
