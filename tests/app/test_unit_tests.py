"""The tests that a developer runs all the time need no browser and do not even import what drives one."""

import subprocess
import sys

from icm.files import PROJECT


def test_without_the_browser_tests_playwright_is_not_imported() -> None:
    code = (
        "import pytest, sys; "
        "code = pytest.main(['--collect-only', '-q', '-m', 'not browser']); "
        "print('playwright:', 'playwright' in sys.modules, 'code:', int(code))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=PROJECT, check=True
    )
    assert done.stdout.splitlines()[-1] == "playwright: False code: 0"
    assert "tests/app/" not in done.stdout
    assert "tests/test_competition.py" in done.stdout
